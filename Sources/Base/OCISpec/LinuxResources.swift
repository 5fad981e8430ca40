/// What a container may use: the limits that its cgroup enforces. An absent limit is left as it is.
/// - Spec: runtime-spec v1.3.0, config-linux.md, "Control groups".
public struct LinuxResources: Equatable, Sendable {
    /// Rules in order: the last that matches a device decides.
    public var devices: [DeviceRule] = []
    /// nil sets no limit of memory. - Spec: config-linux.md, "Memory".
    public var memory: MemoryLimits?
    /// nil sets no limit of processors. - Spec: config-linux.md, "CPU".
    public var cpu: CPULimits?
    /// nil sets no limit of processes. - Spec: config-linux.md, "PIDs".
    public var pids: PidsLimit?
    /// nil sets no limit of block devices. - Spec: config-linux.md, "Block IO".
    public var blockIO: BlockIOLimits?
    /// One for each size at most. - Spec: config-linux.md, "Huge page limits".
    public var hugepageLimits: [HugepageLimit] = []
    /// nil marks no packets. - Spec: config-linux.md, "Network".
    public var network: NetworkLimits?
    /// By the name of the RDMA device.
    public var rdma: [String: RDMALimit] = [:]
    /// Files of cgroup v2 and what to write there.
    public var unified: [String: String] = [:]

    /// No limit at all.
    public init() {}
}

/// One rule of the devices controller.
public struct DeviceRule: Equatable, Sendable {
    /// `c`, `b`, or `a` for both.
    public enum Kind: String, Sendable, CaseIterable {
        case all = "a"
        case character = "c"
        case block = "b"
    }
    /// Which of `r`, `w` and `m` a rule is about.
    public struct Access: OptionSet, Hashable, Sendable {
        /// The bits as BPF_DEVCG_ACC_ has them: mknod 1, read 2, write 4.
        public let rawValue: UInt8
        /// - Parameter rawValue: bits as BPF_DEVCG_ACC_ has them.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// `m`: make a node with mknod(2).
        public static let makeNode = Access(rawValue: 1)
        /// `r`: open for reading.
        public static let read = Access(rawValue: 2)
        /// `w`: open for writing.
        public static let write = Access(rawValue: 4)
        /// `rwm`.
        public static let all: Access = [.makeNode, .read, .write]
    }
    /// Whether what the rule is about is allowed or denied; of several rules the last one counts.
    public var allow: Bool
    /// Which kind of device it is about.
    public var kind: Kind
    /// nil matches every number.
    public var major: Int64?
    /// nil is every one.
    public var minor: Int64?
    /// Which uses the rule is about.
    public var access: Access

    /// - Parameters: nil numbers are every number, and the kind `all` is both kinds.
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
    /// Of memory; -1 is none, nil leaves what there is.
    public var limitBytes: Int64?
    /// The soft limit.
    public var reservationBytes: Int64?
    /// Memory and swap together.
    public var swapBytes: Int64?
    /// Of kernel memory, which no supported kernel enforces any more; -1 is none.
    public var kernelBytes: Int64?
    /// Of TCP buffers, on cgroup v1 alone; -1 is none.
    public var kernelTCPBytes: Int64?
    /// 0 to 100.
    public var swappiness: UInt64?
    /// Processes over the limit wait instead of being killed, on cgroup v1 alone; nil leaves it.
    public var disableOOMKiller: Bool?
    /// Whether those below count too, which they do on every kernel from 5.11.
    public var useHierarchy: Bool?
    /// Refuse an update that sets a limit below what is in use.
    public var checkBeforeUpdate: Bool?

    /// Everything nil: what there is stays.
    public init() {}
}

/// Limits of the cpu and cpuset controllers.
public struct CPULimits: Equatable, Sendable {
    /// Relative weight as cgroup v1 counts it, 2 to 262 144.
    public var shares: UInt64?
    /// Per period; -1 is unlimited.
    public var quotaMicroseconds: Int64?
    /// The window of `quotaMicroseconds`, 1 000 to 1 000 000 µs; 0 and nil leave what there is.
    public var periodMicroseconds: UInt64?
    /// What of unused quota may be used later, in µs, no more than the quota.
    public var burstMicroseconds: UInt64?
    /// Of real-time processes in one real-time period, in µs, on cgroup v1 alone.
    public var realtimeRuntimeMicroseconds: Int64?
    /// The window of the real-time runtime, in µs, on cgroup v1 alone.
    public var realtimePeriodMicroseconds: UInt64?
    /// A list: `0-3,7`.
    public var cpus: String?
    /// A list of memory nodes.
    public var mems: String?
    /// 1 makes it SCHED_IDLE.
    public var idle: Int64?

    /// Everything nil: what there is stays.
    public init() {}
}

/// The limit of the pids controller.
public struct PidsLimit: Equatable, Sendable {
    /// -1 is unlimited; nil, which only updates have, leaves it as it is.
    public var limit: Int64?

    /// - Parameter limit: -1 is none; nil leaves what there is.
    public init(limit: Int64?) { self.limit = limit }
}

/// Limits of the blkio or io controller.
public struct BlockIOLimits: Equatable, Sendable {
    /// The weight of one device, in the place of the general one.
    public struct DeviceWeight: Equatable, Sendable {
        /// Of the device's number.
        public var major: Int64
        /// Of the device's number.
        public var minor: Int64
        /// 10 to 1000; nil leaves it.
        public var weight: UInt16?
        /// 10 to 1000, against the cgroups below; no kernel from 5.0 has it.
        public var leafWeight: UInt16?

        /// - Parameters: the device's number, and one weight at least.
        public init(major: Int64, minor: Int64, weight: UInt16? = nil, leafWeight: UInt16? = nil) {
            self.major = major
            self.minor = minor
            self.weight = weight
            self.leafWeight = leafWeight
        }
    }
    /// Bytes or operations a second.
    public struct Throttle: Equatable, Sendable {
        /// Of the device's number.
        public var major: Int64
        /// Of the device's number.
        public var minor: Int64
        /// A second: bytes or operations, as the list says; 0 takes the limit away.
        public var rate: UInt64

        /// - Parameters: the device's number, and bytes or operations a second.
        public init(major: Int64, minor: Int64, rate: UInt64) {
            self.major = major
            self.minor = minor
            self.rate = rate
        }
    }
    /// 10 to 1000.
    public var weight: UInt16?
    /// 10 to 1000, against the cgroups below; no kernel from 5.0 has it.
    public var leafWeight: UInt16?
    /// Weights of single devices.
    public var weightDevice: [DeviceWeight] = []
    /// `throttleReadBpsDevice`: bytes read a second.
    public var throttleReadBytes: [Throttle] = []
    /// `throttleWriteBpsDevice`: bytes written a second.
    public var throttleWriteBytes: [Throttle] = []
    /// `throttleReadIOPSDevice`: reads a second.
    public var throttleReadOperations: [Throttle] = []
    /// `throttleWriteIOPSDevice`: writes a second.
    public var throttleWriteOperations: [Throttle] = []

    /// Everything nil or empty: what there is stays.
    public init() {}
}

/// The limit for one size of huge pages.
public struct HugepageLimit: Equatable, Sendable {
    /// `2MB`, `1GB`.
    public var pageSize: String
    /// Of reservations where the kernel has them, and of use.
    public var limitBytes: UInt64

    /// - Parameters: a size such as `2MB`, and a limit in bytes.
    public init(pageSize: String, limitBytes: UInt64) {
        self.pageSize = pageSize
        self.limitBytes = limitBytes
    }
}

/// net_cls and net_prio, which only cgroup v1 has.
public struct NetworkLimits: Equatable, Sendable {
    /// The priority of what leaves by one interface.
    public struct Priority: Equatable, Sendable {
        /// The interface.
        public var name: String
        /// The larger, the more urgent; the interface's queue has the last word.
        public var priority: UInt32

        /// - Parameters: the interface as the runtime's network namespace names it, and the priority.
        public init(name: String, priority: UInt32) {
            self.name = name
            self.priority = priority
        }
    }
    /// net_cls.classid: what tc(8) sees as the class, `0xAAAABBBB` for AAAA:BBBB; nil leaves it.
    public var classID: UInt32?
    /// net_prio.ifpriomap, one for each interface at most.
    public var priorities: [Priority] = []

    /// Nothing is marked.
    public init() {}
}

/// The limits of one RDMA device.
public struct RDMALimit: Equatable, Sendable {
    /// Open handles; nil is no limit.
    public var hcaHandles: UInt32?
    /// Objects; nil is no limit.
    public var hcaObjects: UInt32?

    /// Neither is limited, which the specification does not allow an entry to be.
    public init() {}
}
