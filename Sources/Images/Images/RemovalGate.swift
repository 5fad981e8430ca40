internal import Synchronization

/// Keeps apart those who take away and who looks for what nothing needs. Between a record's end and that of what was on it, such things lie
/// there: whoever looks waits for the removals that have begun, and those that begin wait until it has looked.
final class RemovalGate: Sendable {
    private struct State {
        var removals = 0
        var isLooking = false
        var waitingRemovals: [CheckedContinuation<Void, Never>] = []
        var waitingLooks: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// Runs what takes away; others may do so beside it. Not within itself. Waits also where the task is cancelled: a look is short.
    func removing<Value>(_ body: () async throws(ImageError) -> Value) async throws(ImageError) -> Value {
        await withCheckedContinuation { continuation in
            let mayPass = state.withLock { state in
                if state.isLooking || !state.waitingLooks.isEmpty {
                    state.waitingRemovals.append(continuation)
                    return false
                }
                state.removals += 1
                return true
            }
            if mayPass { continuation.resume() }
        }
        defer {
            let next: CheckedContinuation<Void, Never>? = state.withLock { state in
                state.removals -= 1
                guard state.removals == 0, !state.waitingLooks.isEmpty else { return nil }
                state.isLooking = true
                return state.waitingLooks.removeFirst()
            }
            next?.resume()
        }
        return try await body()
    }

    /// Runs `body` while nothing is being taken away.
    func looking<Value>(_ body: () async throws(ImageError) -> Value) async throws(ImageError) -> Value {
        await withCheckedContinuation { continuation in
            let mayLook = state.withLock { state in
                if state.isLooking || state.removals > 0 {
                    state.waitingLooks.append(continuation)
                    return false
                }
                state.isLooking = true
                return true
            }
            if mayLook { continuation.resume() }
        }
        defer {
            // Removals first: one that waited has somebody waiting for it.
            let next: [CheckedContinuation<Void, Never>] = state.withLock { state in
                state.isLooking = false
                if state.waitingRemovals.isEmpty {
                    if state.waitingLooks.isEmpty { return [] }
                    state.isLooking = true
                    return [state.waitingLooks.removeFirst()]
                }
                defer { state.waitingRemovals = [] }
                state.removals += state.waitingRemovals.count
                return state.waitingRemovals
            }
            for continuation in next { continuation.resume() }
        }
        return try await body()
    }
}
