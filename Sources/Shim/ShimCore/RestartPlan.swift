package import ShimProtocol

/// Whether and when a container is started again: its rule, and what became of it so far.
package struct RestartPlan: Equatable, Sendable {
    package var rule: RestartRule
    package private(set) var count: UInt32 = 0
    private var delay: Duration?
    /// Somebody wants the container no more: its next end is its last.
    package private(set) var isOver = false

    /// The next end is followed by a restart, whatever the rule.
    package var isForced = false
    /// When the restart that is to come begins, on the monotonic clock, in nanoseconds; 0 where none is waited for.
    private var dueMonotonic: UInt64 = 0

    package init(_ rule: RestartRule) { self.rule = rule }

    /// Goes on with what a killed shim knew.
    package init(_ record: RestartRecord) {
        rule = record.rule ?? RestartRule()
        count = record.count
        delay = record.delay == 0 ? nil : .nanoseconds(Int64(clamping: record.delay))
        isOver = record.isOver
        isForced = record.isForced
        dueMonotonic = record.dueMonotonic
    }

    /// What another shim must know of it.
    package var record: RestartRecord {
        var record = RestartRecord()
        record.rule = rule
        record.count = count
        record.delay = UInt64(clamping: (delay ?? .zero).nanoseconds)
        record.isOver = isOver
        record.isForced = isForced
        record.dueMonotonic = dueMonotonic
        return record
    }

    package mutating func end() { isOver = true }

    /// Notes that a restart begins after a wait. - Parameter now: on the monotonic clock, nanoseconds.
    package mutating func wait(_ delay: Duration, from now: Int64) { dueMonotonic = UInt64(clamping: now + delay.nanoseconds) }

    /// How long is still to wait for a restart that a killed shim had begun to wait for, or to make.
    /// - Parameter now: on the monotonic clock, nanoseconds.
    package func delayLeft(now: Int64) -> Duration {
        let left = Duration.nanoseconds(Int64(clamping: dueMonotonic) - now)
        return min(max(left, RestartPause.first), RestartPause.longest)
    }

    /// Notes an end of the process. - Returns: how long to wait before it is started again; nil where it is not.
    package mutating func delayAfterEnd(exitStatus: UInt32, ran: Duration) -> Duration? {
        if ran >= RestartPause.steadyRun { delay = nil }
        let next = RestartPause.next(after: delay)
        delay = next
        defer { isForced = false }
        guard !isOver, isForced || rule.wantsRestart(afterStatus: exitStatus, restartCount: count) else { return nil }
        // A count at its end stays there.
        if count < .max { count += 1 }
        return next
    }
}

extension Duration {
    /// Of a span that is no longer than `RestartPause.longest`.
    fileprivate var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
