public import CoreTypes

/// One sample of `GET /containers/{id}/stats`; every field but the name and the id at its zero value where the container does not run.
public struct ContainerStatistics: EngineDocument {
    /// With a slash before it.
    @OmittedWhenZero public var name: String = ""
    /// 64 hexadecimal digits.
    @OmittedWhenZero public var id: String = ""
    /// When this was read.
    @Defaulted public var read: Timestamp = .zero
    /// When the sample before it was read.
    @Defaulted public var previousRead: Timestamp = .zero
    /// Tasks.
    @Defaulted public var pids: PidsStatistics = PidsStatistics()
    /// Block devices.
    @Defaulted public var blockIO: BlockIOStatistics = BlockIOStatistics()
    /// Windows only.
    @Defaulted public var processCount: UInt32 = 0
    /// Windows only: always empty.
    @Defaulted public var storage: [String: UInt64] = [:]
    /// Processor time now.
    @Defaulted public var cpu: CPUStatistics = CPUStatistics()
    /// Processor time in the sample before.
    @Defaulted public var previousCPU: CPUStatistics = CPUStatistics()
    /// Memory.
    @Defaulted public var memory: MemoryStatistics = MemoryStatistics()
    /// By the name of the interface inside; loopback left out.
    @OmittedWhenZero public var networks: [String: NetworkStatistics] = [:]
    /// What Docker does not tell.
    public var more: FurtherStatistics?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name, id, read, previousRead = "preread", pids = "pids_stats", blockIO = "blkio_stats", processCount = "num_procs"
        case storage = "storage_stats", cpu = "cpu_stats", previousCPU = "precpu_stats", memory = "memory_stats", networks
        case more = "apus"
    }
}

/// Tasks of a container.
public struct PidsStatistics: EngineDocument {
    /// How many there are.
    @OmittedWhenZero public var current: UInt64 = 0
    /// How many there may be; without a limit the largest number with cgroup v2, absent with v1.
    @OmittedWhenZero public var limit: UInt64 = 0

    /// Every field at its zero value.
    public init() {}
}

/// What a container read and wrote; lists that the machine's cgroups do not keep are null.
public struct BlockIOStatistics: EngineDocument {
    /// Bytes.
    public var ioServiceBytes: [BlockIOEntry]?
    /// Operations; cgroup v1 only.
    public var ioServiced: [BlockIOEntry]?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case ioServiceBytes = "io_service_bytes_recursive", ioServiced = "io_serviced_recursive", queued = "io_queue_recursive"
        case serviceTime = "io_service_time_recursive", waitTime = "io_wait_time_recursive", merged = "io_merged_recursive"
        case time = "io_time_recursive", sectors = "sectors_recursive"
    }

    /// Reads what there is.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        ioServiceBytes = try container.decodeIfPresent([BlockIOEntry].self, forKey: .ioServiceBytes)
        ioServiced = try container.decodeIfPresent([BlockIOEntry].self, forKey: .ioServiced)
    }

    /// Writes all eight lists, as Docker does. Those of schedulers that kernels no longer have are empty where v1 has any list at all.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let scheduler: [BlockIOEntry]? = ioServiced == nil ? nil : []
        for key in CodingKeys.allCases {
            switch key {
            case .ioServiceBytes: try container.encode(ioServiceBytes, forKey: key)
            case .ioServiced: try container.encode(ioServiced, forKey: key)
            case .queued, .serviceTime, .waitTime, .merged, .time, .sectors: try container.encode(scheduler, forKey: key)
            }
        }
    }
}

/// One number of a block device.
public struct BlockIOEntry: EngineDocument {
    /// The device's number.
    @Defaulted public var major: UInt64 = 0
    /// The device's number.
    @Defaulted public var minor: UInt64 = 0
    /// `Read`, `Write`, …; small with cgroup v2.
    @Defaulted public var operation: String = ""
    /// Bytes or operations.
    @Defaulted public var value: UInt64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case major, minor, operation = "op", value
    }
}

/// Processor time of a container, and of the machine at the same moment.
public struct CPUStatistics: EngineDocument {
    /// The container's.
    @Defaulted public var usage: CPUUsage = CPUUsage()
    /// The machine's, in nanoseconds.
    @OmittedWhenZero public var systemNanoseconds: UInt64 = 0
    /// Processors that are on.
    @OmittedWhenZero public var onlineProcessors: UInt32 = 0
    /// How often it had to wait for its quota.
    @Defaulted public var throttling: ThrottlingStatistics = ThrottlingStatistics()

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case usage = "cpu_usage", systemNanoseconds = "system_cpu_usage", onlineProcessors = "online_cpus"
        case throttling = "throttling_data"
    }
}

/// Nanoseconds of processor time.
public struct CPUUsage: EngineDocument {
    /// Altogether.
    @Defaulted public var total: UInt64 = 0
    /// By processor; cgroup v1 only.
    @OmittedWhenZero public var each: [UInt64] = []
    /// In the kernel.
    @Defaulted public var kernel: UInt64 = 0
    /// Outside it.
    @Defaulted public var user: UInt64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case total = "total_usage", each = "percpu_usage", kernel = "usage_in_kernelmode", user = "usage_in_usermode"
    }
}

/// Waiting for the quota of a period.
public struct ThrottlingStatistics: EngineDocument {
    /// Periods with something to run.
    @Defaulted public var periods: UInt64 = 0
    /// Periods in which the quota was used up.
    @Defaulted public var throttledPeriods: UInt64 = 0
    /// Nanoseconds.
    @Defaulted public var throttledNanoseconds: UInt64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case periods, throttledPeriods = "throttled_periods", throttledNanoseconds = "throttled_time"
    }
}

/// Memory of a container, in bytes.
public struct MemoryStatistics: EngineDocument {
    /// Page cache included.
    @OmittedWhenZero public var usage: UInt64 = 0
    /// The most so far; cgroup v1 only.
    @OmittedWhenZero public var maximumUsage: UInt64 = 0
    /// memory.stat by the kernel's names.
    @OmittedWhenZero public var counters: [String: UInt64] = [:]
    /// How often the limit was in the way.
    @OmittedWhenZero public var failures: UInt64 = 0
    /// The container's limit, or the machine's memory.
    @OmittedWhenZero public var limit: UInt64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case usage, maximumUsage = "max_usage", counters = "stats", failures = "failcnt", limit
    }
}

/// What went through one of a container's interfaces.
public struct NetworkStatistics: EngineDocument {
    /// Received.
    @Defaulted public var receivedBytes: UInt64 = 0
    /// Received.
    @Defaulted public var receivedPackets: UInt64 = 0
    /// While receiving.
    @Defaulted public var receiveErrors: UInt64 = 0
    /// While receiving.
    @Defaulted public var receiveDropped: UInt64 = 0
    /// Sent.
    @Defaulted public var sentBytes: UInt64 = 0
    /// Sent.
    @Defaulted public var sentPackets: UInt64 = 0
    /// While sending.
    @Defaulted public var sendErrors: UInt64 = 0
    /// While sending.
    @Defaulted public var sendDropped: UInt64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case receivedBytes = "rx_bytes", receivedPackets = "rx_packets", receiveErrors = "rx_errors", receiveDropped = "rx_dropped"
        case sentBytes = "tx_bytes", sentPackets = "tx_packets", sendErrors = "tx_errors", sendDropped = "tx_dropped"
    }
}

/// What Apus tells beyond Docker.
public struct FurtherStatistics: EngineDocument {
    /// The most memory so far, in bytes; with cgroup v2 from Linux 5.19.
    public var memoryPeak: UInt64?
    /// How often memory ran out; cgroup v2 only.
    public var outOfMemory: UInt64?
    /// Processes that the kernel killed for want of memory.
    public var outOfMemoryKills: UInt64?
    /// Waiting for `cpu`, `memory` and `io`; what the kernel does not tell is missing.
    @OmittedWhenZero public var pressure: [String: PressureStatistics] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case memoryPeak = "memory_peak", outOfMemory = "oom", outOfMemoryKills = "oom_kill", pressure
    }
}

/// Waiting for one resource, as the kernel's pressure stall information has it.
public struct PressureStatistics: EngineDocument {
    /// While some task waited.
    public var some: PressureLine?
    /// While all tasks waited.
    public var full: PressureLine?

    /// Every field at its zero value.
    public init() {}
}

/// Shares of time in per cent, and time itself.
public struct PressureLine: EngineDocument {
    /// Over 10 seconds.
    @Defaulted public var average10: Double = 0
    /// Over 60 seconds.
    @Defaulted public var average60: Double = 0
    /// Over 300 seconds.
    @Defaulted public var average300: Double = 0
    /// Microseconds since the container began.
    @Defaulted public var total: UInt64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case average10 = "avg10", average60 = "avg60", average300 = "avg300", total
    }
}
