internal import EngineAPI

/// The flags that `run` and `create` share.
let containerFlags = [
    Flag("annotation", nil, .list, "Add an annotation to the container (passed through to the OCI runtime)", placeholder: "map"),
    Flag("attach", "a", .list, "Attach to STDIN, STDOUT or STDERR"),
    Flag("cap-add", nil, .list, "Add Linux capabilities"),
    Flag("cap-drop", nil, .list, "Drop Linux capabilities"),
    Flag("cgroup-parent", nil, .string, "Optional parent cgroup for the container"),
    Flag("cgroupns", nil, .string, "Cgroup namespace to use (host|private)"),
    Flag("cidfile", nil, .string, "Write the container ID to the file"),
    Flag("cpu-period", nil, .integer, "Limit CPU CFS (Completely Fair Scheduler) period"),
    Flag("cpu-quota", nil, .integer, "Limit CPU CFS (Completely Fair Scheduler) quota"),
    Flag("cpu-shares", "c", .integer, "CPU shares (relative weight)"),
    Flag("cpus", nil, .decimal, "Number of CPUs"),
    Flag("cpuset-cpus", nil, .string, "CPUs in which to allow execution (0-3, 0,1)"),
    Flag("cpuset-mems", nil, .string, "MEMs in which to allow execution (0-3, 0,1)"),
    Flag("device", nil, .list, "Add a host device to the container"),
    Flag("domainname", nil, .string, "Container NIS domain name"),
    Flag("entrypoint", nil, .string, "Overwrite the default ENTRYPOINT of the image"),
    Flag("env", "e", .list, "Set environment variables"),
    Flag("env-file", nil, .list, "Read in a file of environment variables"),
    Flag("group-add", nil, .list, "Add additional groups to join"),
    Flag("hostname", "h", .string, "Container host name"),
    Flag("init", nil, .bool(default: false), "Run an init inside the container that forwards signals and reaps processes"),
    Flag("interactive", "i", .bool(default: false), "Keep STDIN open even if not attached"),
    Flag("ipc", nil, .string, "IPC mode to use"),
    Flag("label", "l", .list, "Set meta data on a container"),
    Flag("label-file", nil, .list, "Read in a line delimited file of labels"),
    Flag("log-driver", nil, .string, "Logging driver for the container"),
    Flag("memory", "m", .bytes, "Memory limit"),
    Flag("memory-reservation", nil, .bytes, "Memory soft limit"),
    Flag("memory-swap", nil, .bytes, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
    Flag("name", nil, .string, "Assign a name to the container"),
    Flag("network", nil, .string, "Connect a container to a network", placeholder: "network"),
    Flag("oom-score-adj", nil, .integer, "Tune host's OOM preferences (-1000 to 1000)"),
    Flag("pid", nil, .string, "PID namespace to use"),
    Flag("pids-limit", nil, .integer, "Tune container pids limit (set -1 for unlimited)"),
    Flag("platform", nil, .string, "Set platform if server is multi-platform capable"),
    Flag("privileged", nil, .bool(default: false), "Give extended privileges to this container"),
    Flag("publish", "p", .list, "Publish a container's port(s) to the host"),
    Flag("pull", nil, .string, "Pull image before running (\"always\", \"missing\", \"never\")", defaultText: "missing"),
    Flag("quiet", "q", .bool(default: false), "Suppress the pull output"),
    Flag("read-only", nil, .bool(default: false), "Mount the container's root filesystem as read only"),
    Flag("restart", nil, .string, "Restart policy to apply when a container exits", defaultText: "no"),
    Flag("rm", nil, .bool(default: false), "Automatically remove the container and its associated anonymous volumes when it exits"),
    Flag("runtime", nil, .string, "Runtime to use for this container"),
    Flag("security-opt", nil, .list, "Security Options"),
    Flag("shm-size", nil, .bytes, "Size of /dev/shm"),
    Flag("stop-signal", nil, .string, "Signal to stop the container"),
    Flag("stop-timeout", nil, .integer, "Timeout (in seconds) to stop a container"),
    Flag("sysctl", nil, .list, "Sysctl options", placeholder: "map"),
    Flag("tmpfs", nil, .list, "Mount a tmpfs directory"),
    Flag("tty", "t", .bool(default: false), "Allocate a pseudo-TTY"),
    Flag("ulimit", nil, .list, "Ulimit options", placeholder: "ulimit"),
    Flag("user", "u", .string, "Username or UID (format: <name|uid>[:<group|gid>])"),
    Flag("userns", nil, .string, "User namespace to use"),
    Flag("uts", nil, .string, "UTS namespace to use"),
    Flag("volume", "v", .list, "Bind mount a volume"),
    Flag("workdir", "w", .string, "Working directory inside the container"),
]

/// Makes the create request that a command line asks for.
/// - Throws: `UsageError` for a value that no container can have.
func containerRequest(_ invocation: Invocation) throws -> ContainerCreateRequest {
    let arguments = invocation.arguments
    var request = ContainerCreateRequest()
    request.config.image = arguments.operands[0]
    let command = Array(arguments.operands.dropFirst())
    request.config.cmd = command.isEmpty ? nil : StringSlice(command)
    if let entrypoint = arguments.string("entrypoint") { request.config.entrypoint = StringSlice([entrypoint]) }
    request.config.hostname = arguments.string("hostname") ?? ""
    request.config.domainName = arguments.string("domainname") ?? ""
    request.config.user = arguments.string("user") ?? ""
    request.config.workingDir = arguments.string("workdir") ?? ""
    request.config.tty = arguments.bool("tty")
    request.config.openStdin = arguments.bool("interactive")
    request.config.stopSignal = arguments.string("stop-signal") ?? ""
    request.config.stopTimeout = arguments.integer("stop-timeout").flatMap { Int(exactly: $0) }
    request.config.env = try environmentVariables(invocation)
    request.config.labels = try pairs(arguments.list("label") + linesOfFiles(arguments.list("label-file")))
    request.hostConfig = try hostConfiguration(arguments)
    let streams = try AttachedStreams(arguments)
    request.config.attachStdin = streams.input
    request.config.attachStdout = streams.output
    request.config.attachStderr = streams.error
    request.config.stdinOnce = arguments.bool("interactive") && streams.input
    return request
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
    init(_ arguments: Arguments) throws(UsageError) {
        let named = arguments.list("attach").map { $0.lowercased() }
        if let unknown = named.first(where: { !["stdin", "stdout", "stderr"].contains($0) }) {
            throw UsageError(flag: "invalid argument \"\(unknown)\" for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR")
        }
        let isDetached = arguments.bool("detach")
        if isDetached, !named.isEmpty { throw UsageError(flag: "Conflicting options: -a and -d") }
        if named.isEmpty {
            input = arguments.bool("interactive") && !isDetached
            output = !isDetached
            error = !isDetached
        } else {
            input = named.contains("stdin")
            output = named.contains("stdout")
            error = named.contains("stderr")
        }
    }
}

private func hostConfiguration(_ arguments: Arguments) throws -> HostConfig {
    var host = HostConfig()
    host.autoRemove = arguments.bool("rm")
    host.privileged = arguments.bool("privileged")
    host.readonlyRootfs = arguments.bool("read-only")
    host.binds = arguments.list("volume").map(absoluteBind)
    host.networkMode = arguments.string("network") ?? ""
    host.ipcMode = arguments.string("ipc") ?? ""
    host.pidMode = arguments.string("pid") ?? ""
    host.utsMode = arguments.string("uts") ?? ""
    host.usernsMode = arguments.string("userns") ?? ""
    host.cgroupnsMode = arguments.string("cgroupns") ?? ""
    host.cgroupParent = arguments.string("cgroup-parent") ?? ""
    host.runtime = arguments.string("runtime") ?? ""
    host.groupAdd = arguments.list("group-add")
    host.securityOpt = try securityOptions(arguments.list("security-opt"))
    host.capAdd = arguments.has("cap-add") ? StringSlice(arguments.list("cap-add")) : nil
    host.capDrop = arguments.has("cap-drop") ? StringSlice(arguments.list("cap-drop")) : nil
    host.annotations = try pairs(arguments.list("annotation"))
    host.sysctls = try pairs(arguments.list("sysctl"))
    host.tmpfs = Dictionary(
        arguments.list("tmpfs").map { splitOnce($0, at: ":") }.map { ($0, $1 ?? "") }, uniquingKeysWith: { _, last in last })
    host.logConfig.type = arguments.string("log-driver") ?? ""
    host.restartPolicy = try restartPolicy(arguments.string("restart") ?? "no")
    host.portBindings = try arguments.list("publish").reduce(into: [:]) { bindings, text in
        let (port, binding) = try publishedPort(text)
        bindings[port] = (bindings[port] ?? []).map { $0 + [binding] } ?? [binding]
    }
    host.devices = arguments.list("device").map(device)
    limit(&host, by: arguments)
    host.ulimits = try arguments.list("ulimit").map(ulimit)
    return host
}

private func limit(_ host: inout HostConfig, by arguments: Arguments) {
    host.memory = arguments.bytes("memory") ?? 0
    host.memoryReservation = arguments.bytes("memory-reservation") ?? 0
    host.memorySwap = arguments.bytes("memory-swap") ?? 0
    host.nanoCPUs = arguments.string("cpus").flatMap(parseNanoCPUs) ?? 0
    host.cpuShares = arguments.integer("cpu-shares") ?? 0
    host.cpuPeriod = arguments.integer("cpu-period") ?? 0
    host.cpuQuota = arguments.integer("cpu-quota") ?? 0
    host.cpusetCPUs = arguments.string("cpuset-cpus") ?? ""
    host.cpusetMems = arguments.string("cpuset-mems") ?? ""
    host.pidsLimit = arguments.integer("pids-limit")
    host.oomScoreAdj = arguments.integer("oom-score-adj").map { Int(clamping: $0) } ?? 0
    host.shmSize = arguments.bytes("shm-size") ?? 0
    host.initProcess = arguments.has("init") ? arguments.bool("init") : nil
}
