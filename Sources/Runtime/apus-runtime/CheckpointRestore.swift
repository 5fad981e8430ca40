internal import CoreTypes
internal import LinuxSyscalls
internal import RuntimeCore
internal import SystemPackage

extension Verb {
    /// The flags that `checkpoint` and `restore` share.
    static let imageFlags: [Flag] = [
        .value("image-path", help: "directory of the images (default: ./checkpoint)"),
        .value("work-path", help: "directory of criu's log and other files (default: with the images)"),
        .toggle("tcp-established", help: "allow open TCP connections"),
        .toggle("ext-unix-sk", help: "allow unix sockets that lead out of the container"),
        .toggle("shell-job", help: "allow a terminal and a session that are not the container's"),
        .toggle("lazy-pages", help: "copy memory when it is needed, by userfaultfd"),
        .toggle("file-locks", help: "keep file locks"),
        .value("manage-cgroups-mode", help: "'soft' (default), 'full', 'strict' or 'ignore'"),
        .value("empty-ns", help: "make a namespace without its contents: 'network', which is always made so"),
        .toggle("auto-dedup", help: "give back what later images make superfluous"),
    ]

    static let checkpoint = Verb(
        "checkpoint", "write a running container to images, by criu",
        flags: imageFlags + [
            .value("parent-path", help: "earlier images of a pre-dump, relative to --image-path"),
            .toggle("leave-running", help: "do not end the container afterwards"),
            .toggle("tcp-skip-in-flight", help: "leave out TCP connections that are not established yet"),
            .toggle("link-remap", help: "allow open files without a name, by links that are made for them"),
            .number("status-fd", help: "descriptor that is told when --lazy-pages is ready"),
            .value("page-server", help: "ADDRESS:PORT of the page server"),
            .toggle("pre-dump", help: "write the memory alone and let the container run"),
        ]
    ) { (invocation) throws(RuntimeError) in
        var options = try CheckpointOptions(invocation)
        let flags = invocation.flags
        options.leavesRunning = flags.isSet("leave-running")
        options.skipsConnectionsInFlight = flags.isSet("tcp-skip-in-flight")
        options.remapsLinks = flags.isSet("link-remap")
        options.isPreDump = flags.isSet("pre-dump")
        if let text = flags.text("status-fd"), text != "-1" {
            let descriptor = try flags.count("status-fd")
            guard isOpen(descriptor) else { throw RuntimeError(.invalidArgument, "--status-fd: descriptor \(descriptor) is not open") }
            options.statusDescriptor = descriptor
        }
        options.pageServer = try pageServer(flags.value("page-server"))
        if let parent = flags.value("parent-path") {
            guard !parent.hasPrefix("/") else {
                throw RuntimeError(.invalidArgument, "--parent-path \(parent): a path relative to --image-path is expected")
            }
            let path = options.imageDirectory.pushing(FilePath(parent)).lexicallyNormalized()
            guard (try? fileStatus(path))?.type == .directory else {
                throw RuntimeError(.invalidArgument, "--parent-path: \(path) is no directory")
            }
            options.parentPath = parent
        }
        if options.isLazy && options.pageServer == nil {
            throw RuntimeError(.invalidArgument, "--lazy-pages needs --page-server")
        }
        try invocation.container().checkpoint(options, invocation.journal)
        return 0
    }

    private static func pageServer(_ text: String?) throws(RuntimeError) -> (address: String, port: Int32)? {
        guard let text else { return nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty, let port = decimal(parts[1], as: Int32.self), (1...65535).contains(port) else {
            throw RuntimeError(.invalidArgument, "--page-server \(text.debugDescription): use ADDRESS:PORT to specify page server")
        }
        return (parts[0], port)
    }

    static let restore = Verb(
        "restore", "make a container of images that checkpoint wrote",
        flags: imageFlags + [
            .value("bundle", "b", help: "the bundle's directory (default: the working directory)"),
            .value("console-socket", help: "AF_UNIX socket that receives the master of the container's terminal"),
            .toggle("detach", "d", help: "return when the container runs"),
            .value("pid-file", help: "file to write the process id to"),
            .toggle("no-subreaper", help: "do not adopt the container's orphans"),
            .toggle("no-pivot", help: "of no effect: criu changes the root"),
            .value("lsm-profile", help: "label or profile of the restored processes, selinux:LABEL or apparmor:PROFILE"),
            .value("lsm-mount-context", help: "SELinux context of the restored mounts"),
        ],
        failurePrefix: "\(Program.name) restore failed: "
    ) { (invocation) throws(RuntimeError) in
        let flags = invocation.flags
        var options = try CheckpointOptions(invocation)
        options.securityProfile = flags.value("lsm-profile")
        options.mountContext = flags.value("lsm-mount-context")
        var request = try CreateRequest(invocation, waitsForStart: false)
        let isDetached = flags.isSet("detach")
        request.keepsTerminal = !isDetached && request.consoleSocket == nil
        if isDetached {
            _ = try Restoration(request, options, invocation.journal).restore()
            return 0
        }
        let foreground = try Foreground(adoptsOrphans: !flags.isSet("no-subreaper"))
        let restoration = try Restoration(request, options, invocation.journal)
        let process = try restoration.restore()
        let end: ProcessExit
        do throws(RuntimeError) { end = try foreground.accompany(process) } catch {
            throw error.followed { () throws(RuntimeError) in try restoration.remove() }
        }
        try restoration.remove()
        return end.shellStatus
    }
}

extension CheckpointOptions {
    fileprivate init(_ invocation: Invocation) throws(RuntimeError) {
        let flags = invocation.flags
        let directory = try during("looking for the images") { () throws(SyscallError) in try workingDirectory() }
        self.init(
            imageDirectory: directory.pushing(FilePath(flags.value("image-path") ?? "checkpoint")),
            criu: invocation.globals.criu, searchPath: invocation.surroundings.searchPath)
        workDirectory = flags.value("work-path").map { directory.pushing(FilePath($0)) }
        keepsConnections = flags.isSet("tcp-established")
        hasExternalUnixSockets = flags.isSet("ext-unix-sk")
        isShellJob = flags.isSet("shell-job")
        isLazy = flags.isSet("lazy-pages")
        locksFiles = flags.isSet("file-locks")
        deduplicates = flags.isSet("auto-dedup")
        if let mode = flags.value("manage-cgroups-mode") {
            guard let known = CgroupsMode(rawValue: mode) else {
                throw RuntimeError(
                    .invalidArgument, "invalid manage-cgroups-mode \(mode.debugDescription): soft, full, strict or ignore is expected")
            }
            cgroupsMode = known
        }
        for kind in flags.all("empty-ns") where kind != "network" {
            throw RuntimeError(.invalidArgument, "namespace \(kind.debugDescription) is not supported by --empty-ns: network is")
        }
    }
}
