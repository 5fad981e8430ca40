/// How a container meets this host: limits, mounts, namespaces, privileges.
public struct HostConfig: EngineDocument {
    /// `source:destination[:options]`.
    @NullWhenEmpty public var binds: [String] = []
    /// Where the client wrote the id.
    @Defaulted public var containerIDFile: String = ""
    /// The logging driver.
    @Defaulted public var logConfig: LogConfig = LogConfig()
    /// `default`, `none`, `host`, `bridge`, `container:ID` or a network's name.
    @Defaulted public var networkMode: String = ""
    /// Published ports.
    @Defaulted public var portBindings: PortMap = [:]
    /// When the engine starts the container again.
    @Defaulted public var restartPolicy: RestartPolicy = RestartPolicy()
    /// Apus's own: `none`, `kill`, `restart` or `stop`, for a container that becomes unhealthy.
    @OmittedWhenZero public var healthOnFailure: String = ""
    /// Whether the container goes away with its process.
    @Defaulted public var autoRemove: Bool = false
    /// The driver of volumes named in `binds`.
    @Defaulted public var volumeDriver: String = ""
    /// Containers whose mounts to share.
    @NullWhenEmpty public var volumesFrom: [String] = []
    /// Mounts in the long form.
    @OmittedWhenZero public var mounts: [Mount] = []
    /// Height and width of the terminal at start, in cells.
    @Defaulted public var consoleSize: [Int] = []
    /// Handed to the runtime; from 1.43.
    @OmittedWhenZero public var annotations: [String: String] = [:]
    /// Capabilities on top of the default set; `ALL`.
    @NullWhenNil public var capAdd: StringSlice? = nil
    /// Capabilities taken from the default set; `ALL`.
    @NullWhenNil public var capDrop: StringSlice? = nil
    /// `private`, `host` or empty.
    @Defaulted public var cgroupnsMode: String = ""
    /// Name servers.
    @Defaulted public var dns: [String] = []
    /// Resolver options.
    @Defaulted public var dnsOptions: [String] = []
    /// Search domains.
    @Defaulted public var dnsSearch: [String] = []
    /// `name:address` lines for the hosts file.
    @NullWhenEmpty public var extraHosts: [String] = []
    /// Additional groups, by name or number.
    @NullWhenEmpty public var groupAdd: [String] = []
    /// `none`, `private`, `shareable`, `container:ID`, `host` or empty.
    @Defaulted public var ipcMode: String = ""
    /// The cgroup to join; kept, and without a meaning, as with dockerd.
    @Defaulted public var cgroup: String = ""
    /// Links of the legacy bridge.
    @NullWhenEmpty public var links: [String] = []
    /// -1000 to 1000.
    @Defaulted public var oomScoreAdj: Int = 0
    /// `host`, `container:ID` or empty.
    @Defaulted public var pidMode: String = ""
    /// Whether the container has the host's powers.
    @Defaulted public var privileged: Bool = false
    /// Whether every exposed port is published.
    @Defaulted public var publishAllPorts: Bool = false
    /// Whether the root file system is read-only.
    @Defaulted public var readonlyRootfs: Bool = false
    /// `seccomp=…`, `no-new-privileges`, `apparmor=…`, `label=…`.
    @NullWhenEmpty public var securityOpt: [String] = []
    /// Options of the storage driver.
    @OmittedWhenZero public var storageOpt: [String: String] = [:]
    /// Mount options by destination.
    @OmittedWhenZero public var tmpfs: [String: String] = [:]
    /// `host` or empty.
    @Defaulted public var utsMode: String = ""
    /// `host` or empty.
    @Defaulted public var usernsMode: String = ""
    /// Bytes of `/dev/shm`; 0 is the engine's default.
    @Defaulted public var shmSize: Int64 = 0
    /// Kernel parameters of the container's namespaces.
    @OmittedWhenZero public var sysctls: [String: String] = [:]
    /// The name of a runtime that the daemon knows.
    @Defaulted public var runtime: String = ""
    /// Windows only.
    @Defaulted public var isolation: String = ""
    /// Relative weight; 0 is the kernel's default.
    @Defaulted public var cpuShares: Int64 = 0
    /// Bytes; 0 is no limit.
    @Defaulted public var memory: Int64 = 0
    /// Billionths of a processor.
    @Defaulted public var nanoCPUs: Int64 = 0
    /// The parent of the container's cgroup.
    @Defaulted public var cgroupParent: String = ""
    /// 10 to 1000, 0 is none.
    @Defaulted public var blkioWeight: Int = 0
    /// Weights by device.
    @NullWhenEmpty public var blkioWeightDevice: [WeightDevice] = []
    /// Bytes per second by device.
    @NullWhenEmpty public var blkioDeviceReadBps: [ThrottleDevice] = []
    /// Bytes per second by device.
    @NullWhenEmpty public var blkioDeviceWriteBps: [ThrottleDevice] = []
    /// Operations per second by device.
    @NullWhenEmpty public var blkioDeviceReadIOps: [ThrottleDevice] = []
    /// Operations per second by device.
    @NullWhenEmpty public var blkioDeviceWriteIOps: [ThrottleDevice] = []
    /// Microseconds.
    @Defaulted public var cpuPeriod: Int64 = 0
    /// Microseconds per period.
    @Defaulted public var cpuQuota: Int64 = 0
    /// Microseconds.
    @Defaulted public var cpuRealtimePeriod: Int64 = 0
    /// Microseconds.
    @Defaulted public var cpuRealtimeRuntime: Int64 = 0
    /// `0-3,5`.
    @Defaulted public var cpusetCPUs: String = ""
    /// `0-1`.
    @Defaulted public var cpusetMems: String = ""
    /// Host devices to pass in.
    @NullWhenEmpty public var devices: [DeviceMapping] = []
    /// `c 42:* rmw`.
    @NullWhenEmpty public var deviceCgroupRules: [String] = []
    /// Devices asked of a driver.
    @NullWhenEmpty public var deviceRequests: [DeviceRequest] = []
    /// Bytes; until 1.41.
    public var kernelMemory: Int64?
    /// Bytes; until 1.41 also where it is 0.
    public var kernelMemoryTCP: Int64?
    /// Bytes.
    @Defaulted public var memoryReservation: Int64 = 0
    /// Bytes of memory and swap together; -1 is unlimited swap, 0 is twice `memory`.
    @Defaulted public var memorySwap: Int64 = 0
    /// 0 to 100.
    @NullWhenNil public var memorySwappiness: Int64? = nil
    /// Whether the OOM killer spares the container.
    @NullWhenNil public var oomKillDisable: Bool? = nil
    /// Whether an init process reaps and forwards signals.
    public var initProcess: Bool?
    /// Tasks; 0 and -1 are unlimited, nil is the engine's default.
    @NullWhenNil public var pidsLimit: Int64? = nil
    /// Resource limits.
    @NullWhenEmpty public var ulimits: [Ulimit] = []
    /// Windows only.
    @Defaulted public var cpuCount: Int64 = 0
    /// Windows only.
    @Defaulted public var cpuPercent: Int64 = 0
    /// Windows only.
    @Defaulted public var ioMaximumIOps: Int64 = 0
    /// Windows only.
    @Defaulted public var ioMaximumBandwidth: Int64 = 0
    /// Paths hidden from the container; nil is the default list (none of a privileged one), empty is none.
    @NullWhenNil public var maskedPaths: [String]? = nil
    /// Paths made read-only; nil is the default list (none of a privileged one), empty is none.
    @NullWhenNil public var readonlyPaths: [String]? = nil

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case binds = "Binds", containerIDFile = "ContainerIDFile", logConfig = "LogConfig"
        case networkMode = "NetworkMode", portBindings = "PortBindings", restartPolicy = "RestartPolicy", healthOnFailure =
            "HealthOnFailure"
        case autoRemove = "AutoRemove", volumeDriver = "VolumeDriver", volumesFrom = "VolumesFrom"
        case mounts = "Mounts", consoleSize = "ConsoleSize", annotations = "Annotations", capAdd = "CapAdd"
        case capDrop = "CapDrop", cgroupnsMode = "CgroupnsMode", dns = "Dns", dnsOptions = "DnsOptions"
        case dnsSearch = "DnsSearch", extraHosts = "ExtraHosts", groupAdd = "GroupAdd", ipcMode = "IpcMode"
        case cgroup = "Cgroup", links = "Links", oomScoreAdj = "OomScoreAdj", pidMode = "PidMode"
        case privileged = "Privileged", publishAllPorts = "PublishAllPorts", readonlyRootfs = "ReadonlyRootfs"
        case securityOpt = "SecurityOpt", storageOpt = "StorageOpt", tmpfs = "Tmpfs", utsMode = "UTSMode"
        case usernsMode = "UsernsMode", shmSize = "ShmSize", sysctls = "Sysctls", runtime = "Runtime"
        case isolation = "Isolation", cpuShares = "CpuShares", memory = "Memory", nanoCPUs = "NanoCpus"
        case cgroupParent = "CgroupParent", blkioWeight = "BlkioWeight"
        case blkioWeightDevice = "BlkioWeightDevice", blkioDeviceReadBps = "BlkioDeviceReadBps"
        case blkioDeviceWriteBps = "BlkioDeviceWriteBps", blkioDeviceReadIOps = "BlkioDeviceReadIOps"
        case blkioDeviceWriteIOps = "BlkioDeviceWriteIOps", cpuPeriod = "CpuPeriod", cpuQuota = "CpuQuota"
        case cpuRealtimePeriod = "CpuRealtimePeriod", cpuRealtimeRuntime = "CpuRealtimeRuntime"
        case cpusetCPUs = "CpusetCpus", cpusetMems = "CpusetMems", devices = "Devices"
        case deviceCgroupRules = "DeviceCgroupRules", deviceRequests = "DeviceRequests"
        case kernelMemory = "KernelMemory", kernelMemoryTCP = "KernelMemoryTCP"
        case memoryReservation = "MemoryReservation", memorySwap = "MemorySwap"
        case memorySwappiness = "MemorySwappiness", oomKillDisable = "OomKillDisable", initProcess = "Init"
        case pidsLimit = "PidsLimit", ulimits = "Ulimits", cpuCount = "CpuCount", cpuPercent = "CpuPercent"
        case ioMaximumIOps = "IOMaximumIOps", ioMaximumBandwidth = "IOMaximumBandwidth"
        case maskedPaths = "MaskedPaths", readonlyPaths = "ReadonlyPaths"
    }
}
