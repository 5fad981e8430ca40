internal import Cgroups
internal import CoreTypes
internal import Glibc
internal import JSON
internal import LinuxSyscalls
internal import OCISpec
internal import Rootfs
internal import SystemPackage

/// The file beside criu's images that says what a container's standard files were, in the form that runc writes.
enum StandardFiles {
    static let fileName = "descriptors.json"
    private static let limitBytes = 65_536

    /// What they are to the calling process: `pipe:[1234]`, `/dev/null`.
    static func ofCaller() -> [String] {
        (0...2).map { number in (try? readSymbolicLink(FilePath("/proc/self/fd/\(number)")).string) ?? "" }
    }

    static func write(_ files: [String], to directory: FilePath) throws(RuntimeError) {
        var writer = JSONWriter()
        writer.array { writer in for file in files { writer.string(file) } }
        let bytes = writer.bytes
        try during("noting the container's standard files") { () throws(SyscallError) in
            let file = try openFile(directory.appending(fileName), [.writeOnly, .create, .truncate, .noFollow], mode: 0o600)
            try writeAll(bytes, to: file.number, subject: fileName)
        }
    }

    static func read(from directory: FilePath) throws(RuntimeError) -> [String] {
        let bytes = try during("reading the images") { () throws(SyscallError) in
            try readFile(directory.appending(fileName), limitBytes: limitBytes)
        }
        do throws(JSONError) {
            var reader = try JSONReader(bytes)
            let files = try reader.readStrings()
            try reader.finish()
            return files
        } catch { throw RuntimeError(.invalidConfiguration, doing: "reading \(fileName)", error.description) }
    }
}

extension Container {
    /// Writes the container's processes to images, by criu; unless they are left running, the container is removed then.
    /// - Throws: `wrongStatus` for one that does not run; criu's reason, with the container as it was.
    package func checkpoint(_ options: CheckpointOptions, _ journal: Journal) throws(RuntimeError) {
        try lock()
        let status = try status()
        guard status == .running || status == .paused, let process = storedRecord?.initProcess?.process else {
            throw RuntimeError(.wrongStatus, "container cannot be checkpointed in \(status.rawValue) state")
        }
        let (record, configuration, program) = (try record(), try configuration(), try options.program())
        let directories = try CheckpointDirectories(options, log: "dump.log", isMaking: true)
        var criuOptions = try dumpOptions(options, directories, process, configuration)
        if !options.isPreDump {
            try addMounts(to: &criuOptions, process, configuration)
            try StandardFiles.write(record.standardFiles, to: directories.images)
        }
        var criu = try CriuProcess.start(program, directories)
        do throws(RuntimeError) {
            try criu.proceed()
            _ = try criu.perform(options.isPreDump ? .preDump : .dump, criuOptions, log: directories.log) {
                (notice, _) throws(RuntimeError) in
                if notice.moment == "status-ready" { try options.tellReady() }
            }
        } catch { throw error.followed(by: criu.end) }
        try criu.end()
        if options.leavesRunning || options.isPreDump { return }
        try Removal(
            record: record, cgroup: ContainerCgroup(recorded: record.cgroup), hooks: configuration.hooks, journal: journal,
            descriptorLimit: descriptorLimit
        ).killAndRemove(directory)
    }

    private func dumpOptions(
        _ options: CheckpointOptions, _ directories: CheckpointDirectories, _ process: Int32, _ configuration: RuntimeConfiguration
    ) throws(RuntimeError) -> CriuOptions {
        let record = try record()
        var criuOptions = options.common(directories, root: record.rootfs, annotations: configuration.annotations)
        criuOptions.set(.process, UInt32(bitPattern: process))
        criuOptions.set(.leavesRunning, options.leavesRunning)
        criuOptions.set(.skipsInFlight, options.skipsConnectionsInFlight)
        criuOptions.set(.remapsLinks, options.remapsLinks)
        criuOptions.set(.parentImages, options.parentPath)
        criuOptions.set(.tracksMemory, options.isPreDump || options.parentPath != nil)
        if let server = options.pageServer { criuOptions.add(.pageServer, server.address, server.port) }
        if let place = record.cgroup.places.first(where: { $0.names.contains("freezer") || $0.version == .v2 }) {
            criuOptions.set(.frozenCgroup, place.directory)
        }
        for external in try ExternalNamespace.all(in: configuration.linux) {
            guard let key = external.key else { continue }
            let inode = try during("looking at \(external.path)") { () throws(SyscallError) in
                try fileStatus(FilePath(external.path), followingLinks: true).inode
            }
            criuOptions.set(.external, "\(external.word)[\(inode)]:\(key)")
        }
        return criuOptions
    }

    private func addMounts(
        to criuOptions: inout CriuOptions, _ process: Int32, _ configuration: RuntimeConfiguration
    ) throws(RuntimeError) {
        let record = try record()
        let mounts = try ExternalMount.all(
            in: configuration, bundle: record.bundle, root: record.rootfs, cgroup: record.cgroup.places.map { CgroupPlace($0) })
        for mount in mounts { criuOptions.add(.externalMount, mount.inside, mount.inside) }
        // Files that are covered have the host's null device over them; covered directories have file systems of the container's.
        for path in configuration.linux?.maskedPaths ?? [] {
            guard let status = try? fileStatus(FilePath("/proc/\(process)/root\(path)")), status.type != .directory else { continue }
            criuOptions.add(.externalMount, path, ExternalMount.nullDevice)
        }
    }
}

extension CheckpointOptions {
    /// Tells whoever asked for it that the pages can be fetched.
    fileprivate func tellReady() throws(RuntimeError) {
        guard let statusDescriptor else { return }
        try during("telling that the pages are ready") { () throws(SyscallError) in
            let status = OwnedFD(owning: statusDescriptor)
            try writeAll([0], to: status.number, subject: "--status-fd")
            try status.close()
        }
    }
}
