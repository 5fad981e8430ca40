internal import EngineAPI
internal import Templates

/// Makes the create request that a command line asks for.
/// - Throws: `Complaint` for a value that no container can have.
func containerRequest(_ invocation: Invocation) throws(Complaint) -> ContainerCreateRequest {
    let arguments = invocation.arguments
    if let address = arguments.string("mac-address"), !address.isEmpty, !isLinkAddress(address) {
        throw Complaint("\(address) is not a valid mac address")
    }
    var request = ContainerCreateRequest()
    request.config = try configuration(invocation)
    request.hostConfig = try hostConfiguration(arguments)
    limit(&request.hostConfig, by: arguments)
    try setModes(&request.hostConfig, by: arguments)
    try setDevices(&request.hostConfig, by: arguments)
    try setPorts(&request, by: arguments)
    try setVolumes(&request, by: arguments)
    try setNetworks(&request, by: arguments)
    return request
}

private func configuration(_ invocation: Invocation) throws(Complaint) -> ContainerConfig {
    let arguments = invocation.arguments
    var config = ContainerConfig()
    config.image = arguments.operands[0]
    let command = Array(arguments.operands.dropFirst())
    config.cmd = command.isEmpty ? nil : StringSlice(command)
    if let entrypoint = arguments.string("entrypoint") { config.entrypoint = StringSlice([entrypoint]) }
    config.hostname = arguments.string("hostname") ?? ""
    config.domainName = arguments.string("domainname") ?? ""
    config.user = arguments.string("user") ?? ""
    config.workingDir = arguments.string("workdir") ?? ""
    config.tty = arguments.bool("tty")
    config.openStdin = arguments.bool("interactive")
    config.stopSignal = arguments.string("stop-signal") ?? ""
    config.stopTimeout = arguments.integer("stop-timeout").flatMap { Int(exactly: $0) }
    config.env = try environmentVariables(invocation) + invocation.proxyVariables
    config.labels = pairs(try linesOfFiles(arguments.list("label-file")) + arguments.list("label"))
    config.healthcheck = try healthCheck(arguments)
    let streams = AttachedStreams(arguments)
    config.attachStdin = streams.input
    config.attachStdout = streams.output
    config.attachStderr = streams.error
    config.stdinOnce = arguments.bool("interactive") && streams.input
    return config
}

/// The streams that a container's client attaches to.
struct AttachedStreams: Sendable, Equatable {
    let input: Bool
    let output: Bool
    let error: Bool

    var isAny: Bool { input || output || error }

    init(input: Bool, output: Bool, error: Bool) {
        self.input = input
        self.output = output
        self.error = error
    }

    /// By docker's rules: what `-a` names; else both outputs, and the input with `-i`; nothing with `-d`.
    init(_ arguments: Arguments) {
        let named = arguments.list("attach").map { $0.lowercased() }
        let isDetached = arguments.bool("detach")
        input = named.isEmpty ? arguments.bool("interactive") && !isDetached : named.contains("stdin")
        output = named.isEmpty ? !isDetached : named.contains("stdout")
        error = named.isEmpty ? !isDetached : named.contains("stderr")
    }
}

private func healthCheck(_ arguments: Arguments) throws(Complaint) -> HealthConfig? {
    let named = ["cmd", "interval", "timeout", "start-period", "start-interval", "retries"].filter { arguments.has("health-\($0)") }
    var check = HealthConfig()
    if arguments.bool("no-healthcheck") {
        guard named.isEmpty else { throw Complaint("--no-healthcheck conflicts with --health-* options") }
        check.test = ["NONE"]
        return check
    }
    guard !named.isEmpty else { return nil }
    if let command = arguments.string("health-cmd") { check.test = ["CMD-SHELL", command] }
    func nanoseconds(_ name: String) throws(Complaint) -> Int64 {
        let value = arguments.string(name).flatMap(parseDuration) ?? 0
        guard value >= 0 else { throw Complaint("--\(name) cannot be negative") }
        return value
    }
    check.interval = try nanoseconds("health-interval")
    check.timeout = try nanoseconds("health-timeout")
    check.startPeriod = try nanoseconds("health-start-period")
    check.startInterval = try nanoseconds("health-start-interval")
    check.retries = arguments.integer("health-retries").map { Int(clamping: $0) } ?? 0
    guard check.retries >= 0 else { throw Complaint("--health-retries cannot be negative") }
    return check
}

private func hostConfiguration(_ arguments: Arguments) throws(Complaint) -> HostConfig {
    var host = HostConfig()
    host.autoRemove = arguments.bool("rm")
    host.privileged = arguments.bool("privileged")
    host.readonlyRootfs = arguments.bool("read-only")
    host.healthOnFailure = arguments.string("health-on-failure") ?? ""
    host.isolation = arguments.string("isolation") ?? ""
    host.cgroupParent = arguments.string("cgroup-parent") ?? ""
    host.runtime = arguments.string("runtime") ?? ""
    host.groupAdd = arguments.list("group-add")
    host.capAdd = arguments.has("cap-add") ? StringSlice(arguments.list("cap-add")) : nil
    host.capDrop = arguments.has("cap-drop") ? StringSlice(arguments.list("cap-drop")) : nil
    host.annotations = pairs(arguments.list("annotation"))
    host.sysctls = pairs(arguments.list("sysctl"))
    let storageOptions = arguments.list("storage-opt")
    guard storageOptions.allSatisfy({ $0.contains("=") }) else { throw Complaint("invalid storage option") }
    host.storageOpt = pairs(storageOptions)
    host.logConfig.type = arguments.string("log-driver") ?? ""
    host.logConfig.config = pairs(arguments.list("log-opt"))
    if host.logConfig.type == "none", !host.logConfig.config.isEmpty { throw Complaint("invalid logging opts for driver none") }
    host.volumeDriver = arguments.string("volume-driver") ?? ""
    host.volumesFrom = arguments.list("volumes-from")
    host.dns = arguments.list("dns")
    host.dnsOptions = arguments.list("dns-option")
    host.dnsSearch = arguments.list("dns-search").map(searchedName)
    host.extraHosts = arguments.list("add-host").map { ExtraHost($0).sent }
    host.links = arguments.list("link")
    host.initProcess = arguments.has("init") ? arguments.bool("init") : nil
    return host
}

/// The limits that flags ask for; zero for those that they leave alone.
func limit(_ host: inout HostConfig, by arguments: Arguments) {
    host.memory = arguments.bytes("memory") ?? 0
    host.memoryReservation = arguments.bytes("memory-reservation") ?? 0
    host.memorySwap = arguments.bytes("memory-swap") ?? 0
    host.kernelMemory = arguments.bytes("kernel-memory") ?? 0
    host.memorySwappiness = arguments.integer("memory-swappiness").flatMap { $0 == -1 ? nil : $0 }
    host.oomKillDisable = arguments.has("oom-kill-disable") ? arguments.bool("oom-kill-disable") : nil
    host.nanoCPUs = arguments.string("cpus").flatMap(parseNanoCPUs) ?? 0
    host.cpuShares = arguments.integer("cpu-shares") ?? 0
    host.cpuPeriod = arguments.integer("cpu-period") ?? 0
    host.cpuQuota = arguments.integer("cpu-quota") ?? 0
    host.cpuRealtimePeriod = arguments.integer("cpu-rt-period") ?? 0
    host.cpuRealtimeRuntime = arguments.integer("cpu-rt-runtime") ?? 0
    host.cpusetCPUs = arguments.string("cpuset-cpus") ?? ""
    host.cpusetMems = arguments.string("cpuset-mems") ?? ""
    host.pidsLimit = arguments.integer("pids-limit")
    host.oomScoreAdj = arguments.integer("oom-score-adj").map { Int(clamping: $0) } ?? 0
    host.shmSize = arguments.bytes("shm-size") ?? 0
    host.blkioWeight = arguments.integer("blkio-weight").map { Int(clamping: $0) } ?? 0
}

/// Namespaces, and what is allowed in them.
private func setModes(_ host: inout HostConfig, by arguments: Arguments) throws(Complaint) {
    func mode(_ name: String, _ noun: String, _ isValid: (String) -> Bool) throws(Complaint) -> String {
        let text = arguments.string(name) ?? ""
        guard text.isEmpty || isValid(text) else { throw Complaint("--\(name): invalid \(noun) mode") }
        return text
    }
    host.pidMode = try mode("pid", "PID") { $0 == "host" || $0.hasPrefix("container:") }
    host.utsMode = try mode("uts", "UTS") { $0 == "host" }
    host.usernsMode = try mode("userns", "USER") { $0 == "host" || $0 == "private" }
    host.cgroupnsMode = try mode("cgroupns", "CGROUP") { $0 == "host" || $0 == "private" }
    host.ipcMode = arguments.string("ipc") ?? ""
    if let swappiness = host.memorySwappiness, !(0...100).contains(swappiness) {
        throw Complaint("invalid value: \(swappiness). Valid memory swappiness range is 0-100")
    }
    host.restartPolicy = try restartPolicy(arguments.string("restart") ?? "no")
    if host.autoRemove, !["", "no"].contains(host.restartPolicy.name) {
        throw Complaint("conflicting options: cannot specify both --restart and --rm")
    }
    let options = arguments.list("security-opt")
    host.securityOpt = try securityOptions(options.filter { !$0.hasPrefix("systempaths=") })
    for option in options where option.hasPrefix("systempaths=") {
        guard option == "systempaths=unconfined" else { throw Complaint("Invalid --security-opt: \(goQuoted(option))") }
        host.maskedPaths = []
        host.readonlyPaths = []
    }
    host.ulimits = try ulimits(arguments.list("ulimit"))
}

private func setDevices(_ host: inout HostConfig, by arguments: Arguments) throws(Complaint) {
    var named: [String] = []
    for text in arguments.list("device") {
        if isDeviceName(text) { named.append(text) } else { host.devices.append(try device(text)) }
    }
    if !named.isEmpty {
        var request = DeviceRequest()
        request.driver = "cdi"
        request.deviceIDs = named
        host.deviceRequests = [request]
    }
    host.deviceCgroupRules = arguments.list("device-cgroup-rule")
    for text in arguments.list("gpus") { host.deviceRequests.append(try deviceRequest(text)) }
    for text in arguments.list("blkio-weight-device") {
        let (path, number) = deviceLimit(text, bytes: false)
        var weight = WeightDevice()
        weight.path = path
        weight.weight = Int(clamping: number)
        host.blkioWeightDevice.append(weight)
    }
    func throttles(_ name: String, bytes: Bool) -> [ThrottleDevice] {
        var devices: [ThrottleDevice] = []
        for text in arguments.list(name) {
            let (path, number) = deviceLimit(text, bytes: bytes)
            var throttle = ThrottleDevice()
            throttle.path = path
            throttle.rate = number
            devices.append(throttle)
        }
        return devices
    }
    host.blkioDeviceReadBps = throttles("device-read-bps", bytes: true)
    host.blkioDeviceWriteBps = throttles("device-write-bps", bytes: true)
    host.blkioDeviceReadIOps = throttles("device-read-iops", bytes: false)
    host.blkioDeviceWriteIOps = throttles("device-write-iops", bytes: false)
}

private func setPorts(_ request: inout ContainerCreateRequest, by arguments: Arguments) throws(Complaint) {
    for text in arguments.list("expose") {
        for port in try exposedPorts(text) { request.config.exposedPorts[port] = EmptyObject() }
    }
    for text in arguments.list("publish") {
        for (port, binding) in try publishedPorts(text) {
            request.config.exposedPorts[port] = EmptyObject()
            let others = request.hostConfig.portBindings[port].flatMap(\.self) ?? []
            request.hostConfig.portBindings[port] = others + [binding]
        }
    }
    request.hostConfig.publishAllPorts = arguments.bool("publish-all")
}

/// Binds of host paths and named volumes, anonymous volumes, mounts in their long form, memory file systems.
private func setVolumes(_ request: inout ContainerCreateRequest, by arguments: Arguments) throws(Complaint) {
    for text in arguments.list("volume") {
        if try hasVolumeSource(text) {
            request.hostConfig.binds.append(absoluteBind(text))
        } else {
            request.config.volumes[text] = EmptyObject()
        }
    }
    request.hostConfig.mounts = arguments.list("mount").compactMap(mount)
    request.hostConfig.tmpfs = Dictionary(
        arguments.list("tmpfs").map { splitOnce($0, at: ":") }.map { ($0, $1 ?? "") }, uniquingKeysWith: { _, last in last })
}
