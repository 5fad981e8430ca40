public import CoreTypes

/// `GET /info`.
public struct SystemInfo: EngineDocument {
    /// This daemon, for ever.
    @Defaulted public var id: String = ""
    /// In all.
    @Defaulted public var containers: Int = 0
    /// Running.
    @Defaulted public var containersRunning: Int = 0
    /// Frozen.
    @Defaulted public var containersPaused: Int = 0
    /// Neither.
    @Defaulted public var containersStopped: Int = 0
    /// In all.
    @Defaulted public var images: Int = 0
    /// The storage driver.
    @Defaulted public var driver: String = ""
    /// What it says about itself.
    @Defaulted public var driverStatus: [[String]] = []
    /// Legacy.
    public var systemStatus: [[String]]?
    /// What can be plugged in.
    @Defaulted public var plugins: PluginsInfo = PluginsInfo()
    /// Whether the host can.
    @Defaulted public var memoryLimit: Bool = false
    /// Whether the host can.
    @Defaulted public var swapLimit: Bool = false
    /// Whether the host can; until 1.41.
    public var kernelMemory: Bool?
    /// Whether the host can.
    public var kernelMemoryTCP: Bool?
    /// Whether the host can.
    @Defaulted public var cpuCfsPeriod: Bool = false
    /// Whether the host can.
    @Defaulted public var cpuCfsQuota: Bool = false
    /// Whether the host can.
    @Defaulted public var cpuShares: Bool = false
    /// Whether the host can.
    @Defaulted public var cpuset: Bool = false
    /// Whether the host can.
    @Defaulted public var pidsLimit: Bool = false
    /// Whether the host does.
    @Defaulted public var ipv4Forwarding: Bool = false
    /// Until 1.49.
    public var bridgeNfIptables: Bool?
    /// Until 1.49.
    public var bridgeNfIp6tables: Bool?
    /// Whether the daemon logs at debug.
    @Defaulted public var debug: Bool = false
    /// Of the daemon.
    @Defaulted public var fileDescriptors: Int = 0
    /// Whether the host can.
    @Defaulted public var oomKillDisable: Bool = false
    /// Of the daemon: tasks.
    @Defaulted public var goroutines: Int = 0
    /// The daemon's clock.
    @Defaulted public var systemTime: Timestamp = .zero
    /// The default one.
    @Defaulted public var loggingDriver: String = ""
    /// `cgroupfs` or `systemd`.
    @Defaulted public var cgroupDriver: String = ""
    /// `1` or `2`.
    @OmittedWhenZero public var cgroupVersion: String = ""
    /// Clients of `GET /events`.
    @Defaulted public var eventListeners: Int = 0
    /// As uname says it.
    @Defaulted public var kernelVersion: String = ""
    /// As os-release says it.
    @Defaulted public var operatingSystem: String = ""
    /// As os-release says it.
    @Defaulted public var osVersion: String = ""
    /// `linux`.
    @Defaulted public var osType: String = ""
    /// `x86_64`, …
    @Defaulted public var architecture: String = ""
    /// The default registry.
    @Defaulted public var indexServerAddress: String = ""
    /// How registries are met.
    @NullWhenNil public var registryConfig: RegistryServiceConfig? = nil
    /// Processors.
    @Defaulted public var cpus: Int = 0
    /// Bytes.
    @Defaulted public var memoryTotal: Int64 = 0
    /// Swarm only.
    @NullWhenEmpty public var genericResources: [EmptyObject] = []
    /// The data root.
    @Defaulted public var rootDirectory: String = ""
    /// The daemon's.
    @Defaulted public var httpProxy: String = ""
    /// The daemon's.
    @Defaulted public var httpsProxy: String = ""
    /// The daemon's.
    @Defaulted public var noProxy: String = ""
    /// The host's name.
    @Defaulted public var name: String = ""
    /// The daemon's labels.
    @Defaulted public var labels: [String] = []
    /// Whether experimental features are on.
    @Defaulted public var experimentalBuild: Bool = false
    /// The daemon's.
    @Defaulted public var serverVersion: String = ""
    /// Low-level runtimes by name.
    @Defaulted public var runtimes: [String: RuntimeInfo] = [:]
    /// Of those, the default one.
    @Defaulted public var defaultRuntime: String = ""
    /// Always inactive.
    @Defaulted public var swarm: SwarmInfo = SwarmInfo()
    /// Whether containers outlive the daemon.
    @Defaulted public var liveRestoreEnabled: Bool = false
    /// Windows only.
    @Defaulted public var isolation: String = ""
    /// The init for `--init`.
    @Defaulted public var initBinary: String = ""
    /// What supervises containers.
    @Defaulted public var containerdCommit: Commit = Commit()
    /// What makes containers.
    @Defaulted public var runcCommit: Commit = Commit()
    /// What `--init` runs.
    @Defaulted public var initCommit: Commit = Commit()
    /// `name=seccomp,profile=builtin`, …; until 1.24 the names alone.
    @Defaulted public var securityOptions: [String] = []
    /// The licence.
    @OmittedWhenZero public var productLicense: String = ""
    /// Where networks take addresses from.
    @OmittedWhenZero public var defaultAddressPools: [AddressPool] = []
    /// Until 1.24.
    public var executionDriver: String?
    /// From 1.49.
    public var firewallBackend: FirewallInfo?
    /// From 1.46.
    public var cdiSpecDirs: [String]?
    /// From 1.50.
    public var discoveredDevices: [DiscoveredDevice]?
    /// From 1.46; only with a containerd behind.
    public var containerd: ContainerdInfo?
    /// What the operator should know.
    @NullWhenEmpty public var warnings: [String] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "ID", containers = "Containers", containersRunning = "ContainersRunning"
        case containersPaused = "ContainersPaused", containersStopped = "ContainersStopped", images = "Images"
        case driver = "Driver", driverStatus = "DriverStatus", systemStatus = "SystemStatus"
        case plugins = "Plugins", memoryLimit = "MemoryLimit", swapLimit = "SwapLimit"
        case kernelMemory = "KernelMemory", kernelMemoryTCP = "KernelMemoryTCP", cpuCfsPeriod = "CpuCfsPeriod"
        case cpuCfsQuota = "CpuCfsQuota", cpuShares = "CPUShares", cpuset = "CPUSet", pidsLimit = "PidsLimit"
        case ipv4Forwarding = "IPv4Forwarding", bridgeNfIptables = "BridgeNfIptables"
        case bridgeNfIp6tables = "BridgeNfIp6tables", debug = "Debug", fileDescriptors = "NFd"
        case oomKillDisable = "OomKillDisable", goroutines = "NGoroutines", systemTime = "SystemTime"
        case loggingDriver = "LoggingDriver", cgroupDriver = "CgroupDriver", cgroupVersion = "CgroupVersion"
        case eventListeners = "NEventsListener", kernelVersion = "KernelVersion"
        case operatingSystem = "OperatingSystem", osVersion = "OSVersion", osType = "OSType"
        case architecture = "Architecture", indexServerAddress = "IndexServerAddress"
        case registryConfig = "RegistryConfig", cpus = "NCPU", memoryTotal = "MemTotal"
        case genericResources = "GenericResources", rootDirectory = "DockerRootDir", httpProxy = "HttpProxy"
        case httpsProxy = "HttpsProxy", noProxy = "NoProxy", name = "Name", labels = "Labels"
        case experimentalBuild = "ExperimentalBuild", serverVersion = "ServerVersion", runtimes = "Runtimes"
        case defaultRuntime = "DefaultRuntime", swarm = "Swarm", liveRestoreEnabled = "LiveRestoreEnabled"
        case isolation = "Isolation", initBinary = "InitBinary", containerdCommit = "ContainerdCommit"
        case runcCommit = "RuncCommit", initCommit = "InitCommit", securityOptions = "SecurityOptions"
        case productLicense = "ProductLicense", defaultAddressPools = "DefaultAddressPools"
        case executionDriver = "ExecutionDriver", firewallBackend = "FirewallBackend", cdiSpecDirs = "CDISpecDirs"
        case discoveredDevices = "DiscoveredDevices", containerd = "Containerd", warnings = "Warnings"
    }
}

/// What can be plugged in.
public struct PluginsInfo: EngineDocument {
    /// Volume drivers.
    @Defaulted public var volume: [String] = []
    /// Network drivers.
    @Defaulted public var network: [String] = []
    /// Authorization plugins.
    @NullWhenEmpty public var authorization: [String] = []
    /// Logging drivers.
    @Defaulted public var log: [String] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case volume = "Volume", network = "Network", authorization = "Authorization", log = "Log"
    }
}

/// How registries are met.
public struct RegistryServiceConfig: EngineDocument {
    /// Until 1.48.
    public var nondistributableCIDRs: [String]?
    /// Until 1.48.
    public var nondistributableHostnames: [String]?
    /// Networks whose registries need no TLS.
    @Defaulted public var insecureRegistryCIDRs: [String] = []
    /// By registry.
    @Defaulted public var indexConfigs: [String: IndexInfo] = [:]
    /// Of the default registry.
    @Defaulted public var mirrors: [String] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case nondistributableCIDRs = "AllowNondistributableArtifactsCIDRs"
        case nondistributableHostnames = "AllowNondistributableArtifactsHostnames"
        case insecureRegistryCIDRs = "InsecureRegistryCIDRs", indexConfigs = "IndexConfigs"
        case mirrors = "Mirrors"
    }
}

/// One registry.
public struct IndexInfo: EngineDocument {
    /// `host[:port]`.
    @Defaulted public var name: String = ""
    /// Its mirrors.
    @Defaulted public var mirrors: [String] = []
    /// Whether it must speak TLS.
    @Defaulted public var secure: Bool = false
    /// Whether it is the default one.
    @Defaulted public var official: Bool = false

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name", mirrors = "Mirrors", secure = "Secure", official = "Official"
    }
}

/// A low-level runtime.
public struct RuntimeInfo: EngineDocument {
    /// Its executable.
    @OmittedWhenZero public var path: String = ""
    /// Its arguments.
    @OmittedWhenZero public var runtimeArgs: [String] = []
    /// What it says about itself; from 1.45.
    public var status: [String: String]?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case path, runtimeArgs, status
    }
}

/// The swarm that this daemon is not part of.
public struct SwarmInfo: EngineDocument {
    /// Empty.
    @Defaulted public var nodeID: String = ""
    /// Empty.
    @Defaulted public var nodeAddress: String = ""
    /// `inactive`.
    @Defaulted public var localNodeState: String = ""
    /// False.
    @Defaulted public var controlAvailable: Bool = false
    /// Empty.
    @Defaulted public var error: String = ""
    /// None.
    @NullWhenEmpty public var remoteManagers: [EmptyObject] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case nodeID = "NodeID", nodeAddress = "NodeAddr", localNodeState = "LocalNodeState"
        case controlAvailable = "ControlAvailable", error = "Error", remoteManagers = "RemoteManagers"
    }
}

/// A revision of a program.
public struct Commit: EngineDocument {
    /// The revision.
    @Defaulted public var id: String = ""
    /// The revision that was expected; until 1.48.
    public var expected: String?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "ID", expected = "Expected"
    }
}

/// Where networks take addresses from.
public struct AddressPool: EngineDocument {
    /// A network in CIDR notation.
    @Defaulted public var base: String = ""
    /// Prefix length of each network.
    @Defaulted public var size: Int = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case base = "Base", size = "Size"
    }
}

/// How packets are filtered.
public struct FirewallInfo: EngineDocument {
    /// `nftables`, …
    @Defaulted public var driver: String = ""
    /// More about it.
    @OmittedWhenZero public var info: [[String]] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case driver = "Driver", info = "Info"
    }
}

/// The containerd behind.
public struct ContainerdInfo: EngineDocument {
    /// Its socket.
    @OmittedWhenZero public var address: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case address = "Address"
    }
}

/// A device that a driver found on the host.
public struct DiscoveredDevice: EngineDocument {
    /// The driver, `cdi`.
    @Defaulted public var source: String = ""
    /// The driver's name of the device.
    @Defaulted public var id: String = ""

    /// Every field at its zero value.
    public init() {}

    /// A device of these names.
    public init(source: String, id: String) {
        self.source = source
        self.id = id
    }

    private enum CodingKeys: String, CodingKey {
        case source = "Source", id = "ID"
    }
}
