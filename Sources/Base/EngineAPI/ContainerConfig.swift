/// What a container runs: the portable half of a create request, and `Config` of an inspect answer.
public struct ContainerConfig: EngineDocument {
    /// Host name; the engine's default is the short id.
    @Defaulted public var hostname: String = ""
    /// NIS domain name.
    @Defaulted public var domainName: String = ""
    /// `user`, `uid`, `user:group` or `uid:gid`.
    @Defaulted public var user: String = ""
    /// Whether the creating client means to attach standard input.
    @Defaulted public var attachStdin: Bool = false
    /// Whether the creating client means to attach standard output.
    @Defaulted public var attachStdout: Bool = false
    /// Whether the creating client means to attach standard error.
    @Defaulted public var attachStderr: Bool = false
    /// Ports by `port/protocol`.
    @OmittedWhenZero public var exposedPorts: [String: EmptyObject] = [:]
    /// Whether the process gets a terminal.
    @Defaulted public var tty: Bool = false
    /// Whether standard input stays open without a client.
    @Defaulted public var openStdin: Bool = false
    /// Whether standard input closes when its first client leaves.
    @Defaulted public var stdinOnce: Bool = false
    /// `NAME=value`; a bare `NAME` removes the image's variable.
    @Defaulted public var env: [String] = []
    /// Arguments, or the whole command without an entry point. Nil takes the image's.
    @NullWhenNil public var cmd: StringSlice? = nil
    /// The health check; nil takes the image's.
    public var healthcheck: HealthConfig?
    /// Windows only.
    @OmittedWhenZero public var argsEscaped: Bool = false
    /// The image reference as the client wrote it.
    @Defaulted public var image: String = ""
    /// Anonymous volumes by destination.
    @NullWhenEmpty public var volumes: [String: EmptyObject] = [:]
    /// Absolute; empty takes the image's.
    @Defaulted public var workingDir: String = ""
    /// Nil takes the image's, `[""]` resets it.
    @NullWhenNil public var entrypoint: StringSlice? = nil
    /// Whether the container has no network at all.
    @OmittedWhenZero public var networkDisabled: Bool = false
    /// Before 1.44; later an endpoint's setting.
    @OmittedWhenZero public var macAddress: String = ""
    /// Instructions for an image built from this one.
    @NullWhenEmpty public var onBuild: [String] = []
    /// Labels.
    @Defaulted public var labels: [String: String] = [:]
    /// Name or number of the signal that `stop` sends first.
    @OmittedWhenZero public var stopSignal: String = ""
    /// Seconds that `stop` waits; the engine's default is 10.
    public var stopTimeout: Int?
    /// The shell form's shell.
    @OmittedWhenZero public var shell: StringSlice = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case hostname = "Hostname", domainName = "Domainname", user = "User", attachStdin = "AttachStdin"
        case attachStdout = "AttachStdout", attachStderr = "AttachStderr", exposedPorts = "ExposedPorts"
        case tty = "Tty", openStdin = "OpenStdin", stdinOnce = "StdinOnce", env = "Env", cmd = "Cmd"
        case healthcheck = "Healthcheck", argsEscaped = "ArgsEscaped", image = "Image", volumes = "Volumes"
        case workingDir = "WorkingDir", entrypoint = "Entrypoint", networkDisabled = "NetworkDisabled"
        case macAddress = "MacAddress", onBuild = "OnBuild", labels = "Labels", stopSignal = "StopSignal"
        case stopTimeout = "StopTimeout", shell = "Shell"
    }
}

/// How the engine finds out whether a container is well.
public struct HealthConfig: EngineDocument {
    /// `[]` inherits; `NONE`; `CMD`, arguments…; `CMD-SHELL`, command.
    @OmittedWhenZero public var test: [String] = []
    /// Nanoseconds between checks.
    @OmittedWhenZero public var interval: Int64 = 0
    /// Nanoseconds that one check may take.
    @OmittedWhenZero public var timeout: Int64 = 0
    /// Nanoseconds in which failures do not count.
    @OmittedWhenZero public var startPeriod: Int64 = 0
    /// Nanoseconds between checks within the start period; from 1.44.
    @OmittedWhenZero public var startInterval: Int64 = 0
    /// Failures in a row that make a container unhealthy.
    @OmittedWhenZero public var retries: Int = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case test = "Test", interval = "Interval", timeout = "Timeout", startPeriod = "StartPeriod"
        case startInterval = "StartInterval", retries = "Retries"
    }
}
