/// The container's program and what it is allowed.
/// - Spec: runtime-spec v1.3.0, config.md, "Process".
public struct ProcessConfiguration: Equatable, Sendable {
    /// Whether the three standard files are a terminal of its own.
    public var terminal = false
    /// Ignored without a terminal.
    public var consoleSize: ConsoleSize?
    /// Absolute, in the container.
    public var workingDirectory: String
    /// `KEY=value`.
    public var environment: [String] = []
    /// With argv[0]; required by `start`.
    public var arguments: [String] = []
    /// The member `rlimits`; each type at most once.
    public var resourceLimits: [ResourceLimit] = []
    /// nil leaves the sets as they are by default: all empty.
    public var capabilities: CapabilitySets?
    /// Whether execve(2) can give no more rights than there are: PR_SET_NO_NEW_PRIVS.
    public var noNewPrivileges = false
    /// Under which the program is executed; nil and empty are the runtime's own.
    public var appArmorProfile: String?
    /// The value for /proc/PID/oom_score_adj, -1000 to 1000; nil leaves it as inherited.
    public var oomScoreAdjustment: Int32?
    /// Under which the program is executed; nil and empty are the runtime's own.
    public var seLinuxLabel: String?
    /// Of ioprio_set(2); nil is inherited.
    public var ioPriority: IOPriority?
    /// Of sched_setattr(2); nil is inherited.
    public var scheduler: SchedulerConfiguration?
    /// Processors of processes that join the container; nil leaves those that the cgroup has.
    public var execCPUAffinity: ExecCPUAffinity?
    /// Whom the program runs as; root of the container when not given.
    public var user = UserConfiguration()

    /// - Parameter workingDirectory: absolute, in the container.
    public init(workingDirectory: String) { self.workingDirectory = workingDirectory }
}

/// A terminal's size in character cells.
public struct ConsoleSize: Equatable, Sendable {
    /// In lines, at most 65 535: what struct winsize holds.
    public var height: UInt64
    /// In columns, at most 65 535: what struct winsize holds.
    public var width: UInt64

    /// - Parameters: lines and columns.
    public init(height: UInt64, width: UInt64) {
        self.height = height
        self.width = width
    }
}

/// Whom the program runs as, in the container's user namespace.
/// - Spec: config.md, "POSIX-platform User".
public struct UserConfiguration: Equatable, Sendable {
    /// As the container's user namespace numbers it.
    public var uid: UInt32 = 0
    /// As the container's user namespace numbers it.
    public var gid: UInt32 = 0
    /// nil leaves the runtime's: 0022.
    public var umask: UInt32?
    /// Supplementary groups; the caller's are given up in any case.
    public var additionalGIDs: [UInt32] = []
    /// Only other platforms than Linux act on it.
    public var username: String?

    /// - Parameters: numbers of the container's user namespace.
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
    /// The ceiling of `soft`; 2⁶⁴ − 1 is none.
    public var hard: UInt64

    /// - Parameters: a name such as `RLIMIT_NOFILE`, and both limits in the unit of getrlimit(2).
    public init(type: String, soft: UInt64, hard: UInt64) {
        self.type = type
        self.soft = soft
        self.hard = hard
    }
}

/// The five sets of capabilities(7), by name: `CAP_KILL`.
public struct CapabilitySets: Equatable, Sendable {
    /// What execve(2) can give at most.
    public var bounding: [String] = []
    /// What the kernel asks for.
    public var effective: [String] = []
    /// What may be made effective.
    public var permitted: [String] = []
    /// What a program with file capabilities may take over.
    public var inheritable: [String] = []
    /// What a program without file capabilities keeps; permitted and inheritable as well.
    public var ambient: [String] = []

    /// No capability at all.
    public init() {}
}

/// ioprio_set(2).
public struct IOPriority: Equatable, Sendable {
    /// By the names of ioprio_set(2).
    public enum Class: String, Sendable, CaseIterable {
        case realTime = "IOPRIO_CLASS_RT"
        case bestEffort = "IOPRIO_CLASS_BE"
        case idle = "IOPRIO_CLASS_IDLE"
    }
    /// Which class; within it `priority` decides.
    public var schedulingClass: Class
    /// 0 (first) to 7.
    public var priority: Int32

    /// - Parameter priority: 0, the highest, to 7.
    public init(schedulingClass: Class, priority: Int32 = 0) {
        self.schedulingClass = schedulingClass
        self.priority = priority
    }
}

/// sched_setattr(2).
public struct SchedulerConfiguration: Equatable, Sendable {
    /// By the names of sched(7).
    public enum Policy: String, Sendable, CaseIterable {
        case other = "SCHED_OTHER"
        case fifo = "SCHED_FIFO"
        case roundRobin = "SCHED_RR"
        case batch = "SCHED_BATCH"
        case iso = "SCHED_ISO"
        case idle = "SCHED_IDLE"
        case deadline = "SCHED_DEADLINE"
    }
    /// By the names of sched_setattr(2).
    public enum Flag: String, Sendable, CaseIterable {
        case resetOnFork = "SCHED_FLAG_RESET_ON_FORK"
        case reclaim = "SCHED_FLAG_RECLAIM"
        case deadlineOverrun = "SCHED_FLAG_DL_OVERRUN"
        case keepPolicy = "SCHED_FLAG_KEEP_POLICY"
        case keepParameters = "SCHED_FLAG_KEEP_PARAMS"
        case utilizationClampMinimum = "SCHED_FLAG_UTIL_CLAMP_MIN"
        case utilizationClampMaximum = "SCHED_FLAG_UTIL_CLAMP_MAX"
    }
    /// Which the other members must fit.
    public var policy: Policy
    /// -20, the most favoured, to 19; for SCHED_OTHER and SCHED_BATCH.
    public var nice: Int32 = 0
    /// 1 to 99, for SCHED_FIFO and SCHED_RR; else 0.
    public var priority: Int32 = 0
    /// Set as they are named.
    public var flags: [Flag] = []
    /// Nanoseconds, for SCHED_DEADLINE.
    public var runtimeNanoseconds: UInt64 = 0
    /// For SCHED_DEADLINE: until when `runtimeNanoseconds` must be had, from a period's beginning.
    public var deadlineNanoseconds: UInt64 = 0
    /// For SCHED_DEADLINE: how long a period lasts; 0 is the deadline's length.
    public var periodNanoseconds: UInt64 = 0

    /// - Parameter policy: with every other value at its default.
    public init(policy: Policy) { self.policy = policy }
}

/// CPU lists (`0-3,7`) for a process that `exec` adds: while it is being set up, and afterwards.
public struct ExecCPUAffinity: Equatable, Sendable {
    /// A list such as `0-3,7` that the runtime's process itself keeps to until it is in the cgroup.
    public var initial: String?
    /// A list that the program begins with; nil is every processor that the cgroup has.
    public var final: String?

    /// - Parameters: lists such as `0-3,7`; nil changes nothing.
    public init(initial: String? = nil, final: String? = nil) {
        self.initial = initial
        self.final = final
    }
}
