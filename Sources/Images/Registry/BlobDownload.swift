internal import CoreTypes

/// Takes a blob's bytes in order, those of interrupted attempts included.
package protocol BlobSink: Sendable {
    /// How many bytes it has: where a resumed download goes on.
    var receivedBytes: Int64 { get }
    /// Takes the next bytes. Blocks while there is no room: the registry then waits.
    /// - Throws: `.receiverStopped` to end the download.
    func append(_ bytes: [UInt8]) throws(RegistryError)
}

extension RepositorySession {
    /// Fetches a blob, going on where `sink` stands, over as many connections as that takes. The bytes are counted; it is
    /// for `sink` to hold them against the digest.
    /// - Throws: `.malformed` where the registry has more or fewer bytes than `sizeBytes`.
    func fetchBlob(_ digest: Digest, sizeBytes: Int64, into sink: any BlobSink) throws(RegistryError) {
        var download = BlobDownload(session: self, whole: try request(.get, "blobs/\(digest)"), sizeBytes: sizeBytes, sink: sink)
        try download.run()
    }
}

/// One blob on its way from one registry: in one piece where that is as fast as we can take it, in several at a time where the
/// registry serves parts and one connection is slower than that.
private struct BlobDownload {
    /// Blobs below this are not worth a second connection.
    private static let wholeBytes: Int64 = 16 << 20
    /// What one connection brings in a second where it is not the bottleneck: a decompressor takes about as much.
    private static let fastBytesPerSecond = 64.0 * 1024 * 1024
    /// Pieces of one blob at a time.
    private static let pieceLimit = 4

    let session: RepositorySession
    let whole: HTTPRequest
    let sizeBytes: Int64
    let sink: any BlobSink

    private var resumptions: Resumptions
    private var knowsRanges = true
    /// Whether it sent what no blob of this size has: it is asked once more where nobody else is.
    private var hasMisspoken = false

    init(session: RepositorySession, whole: HTTPRequest, sizeBytes: Int64, sink: any BlobSink) {
        self.session = session
        self.whole = whole
        self.sizeBytes = sizeBytes
        self.sink = sink
        resumptions = Resumptions(fruitlessLimit: session.patience == .full ? session.client.configuration.downloadAttempts : 1)
    }

    mutating func run() throws(RegistryError) {
        var isFast: Bool?
        while sink.receivedBytes < sizeBytes {
            let start = sink.receivedBytes
            if !knowsRanges || isFast == true || sizeBytes - start < Self.wholeBytes {
                try fetch(upTo: sizeBytes)
            } else if isFast == nil {
                // The first piece shows what one connection brings.
                let receiver = try fetch(upTo: start + Int64(PieceBudget.pieceBytes))
                knowsRanges = receiver.isPart
                isFast = receiver.networkSeconds * Self.fastBytesPerSecond < Double(sink.receivedBytes - start)
            } else {
                try fetchInPieces()
            }
        }
    }

    /// One request, for what is missing before `end`. A connection that breaks is no error as long as something arrives now and then.
    @discardableResult
    private mutating func fetch(upTo end: Int64) throws(RegistryError) -> BlobReceiver {
        let start = sink.receivedBytes
        let isPart = knowsRanges && (start > 0 || end < sizeBytes)
        let request = isPart ? whole.part(from: start, to: end, of: sizeBytes) : whole
        let receiver = BlobReceiver(request.shown, from: start, to: isPart ? end : sizeBytes, sizeBytes: sizeBytes, sink: sink)
        var refusal: RegistryError?
        do throws(RegistryError) {
            try session.send(request, into: receiver, goesOn: false)
            // A body without a length may end early and look complete.
            if sink.receivedBytes < (receiver.isPart ? end : sizeBytes) {
                refusal = RegistryError(.interrupted, doing: request.shown, cause: "unexpected EOF")
            }
        } catch {
            switch error.code {
            case .network, .interrupted, .stalled: break
            case .outOfStep where isPart:
                // It does not know this range: what is here already passes by once more.
                knowsRanges = false
            case .malformed where session.patience == .full && !hasMisspoken: hasMisspoken = true
            default: throw error
            }
            refusal = error
        }
        guard let refusal else {
            resumptions.succeed()
            return receiver
        }
        try leave(after: refusal)
        guard resumptions.refuse(hasBrought: sink.receivedBytes > start) else { throw refusal }
        let fruitless = resumptions.fruitless
        try session.pause(seconds: fruitless == 0 ? 0.1 : 0.2 * Double(1 << fruitless), request)
        return receiver
    }

    /// Where another may have the same, a server that stalls is asked for no more, whatever it brought.
    private func leave(after refusal: RegistryError) throws(RegistryError) {
        if refusal.code == .stalled && session.patience != .full { throw refusal }
    }

    /// Fetches pieces ahead as long as there are threads and memory for them, and takes them in order.
    private mutating func fetchInPieces() throws(RegistryError) {
        let cancellation = Cancellation(within: session.cancellation)
        // Pieces that nobody will take end by themselves; each gives its memory back.
        defer { cancellation.cancel() }
        let helper = RepositorySession(session, cancellation: cancellation)
        var pieces: [BlobPiece] = []
        var next = sink.receivedBytes
        while sink.receivedBytes < sizeBytes {
            while pieces.count < Self.pieceLimit, next < sizeBytes {
                let end = min(next + Int64(PieceBudget.pieceBytes), sizeBytes)
                let request = whole.part(from: next, to: end, of: sizeBytes)
                guard let piece = session.client.ahead.start(request, from: next, to: end, of: sizeBytes, helper) else { break }
                pieces.append(piece)
                next = end
            }
            guard !pieces.isEmpty else {
                // Others have the threads: go on alone for a while.
                try fetch(upTo: min(next + Int64(PieceBudget.pieceBytes), sizeBytes))
                if !knowsRanges { return }
                next = sink.receivedBytes
                continue
            }
            let piece = pieces.removeFirst()
            let fetched = piece.wait()
            for chunk in fetched.chunks { try sink.append(chunk) }
            if let refusal = fetched.refusal { try leave(after: refusal) }
            // What it did not bring, we fetch.
            while sink.receivedBytes < piece.end {
                try fetch(upTo: piece.end)
                if !knowsRanges { return }
            }
            resumptions.succeed()
        }
    }
}

extension HTTPRequest {
    /// The request for a part of the same. - Source: RFC 9110, section 14.2.
    fileprivate func part(from start: Int64, to end: Int64, of sizeBytes: Int64) -> HTTPRequest {
        var part = self
        part.headers.append(("Range", end == sizeBytes ? "bytes=\(start)-" : "bytes=\(start)-\(end - 1)"))
        return part
    }
}

/// Brings the bytes of one response to the sink, from where the sink stands.
final class BlobReceiver: ResponseReceiver {
    private let request: String
    private let start: Int64
    private let end: Int64
    private let sizeBytes: Int64
    private let sink: any BlobSink
    private var skip: Int64 = 0
    private var remaining: Int64
    private let clock = ContinuousClock()
    private var begun: ContinuousClock.Instant
    private var sinkTime = Duration.zero
    /// Whether the registry sent the part that was asked for; else it sends all.
    private(set) var isPart = false

    /// - Parameters:
    ///   - start: the first byte that is wanted.
    ///   - end: the byte behind the last that is wanted.
    init(_ request: String, from start: Int64, to end: Int64, sizeBytes: Int64, sink: any BlobSink) {
        self.request = request
        self.start = start
        self.end = end
        self.sizeBytes = sizeBytes
        self.sink = sink
        remaining = end - start
        begun = clock.now
    }

    /// How long it took without what the sink took.
    var networkSeconds: Double {
        let time = begun.duration(to: clock.now) - sinkTime
        return Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
    }

    func begin(_ head: ResponseHead) throws(RegistryError) {
        if head.status == 206 {
            let range = head.headers["content-range"] ?? "none"
            guard range.hasPrefix("bytes \(start)-") else {
                throw RegistryError(.malformed, doing: request, cause: "asked for bytes from \(start), got \(range.prefix(100))")
            }
            isPart = true
            remaining = end - start
        } else {
            // The registry knows no ranges: what is here already passes by once more.
            skip = start
            remaining = sizeBytes - start
            if let length = head.contentLength, length != sizeBytes { try wrongSize("\(length)") }
        }
    }

    func receive(_ bytes: [UInt8]) throws(RegistryError) {
        var fresh = bytes
        if skip > 0 {
            let count = Int(min(skip, Int64(bytes.count)))
            skip -= Int64(count)
            fresh.removeFirst(count)
        }
        remaining -= Int64(fresh.count)
        if remaining < 0 { try wrongSize("more") }
        if fresh.isEmpty { return }
        let before = clock.now
        try sink.append(fresh)
        sinkTime += before.duration(to: clock.now)
    }

    private func wrongSize(_ found: String) throws(RegistryError) {
        throw RegistryError(.malformed, doing: request, cause: "blob of \(sizeBytes) bytes announced, \(found) sent")
    }
}
