internal import Synchronization

/// A value that comes once and that any number of tasks wait for.
final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case waiting([(id: Int, continuation: CheckedContinuation<Value?, Never>)], nextID: Int)
        case settled(Value)
    }

    private let state = Mutex(State.waiting([], nextID: 0))

    init() {}

    init(_ value: Value) { settle(value) }

    /// Gives the value to everyone who waits or will wait. Only the first call counts.
    func settle(_ value: Value) {
        let waiters = state.withLock { state -> [(id: Int, continuation: CheckedContinuation<Value?, Never>)] in
            guard case .waiting(let waiters, _) = state else { return [] }
            state = .settled(value)
            return waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: value) }
    }

    /// The value if it has come.
    var settledValue: Value? {
        state.withLock { if case .settled(let value) = $0 { value } else { nil } }
    }

    /// The value, when it comes.
    func value() async throws(CancellationError) -> Value {
        let id = state.withLock { state -> Int in
            guard case .waiting(let waiters, let id) = state else { return 0 }
            state = .waiting(waiters, nextID: id + 1)
            return id
        }
        let value = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in register(continuation, id: id) }
        } onCancel: {
            withdraw(id)
        }
        guard let value else { throw CancellationError() }
        return value
    }

    /// The value if it comes in time; nil otherwise. A nil timeout waits for ever.
    func value(within timeout: Duration?) async -> Value? {
        guard let timeout else { return try? await value() }
        return await withTaskGroup(of: Value?.self) { group in
            group.addTask { try? await self.value() }
            group.addTask {
                // Cancelled when the value came first.
                try? await Pause.wait(for: timeout)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }

    private func register(_ continuation: CheckedContinuation<Value?, Never>, id: Int) {
        let settled = state.withLock { state -> Value?? in
            switch state {
            case .settled(let value): return .some(value)
            case .waiting(let waiters, let nextID):
                // The handler of a task that was cancelled before has run already.
                if Task.isCancelled { return .some(nil) }
                state = .waiting(waiters + [(id, continuation)], nextID: nextID)
                return nil
            }
        }
        if let settled { continuation.resume(returning: settled) }
    }

    private func withdraw(_ id: Int) {
        let withdrawn = state.withLock { state -> CheckedContinuation<Value?, Never>? in
            guard case .waiting(let waiters, let nextID) = state else { return nil }
            state = .waiting(waiters.filter { $0.id != id }, nextID: nextID)
            return waiters.first { $0.id == id }?.continuation
        }
        withdrawn?.resume(returning: nil)
    }
}
