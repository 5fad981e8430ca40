internal import LinuxSyscalls
internal import OCISpec

/// How a process is scheduled: set by the runtime, whose rights it takes, once the process has everything else.
struct SchedulingPlan: Equatable, Sendable {
    var scheduler: SchedulerSettings?
    /// With the name of its class, for messages.
    var ioPriority: (value: Int32, name: String)?
    /// For processes that `exec` adds: before and after they enter the container's cgroup.
    var initialCPUs: NumberSet?
    var finalCPUs: NumberSet?

    static func == (left: SchedulingPlan, right: SchedulingPlan) -> Bool {
        left.scheduler == right.scheduler && left.ioPriority?.value == right.ioPriority?.value && left.initialCPUs == right.initialCPUs
            && left.finalCPUs == right.finalCPUs
    }

    init(_ process: ProcessConfiguration) throws(RuntimeError) {
        if let configured = process.scheduler { scheduler = try SchedulerSettings(configured) }
        if let configured = process.ioPriority { ioPriority = (configured.kernelValue, configured.schedulingClass.rawValue) }
        initialCPUs = try Self.cpus(process.execCPUAffinity?.initial, "initial")
        finalCPUs = try Self.cpus(process.execCPUAffinity?.final, "final")
    }

    private static func cpus(_ list: String?, _ name: String) throws(RuntimeError) -> NumberSet? {
        guard let list, !list.isEmpty else { return nil }
        guard let cpus = NumberSet(list: list) else {
            throw RuntimeError(
                .invalidConfiguration, doing: "process.execCPUAffinity.\(name)", "\(list.debugDescription) is no list of CPUs such as 0-3,7"
            )
        }
        return cpus
    }

    /// Whether `apply` has anything to do.
    var isForRuntime: Bool { scheduler != nil || ioPriority != nil }

    /// For the runtime: a process without privilege may not raise itself.
    func apply(to process: Int32) throws(RuntimeError) {
        if let ioPriority {
            try during("setting process.ioPriority") { () throws(SyscallError) in
                try setIOPriority(ioPriority.value, of: process, subject: ioPriority.name)
            }
        }
        if let scheduler {
            try during("setting process.scheduler") { () throws(SyscallError) in
                try setScheduler(scheduler, of: process, subject: "policy \(scheduler.policy)")
            }
        }
    }

    /// For a process that `exec` adds.
    func applyInitialAffinity() throws(RuntimeError) { try Self.apply(initialCPUs, "initial") }

    /// The same, in its cgroup. - Returns: what is worth a warning.
    func applyFinalAffinity() throws(RuntimeError) -> String? {
        if initialCPUs == nil && finalCPUs == nil { return Self.resetAffinity() }
        try Self.apply(finalCPUs, "final")
        return nil
    }

    /// For a process in its cgroup: it may run on all CPUs that the cgroup has, now and later, and not on its caller's alone. The kernel
    /// leaves out what the machine or the cpuset lacks. - Returns: what is worth a warning.
    static func resetAffinity() -> String? {
        do throws(SyscallError) { try setAffinity(.everything, subject: "all") } catch {
            return "the container's process stays on its caller's CPUs: \(error)"
        }
        return nil
    }

    private static func apply(_ cpus: NumberSet?, _ name: String) throws(RuntimeError) {
        guard let cpus else { return }
        try during("setting process.execCPUAffinity.\(name)") { () throws(SyscallError) in try setAffinity(cpus, subject: "") }
    }
}

extension SchedulerSettings {
    /// - Throws: `unsupported` for what Linux, or the specification, has no way to ask for.
    init(_ configured: SchedulerConfiguration) throws(RuntimeError) {
        let policy: UInt32 =
            switch configured.policy {
            case .other: 0
            case .fifo: 1
            case .roundRobin: 2
            case .batch: 3
            case .iso: throw RuntimeError(.unsupported, doing: "process.scheduler.policy", "Linux has no SCHED_ISO")
            case .idle: 5
            case .deadline: 6
            }
        self.init(policy: policy)
        for flag in configured.flags { flags |= try Self.bit(of: flag) }
        nice = configured.nice
        priority = UInt32(bitPattern: configured.priority)
        runtimeNanoseconds = configured.runtimeNanoseconds
        deadlineNanoseconds = configured.deadlineNanoseconds
        periodNanoseconds = configured.periodNanoseconds
    }

    /// - Source: linux/sched.h.
    private static func bit(of flag: SchedulerConfiguration.Flag) throws(RuntimeError) -> UInt64 {
        switch flag {
        case .resetOnFork: return 0x01
        case .reclaim: return 0x02
        case .deadlineOverrun: return 0x04
        case .keepPolicy: return 0x08
        case .keepParameters: return 0x10
        case .utilizationClampMinimum, .utilizationClampMaximum:
            throw RuntimeError(
                .unsupported, doing: "process.scheduler.flags",
                "\(flag.rawValue): the specification has no member for the value to clamp to")
        }
    }
}

extension IOPriority {
    /// - Source: linux/ioprio.h, IOPRIO_PRIO_VALUE.
    fileprivate var kernelValue: Int32 {
        let number: Int32 =
            switch schedulingClass {
            case .realTime: 1
            case .bestEffort: 2
            case .idle: 3
            }
        return number << 13 | priority
    }
}
