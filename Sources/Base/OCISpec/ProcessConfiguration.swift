/// The container's program and what it is allowed.
/// - Spec: runtime-spec v1.3.0, config.md, "Process".
public struct ProcessConfiguration: Equatable, Sendable {
    public var terminal = false
    /// Ignored without a terminal.
    public var consoleSize: ConsoleSize?
    /// Absolute, in the container.
    public var workingDirectory: String
    /// `KEY=value`.
    public var environment: [String] = []
    /// With argv[0]; required by `start`.
    public var arguments: [String] = []
    public var resourceLimits: [ResourceLimit] = []
    /// nil leaves the sets as they are by default: all empty.
    public var capabilities: CapabilitySets?
    public var noNewPrivileges = false
    public var appArmorProfile: String?
    /// The value for /proc/PID/oom_score_adj, -1000 to 1000; nil leaves it as inherited.
    public var oomScoreAdjustment: Int32?
    public var seLinuxLabel: String?
    public var ioPriority: IOPriority?
    public var scheduler: SchedulerConfiguration?
    public var execCPUAffinity: ExecCPUAffinity?
    public var user = UserConfiguration()

    public init(workingDirectory: String) { self.workingDirectory = workingDirectory }
}

/// A terminal's size in character cells.
public struct ConsoleSize: Equatable, Sendable {
    public var height: UInt64
    public var width: UInt64

    public init(height: UInt64, width: UInt64) {
        self.height = height
        self.width = width
    }
}

/// Whom the program runs as, in the container's user namespace.
/// - Spec: config.md, "POSIX-platform User".
public struct UserConfiguration: Equatable, Sendable {
    public var uid: UInt32 = 0
    public var gid: UInt32 = 0
    /// nil leaves the runtime's: 0022.
    public var umask: UInt32?
    public var additionalGIDs: [UInt32] = []
    /// Only other platforms than Linux act on it.
    public var username: String?

    public init(uid: UInt32 = 0, gid: UInt32 = 0, additionalGIDs: [UInt32] = []) {
        self.uid = uid
        self.gid = gid
        self.additionalGIDs = additionalGIDs
    }
}

/// One setrlimit(2).
public struct ResourceLimit: Equatable, Sendable {
    /// `RLIMIT_NOFILE` and the like.
    public var type: String
    /// `UInt64.max` is RLIM_INFINITY.
    public var soft: UInt64
    public var hard: UInt64

    public init(type: String, soft: UInt64, hard: UInt64) {
        self.type = type
        self.soft = soft
        self.hard = hard
    }
}

/// The five sets of capabilities(7), by name: `CAP_KILL`.
public struct CapabilitySets: Equatable, Sendable {
    public var bounding: [String] = []
    public var effective: [String] = []
    public var permitted: [String] = []
    public var inheritable: [String] = []
    public var ambient: [String] = []

    public init() {}
}

/// ioprio_set(2).
public struct IOPriority: Equatable, Sendable {
    public enum Class: String, Sendable, CaseIterable {
        case realTime = "IOPRIO_CLASS_RT"
        case bestEffort = "IOPRIO_CLASS_BE"
        case idle = "IOPRIO_CLASS_IDLE"
    }
    public var schedulingClass: Class
    /// 0 (first) to 7.
    public var priority: Int32

    public init(schedulingClass: Class, priority: Int32 = 0) {
        self.schedulingClass = schedulingClass
        self.priority = priority
    }
}

/// sched_setattr(2).
public struct SchedulerConfiguration: Equatable, Sendable {
    public enum Policy: String, Sendable, CaseIterable {
        case other = "SCHED_OTHER"
        case fifo = "SCHED_FIFO"
        case roundRobin = "SCHED_RR"
        case batch = "SCHED_BATCH"
        case iso = "SCHED_ISO"
        case idle = "SCHED_IDLE"
        case deadline = "SCHED_DEADLINE"
    }
    public enum Flag: String, Sendable, CaseIterable {
        case resetOnFork = "SCHED_FLAG_RESET_ON_FORK"
        case reclaim = "SCHED_FLAG_RECLAIM"
        case deadlineOverrun = "SCHED_FLAG_DL_OVERRUN"
        case keepPolicy = "SCHED_FLAG_KEEP_POLICY"
        case keepParameters = "SCHED_FLAG_KEEP_PARAMS"
        case utilizationClampMinimum = "SCHED_FLAG_UTIL_CLAMP_MIN"
        case utilizationClampMaximum = "SCHED_FLAG_UTIL_CLAMP_MAX"
    }
    public var policy: Policy
    public var nice: Int32 = 0
    public var priority: Int32 = 0
    public var flags: [Flag] = []
    /// Nanoseconds, for SCHED_DEADLINE.
    public var runtimeNanoseconds: UInt64 = 0
    public var deadlineNanoseconds: UInt64 = 0
    public var periodNanoseconds: UInt64 = 0

    public init(policy: Policy) { self.policy = policy }
}

/// CPU lists (`0-3,7`) for a process that `exec` adds: while it is being set up, and afterwards.
public struct ExecCPUAffinity: Equatable, Sendable {
    public var initial: String?
    public var final: String?

    public init(initial: String? = nil, final: String? = nil) {
        self.initial = initial
        self.final = final
    }
}
