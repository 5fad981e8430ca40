internal import Archive
internal import Dispatch
internal import Synchronization

/// Chunks from a thread that makes them to a task that sends them on, a bounded number at a time. Before the first comes a note of what
/// they are.
final class ReversePipe<Note: Sendable>: Sendable {
    /// Chunks that wait: for as long as the reader likes, and for many readers at a time.
    private static var capacity: Int { 2 }

    private struct State {
        var note: Note?
        var chunks: [[UInt8]] = []
        /// Set at the end, with what went wrong.
        var end: EngineError??
        var readerLeft = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    // Dispatch traps when a semaphore dies below the value it was born with, so it is born empty.
    private let free = DispatchSemaphore(value: 0)

    init() { for _ in 0..<Self.capacity { free.signal() } }

    // MARK: The thread's end

    /// - Throws: `.unavailable` when the reader has left.
    func begin(_ note: Note) throws(EngineError) {
        if change({
            $0.note = note; return $0.readerLeft
        }) {
            throw Self.readerLeft
        }
    }

    /// Waits for a reader that takes nothing until it leaves: its pace is its own affair.
    func send(_ chunk: [UInt8]) throws(ArchiveError) {
        free.wait()
        let readerLeft = change { state in
            if !state.readerLeft { state.chunks.append(chunk) }
            return state.readerLeft
        }
        if readerLeft {
            free.signal()
            throw ArchiveError(.cancelled, doing: "hand bytes to the client")
        }
    }

    /// Ends the chunks, in good order or not. Only the first call counts.
    func finish(_ error: EngineError?) {
        change { if $0.end == nil { $0.end = .some(error) } }
    }

    // MARK: The task's end

    func note() async throws(EngineError) -> Note {
        while true {
            let (note, end) = state.withLock { ($0.note, $0.end) }
            if let note { return note }
            if let end { throw end ?? Self.readerLeft }
            try await waitForChange()
        }
    }

    /// The next chunk; nil at a good end.
    func next() async throws(EngineError) -> [UInt8]? {
        while true {
            let (chunk, end) = state.withLock { state in
                (state.chunks.isEmpty ? nil : state.chunks.removeFirst(), state.end)
            }
            if let chunk {
                free.signal()
                return chunk
            }
            if let end {
                if let error = end { throw error }
                return nil
            }
            try await waitForChange()
        }
    }

    /// The reader takes no more; the thread learns it at its next chunk.
    func abandon() {
        change { state in
            state.readerLeft = true
            state.chunks = []
        }
        free.signal()
    }

    private func waitForChange() async throws(EngineError) {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state -> Bool in
                    let isReady = !state.chunks.isEmpty || state.end != nil || state.readerLeft || Task.isCancelled
                    if !isReady { state.waiter = continuation }
                    return isReady
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            abandon()
        }
        if Task.isCancelled { throw Self.readerLeft }
    }

    @discardableResult
    private func change<Value>(_ body: (inout State) -> Value) -> Value {
        let (value, waiter) = state.withLock { state in
            let value = body(&state)
            let waiter = state.waiter
            state.waiter = nil
            return (value, waiter)
        }
        waiter?.resume()
        return value
    }

    private static var readerLeft: EngineError { EngineError(.unavailable, "the client has left") }
}
