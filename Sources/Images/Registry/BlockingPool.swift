internal import Dispatch
internal import Synchronization

/// Threads for calls that block, so that they hold up no task. At most `width` run; the others wait in order.
package final class BlockingPool: Sendable {
    private struct State {
        /// Serial queues that are idle: each has a thread of its own while it works.
        var idle: [DispatchQueue]
        var waiting: [@Sendable () -> Void] = []
    }

    /// How many calls run at a time.
    package let width: Int
    private let state: Mutex<State>

    /// - Parameter name: what debuggers call the threads.
    package init(name: String, width: Int) {
        precondition(width > 0, "a pool without threads runs nothing")
        self.width = width
        state = Mutex(State(idle: (0..<width).map { DispatchQueue(label: "\(name).\($0)") }))
    }

    /// Runs `body` on one of the threads. A cancelled task still waits for it: pass `body` a `Cancellation` to end it early.
    package func run<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            enqueue { continuation.resume(returning: Result(catching: body)) }
        }
        return try result.get()
    }

    /// Runs `body` if a thread is idle now. - Returns: whether it will run.
    package func runIfIdle(_ body: @escaping @Sendable () -> Void) -> Bool {
        guard let queue = state.withLock({ $0.idle.popLast() }) else { return false }
        dispatch(body, on: queue)
        return true
    }

    private func enqueue(_ body: @escaping @Sendable () -> Void) {
        let queue = state.withLock { state in
            let queue = state.idle.popLast()
            if queue == nil { state.waiting.append(body) }
            return queue
        }
        if let queue { dispatch(body, on: queue) }
    }

    private func dispatch(_ body: @escaping @Sendable () -> Void, on queue: DispatchQueue) {
        queue.async {
            body()
            self.goOn(on: queue)
        }
    }

    private func goOn(on queue: DispatchQueue) {
        let next = state.withLock { state in
            let next = state.waiting.isEmpty ? nil : state.waiting.removeFirst()
            if next == nil { state.idle.append(queue) }
            return next
        }
        if let next { dispatch(next, on: queue) }
    }
}
