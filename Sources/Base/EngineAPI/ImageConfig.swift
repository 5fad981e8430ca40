/// `Config` of an image: the fields of `ContainerConfig` that an image can set.
///
/// - Spec: image-spec, config.md. Before API 1.50 docker also wrote a container's own fields here, empty.
public struct ImageConfig: EngineDocument {
    /// `user`, `uid`, `user:group` or `uid:gid`.
    @OmittedWhenZero public var user: String = ""
    /// Ports by `port/protocol`.
    @OmittedWhenZero public var exposedPorts: [String: EmptyObject] = [:]
    /// `NAME=value`.
    @OmittedWhenZero public var env: [String] = []
    /// Arguments, or the whole command without an entry point.
    public var cmd: StringSlice?
    /// The health check.
    public var healthcheck: HealthConfig?
    /// Windows only.
    @OmittedWhenZero public var argsEscaped: Bool = false
    /// Anonymous volumes by destination.
    @OmittedWhenZero public var volumes: [String: EmptyObject] = [:]
    /// Absolute.
    @OmittedWhenZero public var workingDir: String = ""
    /// The entry point.
    public var entrypoint: StringSlice?
    /// Instructions for an image built from this one.
    @OmittedWhenZero public var onBuild: [String] = []
    /// Labels.
    @OmittedWhenZero public var labels: [String: String] = [:]
    /// Name or number of the signal that `stop` sends first.
    @OmittedWhenZero public var stopSignal: String = ""
    /// The shell form's shell.
    @OmittedWhenZero public var shell: StringSlice = []
    /// Whether to write a container's own fields too, empty, as clients before 1.50 expect.
    public var writesContainerFields = false

    /// Every field at its zero value.
    public init() {}

    /// Reads the JSON of one value.
    public init(from decoder: any Decoder) throws { self.init(try ContainerConfig(from: decoder)) }

    /// What of a container's configuration an image can set.
    public init(_ whole: ContainerConfig) {
        user = whole.user
        exposedPorts = whole.exposedPorts
        env = whole.env
        cmd = whole.cmd
        healthcheck = whole.healthcheck
        argsEscaped = whole.argsEscaped
        volumes = whole.volumes
        workingDir = whole.workingDir
        entrypoint = whole.entrypoint
        onBuild = whole.onBuild
        labels = whole.labels
        stopSignal = whole.stopSignal
        shell = whole.shell
    }

    /// Writes the JSON of one value.
    public func encode(to encoder: any Encoder) throws {
        if writesContainerFields { return try asContainerConfig().encode(to: encoder) }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(_user, forKey: .user)
        try container.encode(_exposedPorts, forKey: .exposedPorts)
        try container.encode(_env, forKey: .env)
        try container.encodeIfPresent(cmd, forKey: .cmd)
        try container.encodeIfPresent(healthcheck, forKey: .healthcheck)
        try container.encode(_argsEscaped, forKey: .argsEscaped)
        try container.encode(_volumes, forKey: .volumes)
        try container.encode(_workingDir, forKey: .workingDir)
        try container.encodeIfPresent(entrypoint, forKey: .entrypoint)
        try container.encode(_onBuild, forKey: .onBuild)
        try container.encode(_labels, forKey: .labels)
        try container.encode(_stopSignal, forKey: .stopSignal)
        try container.encode(_shell, forKey: .shell)
    }

    /// The same settings in a container's shape.
    public func asContainerConfig() -> ContainerConfig {
        var whole = ContainerConfig()
        whole.user = user
        whole.exposedPorts = exposedPorts
        whole.env = env
        whole.cmd = cmd
        whole.healthcheck = healthcheck
        whole.argsEscaped = argsEscaped
        whole.volumes = volumes
        whole.workingDir = workingDir
        whole.entrypoint = entrypoint
        whole.onBuild = onBuild
        whole.labels = labels
        whole.stopSignal = stopSignal
        whole.shell = shell
        return whole
    }

    private enum CodingKeys: String, CodingKey {
        case user = "User", exposedPorts = "ExposedPorts", env = "Env", cmd = "Cmd", healthcheck = "Healthcheck"
        case argsEscaped = "ArgsEscaped", volumes = "Volumes", workingDir = "WorkingDir", entrypoint = "Entrypoint"
        case onBuild = "OnBuild", labels = "Labels", stopSignal = "StopSignal", shell = "Shell"
    }
}
