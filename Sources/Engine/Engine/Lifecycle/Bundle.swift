internal import CoreTypes
internal import EngineAPI
internal import Images
internal import LinuxSyscalls
internal import NameService
internal import OCISpec
internal import Snapshots
internal import SystemPackage

/// The files of a container on the host. Every function blocks.
enum Bundle {
    /// The most that is read of an image's `/etc/passwd` or `/etc/group`.
    static let accountFileLimitBytes = 4 << 20

    // MARK: - Files of the container's life

    /// Makes the directory and the files that stand for those in `/etc`.
    static func createFiles(
        id: ContainerID, document: ContainerDocument, facts: HostFacts, network: NetworkFileFacts, paths: ContainerPaths
    ) throws(EngineError) {
        do throws(SyscallError) { try makeDirectories(paths.directory, mode: 0o710) } catch {
            throw .system("make the files of container \(id)", error)
        }
        try writeNetworkFiles(id: id, document: document, facts: facts, network: network, paths: paths)
    }

    /// Writes what a container sees in `/etc` of its name, of its addresses and of who resolves others.
    static func writeNetworkFiles(
        id: ContainerID, document: ContainerDocument, facts: HostFacts, network: NetworkFileFacts, paths: ContainerPaths
    ) throws(EngineError) {
        let host = document.hostConfig
        let hostname = Specification.hostname(of: document.config, host, id: id, hostName: facts.hostName)
        let isHostNetwork = host.networkMode == "host"
        let hosts = NetworkFileText.hosts(
            host, names: names(hostname, document.config), addresses: network.addresses, hostGateway: network.hostGateway)
        do throws(SyscallError) {
            let files = paths.networkFiles
            // Readable for every user inside, whatever the daemon's umask.
            // Docker copies the host's own names as long as nothing is asked for beside.
            try write(isHostNetwork && host.extraHosts.isEmpty ? NetworkFileText.hostCopy("/etc/hosts") : hosts, to: files.hosts)
            try write(Array("\(hostname)\n".utf8), to: files.hostname)
            let resolver = try network.hostResolver().overridden(by: host)
            try write(isHostNetwork ? resolver.text : resolver.inside(network).text, to: files.resolver)
        } catch { throw .system("write the files of container \(id)", error) }
    }

    /// What a container calls itself in `/etc/hosts`: in full, and, wherever the domain was written, without it.
    private static func names(_ hostname: String, _ config: ContainerConfig) -> String {
        let full = config.domainName.isEmpty ? hostname : "\(hostname).\(config.domainName)"
        let bare = String(decoding: full.utf8.prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self)
        return bare.isEmpty || bare == full ? full : "\(full) \(bare)"
    }

    /// Changes the same files of a container that runs, where its networks change. As with Docker, what somebody wrote there inside stays.
    static func changeNetworkFiles(
        id: ContainerID, document: ContainerDocument, facts: HostFacts, from old: NetworkFileFacts, to new: NetworkFileFacts,
        paths: ContainerPaths
    ) throws(EngineError) {
        let host = document.hostConfig
        let hostname = Specification.hostname(of: document.config, host, id: id, hostName: facts.hostName)
        do throws(SyscallError) {
            let files = paths.networkFiles
            let hosts = try readFile(FilePath(files.hosts), limitBytes: hostsLimitBytes)
            try write(
                NetworkFileText.hosts(
                    hosts, names: names(hostname, document.config), without: old.addresses.filter { !new.addresses.contains($0) },
                    with: new.addresses.filter { !old.addresses.contains($0) }), to: files.hosts)
            if old.hasNames == new.hasNames { return }
            try write(try new.hostResolver().overridden(by: host).inside(new).text, to: files.resolver)
        } catch { throw .system("write the files of container \(id)", error) }
    }

    /// More than any list of names that somebody keeps by hand.
    private static let hostsLimitBytes = 1 << 24

    private static func write(_ text: [UInt8], to path: String) throws(SyscallError) {
        let file = try openFile(FilePath(path), [.writeOnly, .create, .truncate, .noFollow], mode: 0o644)
        try changeMode(of: file.number, to: 0o644, subject: path)
        try writeAll(text, to: file.number, subject: path)
    }

    static func removeFiles(_ paths: ContainerPaths) throws(EngineError) {
        do throws(SyscallError) { try removeTree(paths.directory) } catch { throw .system("remove \(paths.directory)", error) }
    }

    // MARK: - The bundle of one run

    /// The runtime's configuration of a container.
    static func specification(
        id: ContainerID, document: ContainerDocument, mounts: [SnapshotMount], joined: JoinedParts, services: ContainerServices,
        paths: ContainerPaths
    ) throws(EngineError) -> RuntimeConfiguration {
        let accounts = try accounts(LayeredTree(mounts: mounts))
        let user = try accounts.resolve(document.config.user, additional: document.hostConfig.groupAdd)
        var request = try specificationRequest(id: id, document: document, user: user, services: services, paths: paths)
        request.mounts = SourcePropagation.settled(request.mounts)
        request.files = joined.network?.files ?? request.files
        request.findings = try findings(document.hostConfig, cdiFolders: services.configuration.cdiFolders)
        request.findings.namespaces = joined.namespaces
        request.findings.sharedMemory = joined.sharedMemory
        request.userNamespace = joined.userNamespace
        for pin in VolumePin.pins(of: request.mounts, in: paths) { request.findings.pins[pin.mount.destination] = pin.place.string }
        for pin in ImagePin.pins(of: request.mounts, in: paths) { request.findings.pins[pin.mount.destination] = pin.place.string }
        return try Specification.configuration(for: request)
    }

    /// What a specification follows from, aside from the user and what a start looks up.
    static func specificationRequest(
        id: ContainerID, document: ContainerDocument, user: UserConfiguration, services: ContainerServices, paths: ContainerPaths
    ) throws(EngineError) -> SpecificationRequest {
        let defaults = services.configuration.defaults
        let host = defaults.applied(to: document.hostConfig)
        return SpecificationRequest(
            id: id, config: document.config, host: host, mounts: try document.mountPlan(in: services.volumes.folder), user: user,
            files: paths.networkFiles,
            seccomp: try SeccompProfiles.configuration(for: host, usual: defaults.seccomp, facts: services.facts),
            initPath: services.configuration.initPath.string, facts: services.facts)
    }

    private static func findings(_ host: HostConfig, cdiFolders: [FilePath]) throws(EngineError) -> HostFindings {
        var findings = HostFindings()
        if host.privileged { findings.devices = try HostDevices.list() }
        for mapping in host.devices {
            let devices = try HostDevices.passed(mapping)
            let access = try DeviceRules.access(mapping.cgroupPermissions.isEmpty ? "rwm" : mapping.cgroupPermissions)
            let paths = Set(devices.map(\.path))
            findings.devices = findings.devices.filter { !paths.contains($0.path) } + devices
            findings.deviceRules += devices.map { DeviceRules.rule(for: $0, access: access) }
        }
        let names = host.deviceRequests.flatMap(\.deviceIDs)
        if !names.isEmpty { findings.deviceEdits = try CDIRegistry(folders: cdiFolders).edits(for: names) }
        for path in ResourceRequests.blockDevicePaths(host).sorted() { findings.blockDevices[path] = try HostDevices.number(of: path) }
        return findings
    }

    /// Who is who in the container. Missing files are empty ones.
    static func accounts(_ tree: LayeredTree) throws(EngineError) -> AccountFiles {
        AccountFiles(
            passwd: try tree.contents(of: "/etc/passwd", limitBytes: accountFileLimitBytes) ?? [],
            group: try tree.contents(of: "/etc/group", limitBytes: accountFileLimitBytes) ?? [])
    }

    /// Writes the bundle, and makes the bind mounts' sources that are missing, as Docker does.
    /// - Parameters:
    ///   - images: the trees of the images that are shown, by their numbers.
    ///   - ids: of the user namespace, whoever's it is; nil is the host's.
    ///   - sharedMemoryBytes: the size of the shared memory that others may join; nil for none.
    static func write(
        _ specification: RuntimeConfiguration, mounts: MountPlan, images: [[SnapshotMount]], ids: UserNamespaceIDs?,
        sharedMemoryBytes: Int64?,
        network: NetworkAttachment?, to paths: ContainerPaths
    ) throws(EngineError) {
        try ExitRecordFile.remove(paths.exitRecord)
        do throws(SyscallError) {
            for bind in mounts.binds where bind.makesSource { try makeSource(bind.source) }
        } catch { throw .system("write the bundle", error) }
        try SourcePropagation.check(mounts.binds)
        do throws(SyscallError) {
            try removeDirectory(paths)
            try makeDirectories(paths.bundle.appending(Specification.rootDirectory), mode: 0o711)
            if let ids, specification.linux?.namespace(.user)?.path == paths.userNamespace.string {
                try UserNamespacePin.make(ids, at: paths.userNamespace)
            }
            if let sharedMemoryBytes {
                try makeDirectory(paths.sharedMemory, mode: 0o755)
                try mount(
                    "shm", onto: paths.sharedMemory, type: "tmpfs", flags: [.noSetUserID, .noExecute, .noDevices],
                    data: "mode=1777,size=\(sharedMemoryBytes),uid=\(ids?.rootUser ?? 0),gid=\(ids?.rootGroup ?? 0)")
            }
            failpoint(.startSharedMemoryMounted)
        } catch { throw .system("write the bundle", error) }
        for pin in VolumePin.pins(of: mounts, in: paths) { try make(pin) }
        do throws(SyscallError) {
            failpoint(.startPathsPinned)
            let file = try openFile(
                paths.bundle.appending(RuntimeConfiguration.fileName), [.writeOnly, .create, .exclusive], mode: 0o600)
            try writeAll(specification.encode(), to: file.number, subject: RuntimeConfiguration.fileName)
            failpoint(.startConfigurationWritten)
        } catch { throw .system("write the bundle", error) }
        for (pin, tree) in zip(ImagePin.pins(of: mounts, in: paths), images) { try pin.make(of: tree, scratch: paths.bundle) }
        if let network { try NetworkRecordFile.write(network, to: paths.networkRecord) }
    }

    /// - Throws: `.system` in Docker's words for a path that is not in the volume.
    private static func make(_ pin: VolumePin) throws(EngineError) {
        do throws(SyscallError) { try pin.make() } catch {
            guard error.errno == Errno.noSuchFileOrDirectory.rawValue else { throw .system("write the bundle", error) }
            throw EngineError(
                .system, "cannot access path \(pin.mount.source)/\(pin.mount.subpath ?? ""): no such file or directory", cause: error)
        }
    }

    /// - Throws: `.invalidParameter` in Docker's words for a path that is not there.
    static func checkSource(_ path: String) throws(EngineError) {
        do throws(SyscallError) { _ = try fileStatus(FilePath(path), followingLinks: true) } catch {
            guard error.errno == Errno.noSuchFileOrDirectory.rawValue else { throw .system("look at the source of a mount", error) }
            throw EngineError(
                .invalidParameter, "invalid mount config for type \"bind\": bind source path does not exist: \(path)", cause: error)
        }
    }

    private static func makeSource(_ path: String) throws(SyscallError) {
        do throws(SyscallError) { _ = try fileStatus(FilePath(path)) } catch {
            guard error.errno == Errno.noSuchFileOrDirectory.rawValue else { throw error }
            try makeDirectories(FilePath(path), mode: 0o755)
        }
    }

    /// Removes the bundle of a run that is over, whose root is unmounted.
    static func remove(_ paths: ContainerPaths) throws(EngineError) {
        do throws(SyscallError) { try removeDirectory(paths) } catch { throw .system("remove \(paths.bundle)", error) }
    }

    private static func removeDirectory(_ paths: ContainerPaths) throws(SyscallError) {
        do throws(SyscallError) { try unmount(paths.sharedMemory, [.detach, .noFollow]) } catch {
            // Most containers share none.
            guard [.noSuchFileOrDirectory, .invalidArgument].contains(Errno(rawValue: error.errno)) else { throw error }
        }
        try VolumePin.removeAll(paths)
        try removeTree(paths.bundle)
    }
}
