internal import Synchronization

/// One holder at a time for each key; the others wait in order. What two pulls have in common is fetched by whoever comes
/// first, and found there by the other.
final class KeyedTurns<Key: Hashable & Sendable>: Sendable {
    private struct Waiter {
        let number: UInt64
        let call: AsyncStream<Never>.Continuation
    }

    private struct State {
        /// A key is held while it is in here.
        var queues: [Key: [Waiter]] = [:]
        var nextNumber: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Runs `body` while holding the key.
    /// - Throws: `.cancelled` where the task is cancelled before its turn comes; what `body` throws.
    func withTurn<Value>(
        _ key: Key, isolation: isolated (any Actor)? = #isolation, _ body: () async throws(ImageError) -> Value
    ) async throws(ImageError) -> Value {
        try await acquire(key)
        defer { release(key) }
        return try await body()
    }

    private func acquire(_ key: Key, isolation: isolated (any Actor)? = #isolation) async throws(ImageError) {
        let (stream, call) = AsyncStream<Never>.makeStream()
        let number: UInt64? = state.withLock { state in
            guard state.queues[key] != nil else {
                state.queues[key] = []
                return nil
            }
            state.nextNumber += 1
            state.queues[key]?.append(Waiter(number: state.nextNumber, call: call))
            return state.nextNumber
        }
        guard let number else { return }
        // Ends when the turn comes, and when the task is cancelled.
        for await _ in stream {}
        guard Task.isCancelled else { return }
        let hadCome = state.withLock { state in
            guard let position = state.queues[key]?.firstIndex(where: { $0.number == number }) else { return true }
            state.queues[key]?.remove(at: position)
            return false
        }
        if hadCome { release(key) }
        throw .cancelled
    }

    private func release(_ key: Key) {
        let next: Waiter? = state.withLock { state in
            guard let first = state.queues[key]?.first else {
                state.queues[key] = nil
                return nil
            }
            state.queues[key]?.removeFirst()
            return first
        }
        next?.call.finish()
    }
}

/// A value that comes once, to one who waits for it even when cancelled.
final class Delivery<Value: Sendable>: Sendable {
    private enum State {
        case empty
        case awaited(CheckedContinuation<Value, Never>)
        case delivered(Value)
    }

    private let state = Mutex(State.empty)

    /// Hands the value over; only the first counts.
    func deliver(_ value: Value) {
        let waiting: CheckedContinuation<Value, Never>? = state.withLock { state in
            switch state {
            case .empty:
                state = .delivered(value)
                return nil
            case .awaited(let continuation):
                state = .delivered(value)
                return continuation
            case .delivered: return nil
            }
        }
        waiting?.resume(returning: value)
    }

    /// Waits for the value. Asked by one task only.
    var value: Value {
        get async {
            await withCheckedContinuation { continuation in
                let here: Value? = state.withLock { state in
                    if case .delivered(let value) = state { return value }
                    state = .awaited(continuation)
                    return nil
                }
                if let here { continuation.resume(returning: here) }
            }
        }
    }
}
