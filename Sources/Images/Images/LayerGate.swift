internal import Synchronization

/// Holds up whoever is about to mount or to copy layers while one of them gives way to the same that was unpacked anew: who passes before
/// is seen by whoever closes it, who comes after finds the new one.
final class LayerGate: Sendable {
    private struct State {
        var isClosed = false
        var waiting: [AsyncStream<Never>.Continuation] = []
    }

    private let state = Mutex(State())

    /// Waits until it is open. - Throws: `.cancelled`.
    func pass() async throws(ImageError) {
        while true {
            let (stream, call) = AsyncStream<Never>.makeStream()
            let isOpen = state.withLock { state in
                if state.isClosed { state.waiting.append(call) }
                return !state.isClosed
            }
            if isOpen { return }
            for await _ in stream {}
            if Task.isCancelled { throw .cancelled }
        }
    }

    /// Runs `body` while nobody passes. Only one at a time asks for that: checks exclude each other.
    func whileClosed<Value>(_ body: () async throws(ImageError) -> Value) async throws(ImageError) -> Value {
        state.withLock { state in
            precondition(!state.isClosed, "two replacements at once")
            state.isClosed = true
        }
        defer {
            let waiting = state.withLock { state in
                defer { state = State() }
                return state.waiting
            }
            for call in waiting { call.finish() }
        }
        return try await body()
    }
}
