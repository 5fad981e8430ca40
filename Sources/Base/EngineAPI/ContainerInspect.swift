public import CoreTypes

/// `GET /containers/{id}/json`.
public struct ContainerInspect: EngineDocument {
    /// 64 hexadecimal digits.
    @Defaulted public var id: String = ""
    /// When it was created.
    @Defaulted public var created: Timestamp = .zero
    /// What runs.
    @Defaulted public var path: String = ""
    /// Its arguments.
    @Defaulted public var args: [String] = []
    /// Where in its life it is.
    @Defaulted public var state: ContainerState = ContainerState()
    /// `sha256:…` of the image.
    @Defaulted public var image: String = ""
    /// On the host.
    @Defaulted public var resolvConfPath: String = ""
    /// On the host.
    @Defaulted public var hostnamePath: String = ""
    /// On the host.
    @Defaulted public var hostsPath: String = ""
    /// On the host.
    @Defaulted public var logPath: String = ""
    /// With a leading slash.
    @Defaulted public var name: String = ""
    /// How often the engine started it again.
    @Defaulted public var restartCount: Int = 0
    /// The storage driver.
    @Defaulted public var driver: String = ""
    /// `linux`.
    @Defaulted public var platform: String = ""
    /// From 1.48.
    public var imageManifestDescriptor: Descriptor?
    /// SELinux.
    @Defaulted public var mountLabel: String = ""
    /// SELinux.
    @Defaulted public var processLabel: String = ""
    /// AppArmor.
    @Defaulted public var appArmorProfile: String = ""
    /// Running execs.
    @NullWhenEmpty public var execIDs: [String] = []
    /// The host's side.
    @Defaulted public var hostConfig: HostConfig = HostConfig()
    /// Where the storage driver keeps it.
    @Defaulted public var graphDriver: DriverData = DriverData()
    /// Bytes written; only when asked for.
    public var sizeReadWrite: Int64?
    /// Bytes in all; only when asked for.
    public var sizeRootFilesystem: Int64?
    /// Mounts.
    @Defaulted public var mounts: [MountPoint] = []
    /// The portable side.
    @Defaulted public var config: ContainerConfig = ContainerConfig()
    /// Addresses and ports.
    @Defaulted public var networkSettings: NetworkSettings = NetworkSettings()

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id", created = "Created", path = "Path", args = "Args", state = "State", image = "Image"
        case resolvConfPath = "ResolvConfPath", hostnamePath = "HostnamePath", hostsPath = "HostsPath"
        case logPath = "LogPath", name = "Name", restartCount = "RestartCount", driver = "Driver"
        case platform = "Platform", imageManifestDescriptor = "ImageManifestDescriptor"
        case mountLabel = "MountLabel", processLabel = "ProcessLabel", appArmorProfile = "AppArmorProfile"
        case execIDs = "ExecIDs", hostConfig = "HostConfig", graphDriver = "GraphDriver"
        case sizeReadWrite = "SizeRw", sizeRootFilesystem = "SizeRootFs", mounts = "Mounts", config = "Config"
        case networkSettings = "NetworkSettings"
    }
}

/// Where in its life a container is.
public struct ContainerState: EngineDocument {
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    @Defaulted public var status: String = ""
    /// Also while paused or restarting.
    @Defaulted public var running: Bool = false
    /// Frozen.
    @Defaulted public var paused: Bool = false
    /// Waiting for its next start.
    @Defaulted public var restarting: Bool = false
    /// Whether the kernel killed it for memory.
    @Defaulted public var oomKilled: Bool = false
    /// Whether its removal failed half way.
    @Defaulted public var dead: Bool = false
    /// On the host; 0 when not running.
    @Defaulted public var pid: Int = 0
    /// Of the last run.
    @Defaulted public var exitCode: Int = 0
    /// Why the last start failed.
    @Defaulted public var error: String = ""
    /// Of the last run.
    @Defaulted public var startedAt: Timestamp = .zero
    /// Of the last run.
    @Defaulted public var finishedAt: Timestamp = .zero
    /// With a health check only.
    public var health: Health?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case status = "Status", running = "Running", paused = "Paused", restarting = "Restarting"
        case oomKilled = "OOMKilled", dead = "Dead", pid = "Pid", exitCode = "ExitCode", error = "Error"
        case startedAt = "StartedAt", finishedAt = "FinishedAt", health = "Health"
    }
}

/// What health checks found.
public struct Health: EngineDocument {
    /// `starting`, `healthy` or `unhealthy`.
    @Defaulted public var status: String = ""
    /// Failures in a row.
    @Defaulted public var failingStreak: Int = 0
    /// The last few, oldest first.
    @NullWhenEmpty public var log: [HealthcheckResult] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case status = "Status", failingStreak = "FailingStreak", log = "Log"
    }
}

/// One health check.
public struct HealthcheckResult: EngineDocument {
    /// When it began.
    @Defaulted public var start: Timestamp = .zero
    /// When it ended.
    @Defaulted public var end: Timestamp = .zero
    /// 0 healthy, 1 unhealthy.
    @Defaulted public var exitCode: Int = 0
    /// What it wrote, cut.
    @Defaulted public var output: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case start = "Start", end = "End", exitCode = "ExitCode", output = "Output"
    }
}

/// Where a storage driver keeps something.
public struct DriverData: EngineDocument {
    /// Of the driver's own.
    @Defaulted public var data: [String: String] = [:]
    /// The driver.
    @Defaulted public var name: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case data = "Data", name = "Name"
    }
}
