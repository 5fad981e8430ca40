internal import Dispatch
internal import Synchronization

/// A bounded queue of chunks between the thread that receives a blob and the thread that unpacks it. `send` blocks while
/// the queue is full, `next` while it is empty; neither longer than `timeout`.
package final class BytePipe: ByteSource {
    /// The most chunks that wait. An unpacker that is as fast as the registry needs few; one that is slower gains nothing by more.
    package static let chunkLimit = 8

    private struct State {
        var chunks: [[UInt8]] = []
        var end: End?
        var readerLeft = false
    }

    private enum End {
        case finished
        case failed(String)
    }

    private let timeout: Duration
    private let state = Mutex(State())
    // Dispatch traps when a semaphore dies below the value it was born with, so both are born empty.
    private let filled = DispatchSemaphore(value: 0)
    private let free = DispatchSemaphore(value: 0)

    /// - Parameter timeout: how long either end waits for the other.
    package init(timeout: Duration) {
        self.timeout = timeout
        for _ in 0..<Self.chunkLimit { free.signal() }
    }

    /// Hands a chunk to the reader.
    /// - Throws: `.cancelled` when the reader has left; `.timedOut`.
    package func send(_ chunk: [UInt8]) throws(ArchiveError) {
        if chunk.isEmpty { return }
        try wait(free, doing: "hand bytes to the unpacker")
        let readerLeft = state.withLock { state in
            if !state.readerLeft { state.chunks.append(chunk) }
            return state.readerLeft
        }
        if readerLeft {
            free.signal()
            throw ArchiveError(.cancelled, doing: "hand bytes to the unpacker")
        }
        filled.signal()
    }

    /// All bytes have been sent. Only the first of `finish` and `fail` counts.
    package func finish() { end(.finished) }

    /// There will be no more bytes, for a reason that the reader is told.
    package func fail(_ reason: String) { end(.failed(reason)) }

    private func end(_ end: End) {
        state.withLock { if $0.end == nil { $0.end = end } }
        filled.signal()
    }

    /// The reader takes no more: what waits is dropped, and senders are woken and told.
    package func abandon() {
        state.withLock { state in
            state.readerLeft = true
            state.chunks = []
        }
        free.signal()
    }

    package func next() throws(ArchiveError) -> [UInt8] {
        try wait(filled, doing: "wait for bytes")
        enum Taken {
            case chunk([UInt8])
            case end
            case failed(String)
        }
        let taken: Taken = state.withLock { state in
            if !state.chunks.isEmpty { return .chunk(state.chunks.removeFirst()) }
            if case .failed(let reason)? = state.end { return .failed(reason) }
            return .end
        }
        switch taken {
        case .chunk(let chunk):
            free.signal()
            return chunk
        case .end:
            filled.signal()
            return []
        case .failed(let reason):
            filled.signal()
            throw ArchiveError(.source, doing: "wait for bytes", subject: reason)
        }
    }

    private func wait(_ semaphore: DispatchSemaphore, doing: String) throws(ArchiveError) {
        let parts = timeout.components
        let nanoseconds = Int(clamping: parts.seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let deadline: DispatchTime =
            nanoseconds.overflow
            ? .distantFuture : .now() + .nanoseconds(nanoseconds.partialValue + Int(parts.attoseconds / 1_000_000_000))
        if semaphore.wait(timeout: deadline) == .timedOut { throw ArchiveError(.timedOut, doing: doing) }
    }
}
