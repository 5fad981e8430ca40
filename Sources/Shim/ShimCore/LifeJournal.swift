internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol

/// What happened to the container, numbered, for a daemon that follows it or was away: the last changes are kept.
final class LifeJournal {
    static let maximumCount = 64
    /// Of those, beginnings and ends of health checks.
    private static let maximumCheckCount = 8
    /// Clients that wait for the next change.
    static let maximumWaiterCount = 64

    private(set) var changes: [LifeChange] = []
    private(set) var lastRevision: UInt64
    private var waiters: [ServerCall] = []
    /// Called after each change, before anybody is told.
    var onNote: (() -> Void)?

    /// - Parameter revision: the last one of the container's former runs; those of this one are greater, also where the clock was set back.
    init(after revision: UInt64) { lastRevision = max(min(revision, UInt64(Int64.max)), UInt64(clamping: unixNanoseconds())) }

    /// Notes a change and tells those who wait for one.
    func note(_ change: LifeChange) {
        var change = change
        lastRevision += 1
        change.revision = lastRevision
        if change.at == nil { change.at = ProtobufTimestamp(unixNanoseconds: unixNanoseconds()) }
        if change.isOfCheck, changes.count(where: \.isOfCheck) == Self.maximumCheckCount,
            let oldest = changes.firstIndex(where: \.isOfCheck)
        {
            changes.remove(at: oldest)
        }
        if changes.count == Self.maximumCount {
            // However often memory runs out or health turns, the life itself stays known.
            changes.remove(at: changes.firstIndex { !$0.isTurn } ?? 0)
        }
        changes.append(change)
        onNote?()
        let told = waiters
        waiters = []
        for call in told { call.succeed(FollowResponse(changes: [change])) }
    }

    /// Goes on with what a killed shim knew.
    func restore(_ life: LifeRecord) {
        changes = life.changes
        lastRevision = max(lastRevision, life.lastRevision)
    }

    /// Answers with the changes after a revision, at once or when the next one comes.
    func answer(_ call: ServerCall, after revision: UInt64) {
        let known = changes.filter { $0.revision > revision }
        if !known.isEmpty { return call.succeed(FollowResponse(changes: known)) }
        guard waiters.count < Self.maximumWaiterCount else {
            return call.fail(ShimError(.limitReached, "more than \(Self.maximumWaiterCount) clients that follow a container"))
        }
        waiters.append(call)
        call.onClosed = { [weak self] in self?.waiters.removeAll { $0.connection == nil } }
    }

    /// Lets go of those who wait: the container is gone.
    func close(_ error: ShimError) {
        let told = waiters
        waiters = []
        for call in told { call.fail(error) }
    }
}
