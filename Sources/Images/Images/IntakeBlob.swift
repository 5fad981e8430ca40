internal import Archive
internal import ContentStore
internal import CoreTypes

/// A blob that a stranger sends and whose digest only its bytes will tell: room stays free beside it. Used by one thread.
final class IntakeBlob {
    /// How many bytes are written between two looks at the free space: others write meanwhile.
    static let bytesBetweenChecks: Int64 = 16 << 20

    private let blobs: BlobStore
    private let limits: ArchiveLimits
    private let doing: String
    private let writer: BlobWriter
    private var sizeBytes: Int64 = 0
    private var unchecked: Int64 = 0

    /// - Parameters:
    ///   - announcedBytes: 0 where nobody says.
    ///   - doing: `store the archive`.
    ///   - algorithm: what its digest is to be made by.
    /// - Throws: `.noSpace` where as many do not fit.
    init(in blobs: BlobStore, limits: ArchiveLimits, announcedBytes: Int64, doing: String, algorithm: Digest.Algorithm = .sha256)
        throws(ContentError)
    {
        (self.blobs, self.limits, self.doing) = (blobs, limits, doing)
        try blobs.checkReserve(limits.reservedFreeBytes, beside: announcedBytes, doing: doing)
        writer = try blobs.newBlob(algorithm)
    }

    /// - Throws: `.tooLarge`, `.noSpace`.
    func append(_ bytes: Span<UInt8>) throws(ContentError) {
        sizeBytes += Int64(bytes.count)
        unchecked += Int64(bytes.count)
        if sizeBytes > limits.uncompressedBytes {
            throw ContentError(.tooLarge, doing: doing, subject: "more than \(limits.uncompressedBytes) bytes")
        }
        if unchecked >= Self.bytesBetweenChecks {
            try blobs.checkReserve(limits.reservedFreeBytes, beside: 0, doing: doing)
            unchecked = 0
        }
        try writer.append(bytes)
    }

    func commit(protectedBy lease: LeaseID) throws(ContentError) -> (digest: Digest, sizeBytes: Int64) {
        try writer.commit(protectedBy: lease)
    }
}
