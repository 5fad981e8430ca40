internal import Dispatch
internal import Synchronization

/// The threads that fetch pieces of blobs ahead, and the memory that the pieces may take until they are taken in their order: as much
/// for a thousand pulls as for one.
final class PieceBudget: Sendable {
    /// Bytes of one piece.
    static let pieceBytes = 1 << 20
    /// Pieces at a time, of all blobs together.
    private static let limit = 4

    private let threads = BlockingPool(name: "apus.registry.piece", width: PieceBudget.limit)
    private let free = Mutex(PieceBudget.limit)

    /// Starts to fetch a piece, if there is a thread and memory for it.
    /// - Parameters:
    ///   - request: for the bytes from `start` to before `end`.
    ///   - session: ends the fetch when it is cancelled.
    /// - Returns: nil where there is none.
    func start(_ request: HTTPRequest, from start: Int64, to end: Int64, of sizeBytes: Int64, _ session: RepositorySession) -> BlobPiece? {
        let isFree = free.withLock { free in
            if free == 0 { return false }
            free -= 1
            return true
        }
        guard isFree else { return nil }
        let piece = BlobPiece(start: start, end: end) { [self] in free.withLock { $0 += 1 } }
        return threads.runIfIdle { piece.fetch(request, of: sizeBytes, session) } ? piece : nil
    }
}

/// Some bytes of a blob that are fetched before those in front of them have arrived.
final class BlobPiece: BlobSink {
    private let start: Int64
    /// The byte behind its last.
    let end: Int64
    private let giveBack: @Sendable () -> Void
    private let ended = DispatchSemaphore(value: 0)
    private let state = Mutex<(chunks: [[UInt8]], count: Int64, refusal: RegistryError?)>(([], 0, nil))

    init(start: Int64, end: Int64, giveBack: @escaping @Sendable () -> Void) {
        self.start = start
        self.end = end
        self.giveBack = giveBack
    }

    deinit { giveBack() }

    var receivedBytes: Int64 { start + state.withLock { $0.count } }

    func append(_ bytes: [UInt8]) throws(RegistryError) {
        state.withLock { state in
            state.chunks.append(bytes)
            state.count += Int64(bytes.count)
        }
    }

    /// Fetches it, or part of it: whoever takes the piece fetches the rest, and finds out what was wrong.
    fileprivate func fetch(_ request: HTTPRequest, of sizeBytes: Int64, _ session: RepositorySession) {
        defer { ended.signal() }
        let receiver = PartReceiver(BlobReceiver(request.shown, from: start, to: end, sizeBytes: sizeBytes, sink: self), request.shown)
        do throws(RegistryError) { try session.send(request, into: receiver, attempts: 1, goesOn: false) } catch {
            state.withLock { $0.refusal = error }
        }
    }

    /// The bytes that came, once no more will, and what ended it before all had come. Asked once.
    func wait() -> (chunks: [[UInt8]], refusal: RegistryError?) {
        ended.wait()
        return state.withLock { state in
            defer { state.chunks = [] }
            return (state.chunks, state.refusal)
        }
    }
}

/// Takes a part of a blob and nothing else: a registry that sends all in its place is not listened to.
private final class PartReceiver: ResponseReceiver {
    private let receiver: BlobReceiver
    private let request: String

    init(_ receiver: BlobReceiver, _ request: String) {
        self.receiver = receiver
        self.request = request
    }

    func begin(_ head: ResponseHead) throws(RegistryError) {
        if head.status != 206 { throw RegistryError(.outOfStep, doing: request, cause: "asked for a part, got all") }
        try receiver.begin(head)
    }

    func receive(_ bytes: [UInt8]) throws(RegistryError) { try receiver.receive(bytes) }
}
