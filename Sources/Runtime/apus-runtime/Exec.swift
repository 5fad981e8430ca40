internal import CoreTypes
internal import LinuxSyscalls
internal import RuntimeCore
internal import SystemPackage

extension Verb {
    static let exec = Verb(
        "exec", "execute a new process inside a container",
        operands: "<container-id> <command> [arguments...] || --process process.json <container-id>",
        operandCount: 1...Int.max,
        flags: [
            .value("console-socket", help: "AF_UNIX socket that receives the master of the process's terminal"),
            .value("cwd", help: "working directory in the container"),
            .value("env", "e", help: "set an environment variable, KEY=value"),
            .toggle("tty", "t", help: "allocate a pseudo-terminal"),
            .value("user", "u", help: "UID[:GID]"),
            .number("additional-gids", "g", help: "an additional group, a number"),
            .value("process", "p", help: "path of a process.json"),
            .toggle("detach", "d", help: "return when the program runs"),
            .value("pid-file", help: "file to write the process id to"),
            .value("pidfd-socket", help: "AF_UNIX socket that receives a pidfd of the process"),
            .value("process-label", help: "SELinux label of the process"),
            .value("apparmor", help: "AppArmor profile of the process"),
            .toggle("no-new-privs", help: "the process cannot gain privileges"),
            .value("cap", "c", help: "add a capability to those of the process"),
            .number("preserve-fds", help: "pass N descriptors from 3 up (after those of $LISTEN_FDS) to the process"),
            .value("cgroup", help: "an existing cgroup below the container's: [<controller>[,<controller>...]:]<path>; may be repeated"),
            .toggle("ignore-paused", help: "also in a paused container"),
        ],
        takesFlagsAnywhere: false, entersContainer: true, failurePrefix: "exec failed: ", failureStatus: 255
    ) { (invocation) throws(RuntimeError) in
        let isDetached = invocation.flags.isSet("detach")
        var request = try ExecRequest(invocation)
        request.keepsTerminal = !isDetached && request.consoleSocket == nil
        if isDetached {
            _ = try Execution(request, invocation.journal).start()
            return 0
        }
        let foreground = try Foreground(adoptsOrphans: false)
        let process = try Execution(request, invocation.journal).start()
        return try foreground.accompany(process).shellStatus
    }
}

extension ExecRequest {
    /// The request that `exec` was called with.
    fileprivate init(_ invocation: Invocation) throws(RuntimeError) {
        let flags = invocation.flags
        let source: ProcessSource
        if let document = flags.value("process") {
            source = .document(FilePath(document))
        } else {
            source = .changes(try ProcessChanges(flags))
        }
        self.init(id: invocation.id, stateRoot: try invocation.globals.stateRoot, process: source)
        filterCache = invocation.globals.filterCache
        consoleSocket = flags.value("console-socket").map { FilePath($0) }
        pidFile = try invocation.absolutePath("pid-file")
        pidfdSocket = try invocation.absolutePath("pidfd-socket")
        preservedDescriptors = try invocation.preservedDescriptors()
        addedEnvironment = invocation.surroundings.activationVariables
        descriptorLimit = invocation.surroundings.descriptorLimit
        cgroups = flags.all("cgroup")
        ignoresPause = flags.isSet("ignore-paused")
    }
}

extension ProcessChanges {
    fileprivate init(_ flags: ParsedFlags) throws(RuntimeError) {
        let arguments = Array(flags.operands.dropFirst())
        if arguments.isEmpty { throw RuntimeError(.invalidArgument, "process args cannot be empty") }
        self.init(arguments: arguments)
        workingDirectory = flags.value("cwd")
        environment = flags.all("env")
        terminal = flags.isSet("tty")
        if let text = flags.text("user") { user = try UserArgument(text).ids }
        for text in flags.all("additional-gids") { additionalGIDs.append(try UserArgument.id(text, "gid")) }
        capabilities = flags.all("cap")
        noNewPrivileges = flags.toggle("no-new-privs")
        appArmorProfile = flags.value("apparmor")
        seLinuxLabel = flags.value("process-label")
    }
}

/// `UID[:GID]`, in decimal digits alone: whatever else one could read into a text, such as user 0, is an error.
struct UserArgument {
    let ids: (uid: UInt32, gid: UInt32?)

    init(_ text: String) throws(RuntimeError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let uid = try Self.id(parts.first ?? "", "uid")
        ids = (uid, parts.count == 2 ? try Self.id(parts[1], "gid") : nil)
    }

    /// An id that exists: 0 to 2 147 483 647, as runc, for which an id is an int32 of the kernel's past. - Source: CVE-2024-40635.
    static func id(_ text: String, _ kind: String) throws(RuntimeError) -> UInt32 {
        guard let id: Int32 = decimal(text) else {
            throw RuntimeError(
                .invalidArgument, "parsing \(text.debugDescription) as a \(kind) failed: a number from 0 to \(Int32.max) is expected")
        }
        return UInt32(id)
    }
}
