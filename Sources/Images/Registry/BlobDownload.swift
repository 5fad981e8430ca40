package import CoreTypes

/// Takes a blob's bytes in order, those of interrupted attempts included.
package protocol BlobSink: Sendable {
    /// How many bytes it has: where a resumed download goes on.
    var receivedBytes: Int64 { get }
    /// Takes the next bytes. Blocks while there is no room: the registry then waits.
    /// - Throws: `.receiverStopped` to end the download.
    func append(_ bytes: [UInt8]) throws(RegistryError)
}

extension RepositorySession {
    /// Attempts in a row that brought no byte.
    private static let fruitlessLimit = 4
    /// Attempts in all, however much each brought.
    private static let resumptionLimit = 64

    /// Fetches a blob, going on where `sink` stands, over as many connections as that takes. The bytes are counted; it is
    /// for `sink` to hold them against the digest.
    /// - Throws: `.malformed` where the registry has more or fewer bytes than `sizeBytes`.
    package func fetchBlob(_ digest: Digest, sizeBytes: Int64, into sink: any BlobSink) throws(RegistryError) {
        let whole = try request(.get, "blobs/\(digest)")
        var fruitless = 0
        var last: RegistryError?
        for _ in 0..<Self.resumptionLimit {
            let start = sink.receivedBytes
            if start == sizeBytes { return }
            var request = whole
            if start > 0 { request.headers.append(("Range", "bytes=\(start)-")) }
            let receiver = BlobReceiver(request.shown, from: start, sizeBytes: sizeBytes, sink: sink)
            do throws(RegistryError) {
                try send(request, into: receiver)
                // A body without a length may end early and look complete.
                last = RegistryError(.network, doing: request.shown, cause: "unexpected EOF")
            } catch {
                if error.code != .network { throw error }
                last = error
            }
            if sink.receivedBytes == sizeBytes { return }
            fruitless = sink.receivedBytes > start ? 0 : fruitless + 1
            if fruitless == Self.fruitlessLimit { break }
            try pause(seconds: 0.2 * Double(1 << fruitless), request)
        }
        throw last ?? RegistryError(.network, doing: "fetch \(digest)", cause: "interrupted too often")
    }
}

/// Brings the bytes of one response to the sink, from where the sink stands.
private final class BlobReceiver: ResponseReceiver {
    private let request: String
    private let start: Int64
    private let sizeBytes: Int64
    private let sink: any BlobSink
    private var skip: Int64 = 0
    private var remaining: Int64

    init(_ request: String, from start: Int64, sizeBytes: Int64, sink: any BlobSink) {
        self.request = request
        self.start = start
        self.sizeBytes = sizeBytes
        self.sink = sink
        remaining = sizeBytes - start
    }

    func begin(_ head: ResponseHead) throws(RegistryError) {
        remaining = sizeBytes - start
        if head.status == 206 {
            let range = head.headers["content-range"] ?? "none"
            guard start > 0, range.hasPrefix("bytes \(start)-") else {
                throw RegistryError(.malformed, doing: request, cause: "asked for bytes from \(start), got \(range.prefix(100))")
            }
        } else {
            // The registry knows no ranges: what is here already passes by once more.
            skip = start
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
        if !fresh.isEmpty { try sink.append(fresh) }
    }

    private func wrongSize(_ found: String) throws(RegistryError) {
        throw RegistryError(.malformed, doing: request, cause: "blob of \(sizeBytes) bytes announced, \(found) sent")
    }
}
