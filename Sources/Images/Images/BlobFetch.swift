internal import ContentStore
internal import CoreTypes
internal import Glibc
internal import Registry

/// How often a blob is asked for whose bytes turn out to be wrong.
struct FetchAttempts {
    /// From the start, the second time elsewhere where there is another server.
    private static let limit = 2

    private var whole = 0
    private var wasResumed = false

    var goOn: Bool { whole < Self.limit }

    /// Counts one that brought wrong bytes.
    /// - Parameter isResumed: whether it went on with what an earlier one left, which is gone then, or should be: where the disk keeps it
    ///   the next one is resumed, too, and counts.
    /// - Returns: whether the server is to blame.
    mutating func failed(isResumed: Bool) -> Bool {
        if isResumed, !wasResumed {
            wasResumed = true
            return false
        }
        whole += 1
        return !isResumed
    }
}

extension ImageStorage {
    /// How often, and how far apart, an ingest is asked for that somebody else has open.
    private static let busyLimit = 200
    private static let busyMicroseconds: UInt32 = 10_000

    /// Begins to take in a blob. A prune that has just found what an earlier fetch left has it for the moment that it takes to remove it.
    /// Blocks.
    func beginIngest(of digest: Digest, sizeBytes: Int64, _ cancellation: Cancellation) throws(ImageError) -> Ingest {
        var attempts = 0
        while true {
            do throws(ContentError) { return try blobs.beginIngest(of: digest, sizeBytes: sizeBytes) } catch {
                attempts += 1
                guard error.code == .busy, attempts < Self.busyLimit, !cancellation.isCancelled else { throw .storage(error) }
                usleep(Self.busyMicroseconds)
            }
        }
    }
}

extension Ingest {
    /// What has arrived stays for the next attempt; where nothing has, nothing stays. - Returns: what to throw for `error`.
    func withoutEmpty(_ error: ImageError) -> ImageError {
        if receivedBytes > 0 { return error }
        do throws(ContentError) { try discard() } catch let second {
            return ImageError(error.code, "\(error.message); and an empty file stays: \(second)", cause: error.cause)
        }
        return error
    }
}
