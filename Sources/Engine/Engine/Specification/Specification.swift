internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import OCISpec

/// Turns a container into the document that the runtime executes. Pure.
enum Specification {
    /// The version that every runtime in use accepts.
    static let version = "1.0.2"
    /// Where `apus-init` lies inside.
    static let initDestination = "/sbin/docker-init"
    /// The directory below the bundle where the shim mounts the root.
    static let rootDirectory = "rootfs"

    /// - Throws: `.invalidParameter` for what create did not refuse; a stored document never is.
    static func configuration(for request: SpecificationRequest) throws(EngineError) -> RuntimeConfiguration {
        let host = request.host
        var configuration = RuntimeConfiguration(ociVersion: version)
        configuration.root = RootConfiguration(path: rootDirectory, isReadOnly: host.readonlyRootfs)
        configuration.process = try process(of: request)
        let modes = try NamespaceModes(host)
        if modes.hostName == .own {
            configuration.hostname = hostname(of: request.config, host, id: request.id, hostName: request.facts.hostName)
            configuration.domainname = request.config.domainName.isEmpty ? nil : request.config.domainName
        }
        configuration.mounts = try mounts(of: request)
        configuration.linux = try linux(of: request)
        configuration.annotations = host.annotations
        var injection = CDIInjection(configuration: configuration)
        try injection.apply(request.findings.deviceEdits)
        return injection.configuration
    }

    // MARK: - The process

    /// The container's first process.
    static func process(of request: SpecificationRequest) throws(EngineError) -> ProcessConfiguration {
        let config = request.config
        let hostname = hostname(of: config, request.host, id: request.id, hostName: request.facts.hostName)
        var process = ProcessConfiguration(workingDirectory: config.workingDir.isEmpty ? "/" : config.workingDir)
        process.terminal = config.tty
        process.consoleSize = config.tty ? consoleSize(request.host.consoleSize) : nil
        process.environment = ImageDefaults.environment(hostname: hostname, terminal: config.tty, overridden: config.env)
        let initialization = request.host.initProcess == true ? [initDestination, "--"] : []
        process.arguments = initialization + ImageDefaults.commandLine(config)
        try applyPrivileges(to: &process, host: request.host, facts: request.facts)
        process.user = request.user
        process.capabilities = capabilitySets(
            try Capabilities.requested(request.host, highest: request.facts.highestCapability), userID: request.user.uid)
        return process
    }

    /// A further process of a container: the container's environment and limits, the exec's own command and user.
    static func execProcess(
        _ exec: ExecCreateRequest, in request: SpecificationRequest, user: UserConfiguration, size: [Int]?
    ) throws(EngineError) -> ProcessConfiguration {
        let config = request.config
        let hostname = hostname(of: config, request.host, id: request.id, hostName: request.facts.hostName)
        let directory = exec.workingDir.isEmpty ? config.workingDir : exec.workingDir
        var process = ProcessConfiguration(workingDirectory: directory.isEmpty ? "/" : directory)
        process.terminal = exec.tty
        process.consoleSize = exec.tty ? consoleSize(size ?? exec.consoleSize ?? []) : nil
        process.environment = ImageDefaults.environment(hostname: hostname, terminal: exec.tty, overridden: config.env, exec.env)
        process.arguments = exec.cmd?.words ?? []
        try applyPrivileges(to: &process, host: request.host, facts: request.facts)
        process.user = user
        var host = request.host
        if exec.privileged { host.privileged = true }
        process.capabilities = capabilitySets(
            try Capabilities.requested(host, highest: request.facts.highestCapability), userID: user.uid)
        return process
    }

    private static func applyPrivileges(
        to process: inout ProcessConfiguration, host: HostConfig, facts: HostFacts
    ) throws(EngineError) {
        process.resourceLimits = try ResourceRequests.limits(host.ulimits)
        let security = try SecurityOptions(parsing: host.securityOpt)
        process.noNewPrivileges = security.noNewPrivileges
        // Docker passes over a profile where the kernel has no AppArmor.
        if facts.hasAppArmor { process.appArmorProfile = AppArmorProfile.name(for: host, security, facts) }
        process.oomScoreAdjustment = Int32(clamping: host.oomScoreAdj)
    }

    /// What execve(2) does anyway, said beforehand: a process of another user than root begins without capabilities in effect.
    static func capabilitySets(_ names: [String], userID: UInt32) -> CapabilitySets {
        var sets = CapabilitySets()
        sets.bounding = names
        if userID == 0 {
            sets.effective = names
            sets.permitted = names
        }
        return sets
    }

    private static func consoleSize(_ size: [Int]) -> ConsoleSize? {
        guard size.count == 2, size[0] > 0, size[1] > 0 else { return nil }
        return ConsoleSize(height: UInt64(size[0]), width: UInt64(size[1]))
    }

    /// The short id where nothing else is asked for; the host's where the network is the host's.
    static func hostname(of config: ContainerConfig, _ host: HostConfig, id: ContainerID, hostName: String) -> String {
        if !config.hostname.isEmpty { return config.hostname }
        // Docker's container of the host's UTS namespace is told its own short id all the same.
        return host.networkMode == "host" ? hostName : id.text.shortID
    }

    // MARK: - Mounts

    private static func mounts(of request: SpecificationRequest) throws(EngineError) -> [MountConfiguration] {
        var asked = request.mounts.configurations(
            pins: request.findings.pins, mapsOwners: request.userNamespace != nil)
        asked.append(contentsOf: fileMounts(request).filter { mount in !asked.contains { $0.destination == mount.destination } })
        if request.host.initProcess == true {
            asked.append(
                MountConfiguration(
                    destination: initDestination, type: "bind", source: request.initPath, options: ["bind", "ro", "rprivate"]))
        }
        let taken = Set(asked.map(\.destination))
        let modes = try NamespaceModes(request.host)
        let defaults = DefaultMounts.mounts(
            for: request.host, sharedMemory: modes.sharedMemory, at: request.findings.sharedMemory,
            bindsSystem: request.facts.isRootless && NamespaceModes.networkOwner(request.host.networkMode) == .host
        ).filter { mount in
            // Who mounts over /dev wants none of ours in it.
            !taken.contains(mount.destination) && !(taken.contains("/dev") && mount.destination.hasPrefix("/dev/"))
        }
        return defaults + asked.sorted { depth($0.destination) < depth($1.destination) }
    }

    private static func fileMounts(_ request: SpecificationRequest) -> [MountConfiguration] {
        let options =
            ["rbind"] + (request.host.readonlyRootfs ? ["ro"] : []) + ["rprivate"] + (request.userNamespace == nil ? [] : ["idmap"])
        let files = [
            ("/etc/resolv.conf", request.files.resolver), ("/etc/hostname", request.files.hostname), ("/etc/hosts", request.files.hosts),
        ]
        return files.map { MountConfiguration(destination: $0.0, type: "bind", source: $0.1, options: options) }
    }

    /// Number of components: what lies in a mount is mounted after it.
    private static func depth(_ path: String) -> Int { path.split(separator: "/").count }

    // MARK: - Linux

    private static func linux(of request: SpecificationRequest) throws(EngineError) -> LinuxConfiguration {
        let host = request.host
        var linux = LinuxConfiguration()
        linux.namespaces = try NamespaceModes(host).namespaces(joining: request.findings.namespaces)
        linux.cgroupsPath = cgroupPath(of: request.id, parent: host.cgroupParent)
        linux.resources = try ResourceRequests.resources(
            host, facts: request.facts, blockDevices: request.findings.blockDevices)
        linux.sysctl = try sysctls(host, groupCount: request.userNamespace?.firstGroupCount, isRootless: request.facts.isRootless)
        linux.uidMappings = request.userNamespace?.userMappings ?? []
        linux.gidMappings = request.userNamespace?.groupMappings ?? []
        linux.seccomp = request.seccomp
        linux.rootfsPropagation = request.mounts.rootfsPropagation
        linux.devices = request.findings.devices
        if !host.privileged {
            linux.resources?.devices += request.findings.deviceRules
            for rule in host.deviceCgroupRules { linux.resources?.devices.append(try DeviceRules.rule(parsing: rule)) }
            // The default list grows by what this host has; one of the request's own stands as it is.
            let profile = try SecurityProfile(host)
            let masked = host.maskedPaths ?? DefaultPaths.masked(profile)
            linux.maskedPaths =
                masked == DefaultPaths.masked(profile)
                ? DefaultPaths.masked(profile, processorCount: request.facts.processors.count) : masked
            linux.readonlyPaths = host.readonlyPaths ?? DefaultPaths.readOnly
        }
        return linux
    }

    /// Below the root of every hierarchy, in our own parent or the asked-for one, which stays when the container goes.
    static func cgroupPath(of id: ContainerID, parent: String = "") -> String {
        cleanedPath("\(parent.isEmpty ? "apus" : parent)/\(id)")
    }

    /// Parameters of the container's own namespaces, with Docker's two defaults for networks of its own.
    /// - Parameters:
    ///   - groupCount: of a user namespace, which has no meaning for others; nil is the host's.
    ///   - isRootless: the daemon's own user namespace has not all groups.
    static func sysctls(_ host: HostConfig, groupCount: UInt32? = nil, isRootless: Bool = false) throws(EngineError) -> [String: String] {
        let modes = try NamespaceModes(host)
        var sysctls: [String: String] = [:]
        for (text, value) in host.sysctls.sorted(by: { $0.key < $1.key }) {
            let name = SysctlName(text)
            if let problem = problem(of: name, modes) {
                throw EngineError(.invalidParameter, "sysctl \(ContainerChecks.quoted(name?.dotted ?? text)) \(problem)")
            }
            sysctls[name?.dotted ?? text] = value
        }
        if modes.network == .own {
            sysctls.merge(
                [
                    "net.ipv4.ip_unprivileged_port_start": "0",
                    "net.ipv4.ping_group_range": isRootless ? nil : "0 \(groupCount.map { $0 - 1 } ?? 2_147_483_647)",
                ].compactMapValues { $0 }
            ) { asked, _ in asked }
        }
        return sysctls
    }

    /// Why a sysctl is no container's with such namespaces, in runc's words; nil where it is. Those of another container are both's, as with docker.
    /// - Source: runc, libcontainer/configs/validate, sysctl.
    private static func problem(of name: SysctlName?, _ modes: NamespaceModes) -> String? {
        switch name?.namespace {
        case .ipc where modes.ipc == .host: "is not allowed in the hosts ipc namespace"
        case .network where modes.network == .host: "not allowed in host network namespace"
        case .uts where modes.hostName != .host:
            name?.path == "kernel/hostname" ? "is not allowed as it conflicts with the OCI \"hostname\" field" : nil
        case .ipc, .network: nil
        default: "is not in a separate kernel namespace"
        }
    }
}
