internal import CLinux

/// How the scheduler treats a process. - Source: sched_setattr(2), sched(7).
package struct SchedulerSettings: Equatable, Sendable {
    /// SCHED_OTHER 0, SCHED_FIFO 1, SCHED_RR 2, SCHED_BATCH 3, SCHED_IDLE 5, SCHED_DEADLINE 6.
    package var policy: UInt32
    /// SCHED_FLAG_*.
    package var flags: UInt64 = 0
    /// -20 (first) to 19.
    package var nice: Int32 = 0
    /// 1 to 99 (first), for SCHED_FIFO and SCHED_RR.
    package var priority: UInt32 = 0
    /// For SCHED_DEADLINE.
    package var runtimeNanoseconds: UInt64 = 0
    package var deadlineNanoseconds: UInt64 = 0
    package var periodNanoseconds: UInt64 = 0

    package init(policy: UInt32) { self.policy = policy }
}

/// Changes how a process, 0 for the caller, is scheduled. - Source: sched_setattr(2), Linux 3.14.
package func setScheduler(_ settings: SchedulerSettings, of process: Int32, subject: String) throws(SyscallError) {
    var attributes = clinux_scheduler(
        size: 0, policy: settings.policy, flags: settings.flags, nice: settings.nice, priority: settings.priority,
        runtime: settings.runtimeNanoseconds, deadline: settings.deadlineNanoseconds, period: settings.periodNanoseconds)
    try checked("sched_setattr", subject) { unsafe clinux_set_scheduler(process, &attributes) }
}

/// Changes the priority of a process's input and output. - Parameter priority: the class in bits 13 to 15, the level below.
/// - Source: ioprio_set(2).
package func setIOPriority(_ priority: Int32, of process: Int32, subject: String) throws(SyscallError) {
    try checked("ioprio_set", subject) { clinux_set_io_priority(process, priority) }
}

/// Numbers as bits of words, as the kernel takes sets of CPUs and memory nodes.
package struct NumberSet: Equatable, Sendable {
    /// Past the most CPUs and memory nodes of any kernel.
    package static let limit = 8192

    /// Every number below the limit.
    package static let everything = NumberSet(words: Array(repeating: .max, count: limit / 64))

    package let words: [UInt64]

    private init(words: [UInt64]) { self.words = words }

    /// Reads a list such as `0-3,7`; nil for what is none, is empty, or goes past the limit. - Source: cpuset(7), "List format".
    package init?(list: String) {
        var words: [UInt64] = []
        for part in list.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false).map { digits -> Int? in
                digits.isEmpty || digits.count > 4 || !digits.allSatisfy { (0x30...0x39).contains($0) }
                    ? nil : Int(String(Substring(digits)))
            }
            guard let first = ends[0], let last = ends[ends.count - 1], ends.count <= 2, first <= last, last < Self.limit else {
                return nil
            }
            if words.count <= last / 64 { words += Array(repeating: 0, count: last / 64 + 1 - words.count) }
            for number in first...last { words[number / 64] |= 1 << UInt64(number % 64) }
        }
        self.words = words
    }
}

/// Lets the calling process run on these CPUs alone. - Source: sched_setaffinity(2).
package func setAffinity(_ cpus: NumberSet, subject: String) throws(SyscallError) {
    try checked("sched_setaffinity", subject) { unsafe clinux_set_affinity(0, cpus.words, cpus.words.count) }
}

/// From which nodes the calling process, and what it executes, gets its memory. - Parameter mode: MPOL_* with MPOL_F_*.
/// - Source: set_mempolicy(2).
package func setMemoryPolicy(_ mode: Int32, nodes: NumberSet?, subject: String) throws(SyscallError) {
    let words = nodes?.words ?? []
    try checked("set_mempolicy", subject) { unsafe clinux_set_memory_policy(mode, words, words.count) }
}
