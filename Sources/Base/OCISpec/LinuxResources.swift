/// What a container may use: the limits that its cgroup enforces. An absent limit is left as it is.
/// - Spec: runtime-spec v1.3.0, config-linux.md, "Control groups".
public struct LinuxResources: Equatable, Sendable {
    /// Rules in order: the last that matches a device decides.
    public var devices: [DeviceRule] = []
    public var memory: MemoryLimits?
    public var cpu: CPULimits?
    public var pids: PidsLimit?
    public var blockIO: BlockIOLimits?
    public var hugepageLimits: [HugepageLimit] = []
    public var network: NetworkLimits?
    /// By the name of the RDMA device.
    public var rdma: [String: RDMALimit] = [:]
    /// Files of cgroup v2 and what to write there.
    public var unified: [String: String] = [:]

    public init() {}
}

/// One rule of the devices controller.
public struct DeviceRule: Equatable, Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        case all = "a"
        case character = "c"
        case block = "b"
    }
    public struct Access: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let makeNode = Access(rawValue: 1)
        public static let read = Access(rawValue: 2)
        public static let write = Access(rawValue: 4)
        public static let all: Access = [.makeNode, .read, .write]
    }
    public var allow: Bool
    public var kind: Kind
    /// nil matches every number.
    public var major: Int64?
    public var minor: Int64?
    public var access: Access

    public init(allow: Bool, kind: Kind = .all, major: Int64? = nil, minor: Int64? = nil, access: Access = .all) {
        self.allow = allow
        self.kind = kind
        self.major = major
        self.minor = minor
        self.access = access
    }
}

/// Limits of the memory controller, in bytes; -1 is unlimited.
public struct MemoryLimits: Equatable, Sendable {
    public var limitBytes: Int64?
    /// The soft limit.
    public var reservationBytes: Int64?
    /// Memory and swap together.
    public var swapBytes: Int64?
    public var kernelBytes: Int64?
    public var kernelTCPBytes: Int64?
    /// 0 to 100.
    public var swappiness: UInt64?
    public var disableOOMKiller: Bool?
    public var useHierarchy: Bool?
    /// Refuse an update that sets a limit below what is in use.
    public var checkBeforeUpdate: Bool?

    public init() {}
}

/// Limits of the cpu and cpuset controllers.
public struct CPULimits: Equatable, Sendable {
    /// Relative weight as cgroup v1 counts it, 2 to 262 144.
    public var shares: UInt64?
    /// Per period; -1 is unlimited.
    public var quotaMicroseconds: Int64?
    public var periodMicroseconds: UInt64?
    public var burstMicroseconds: UInt64?
    public var realtimeRuntimeMicroseconds: Int64?
    public var realtimePeriodMicroseconds: UInt64?
    /// A list: `0-3,7`.
    public var cpus: String?
    /// A list of memory nodes.
    public var mems: String?
    /// 1 makes it SCHED_IDLE.
    public var idle: Int64?

    public init() {}
}

/// The limit of the pids controller.
public struct PidsLimit: Equatable, Sendable {
    /// -1 is unlimited; nil, which only updates have, leaves it as it is.
    public var limit: Int64?

    public init(limit: Int64?) { self.limit = limit }
}

/// Limits of the blkio or io controller.
public struct BlockIOLimits: Equatable, Sendable {
    public struct DeviceWeight: Equatable, Sendable {
        public var major: Int64
        public var minor: Int64
        public var weight: UInt16?
        public var leafWeight: UInt16?

        public init(major: Int64, minor: Int64, weight: UInt16? = nil, leafWeight: UInt16? = nil) {
            self.major = major
            self.minor = minor
            self.weight = weight
            self.leafWeight = leafWeight
        }
    }
    /// Bytes or operations a second.
    public struct Throttle: Equatable, Sendable {
        public var major: Int64
        public var minor: Int64
        public var rate: UInt64

        public init(major: Int64, minor: Int64, rate: UInt64) {
            self.major = major
            self.minor = minor
            self.rate = rate
        }
    }
    /// 10 to 1000.
    public var weight: UInt16?
    public var leafWeight: UInt16?
    public var weightDevice: [DeviceWeight] = []
    public var throttleReadBytes: [Throttle] = []
    public var throttleWriteBytes: [Throttle] = []
    public var throttleReadOperations: [Throttle] = []
    public var throttleWriteOperations: [Throttle] = []

    public init() {}
}

/// The limit for one size of huge pages.
public struct HugepageLimit: Equatable, Sendable {
    /// `2MB`, `1GB`.
    public var pageSize: String
    public var limitBytes: UInt64

    public init(pageSize: String, limitBytes: UInt64) {
        self.pageSize = pageSize
        self.limitBytes = limitBytes
    }
}

/// net_cls and net_prio, which only cgroup v1 has.
public struct NetworkLimits: Equatable, Sendable {
    public struct Priority: Equatable, Sendable {
        /// The interface.
        public var name: String
        public var priority: UInt32

        public init(name: String, priority: UInt32) {
            self.name = name
            self.priority = priority
        }
    }
    public var classID: UInt32?
    public var priorities: [Priority] = []

    public init() {}
}

/// The limits of one RDMA device.
public struct RDMALimit: Equatable, Sendable {
    public var hcaHandles: UInt32?
    public var hcaObjects: UInt32?

    public init() {}
}
