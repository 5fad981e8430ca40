internal import CoreTypes
internal import LinuxSyscalls

/// A file that is written from its start to its end, and the digest of what it holds so far.
struct HashedFile: ~Copyable {
    let file: OwnedFD
    /// Of all that is in the file.
    private(set) var hasher: DigestHasher

    /// - Parameter hasher: of what the file holds already.
    init(_ file: consuming OwnedFD, _ hasher: consuming sending DigestHasher) {
        self.file = file
        self.hasher = hasher
    }

    var byteCount: Int64 { hasher.byteCount }

    /// Adds the next bytes. After a throw they count for nothing, and whatever is appended next takes their place.
    mutating func append(_ bytes: Span<UInt8>, subject: String) throws(SyscallError) {
        try writeAll(bytes, at: hasher.byteCount, to: file.number, subject: subject)
        hasher.update(bytes)
    }
}
