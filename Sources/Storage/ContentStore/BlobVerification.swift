package import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import Synchronization
package import SystemPackage

/// What a blob on the disk is worth.
package enum BlobState: Equatable, Sendable {
    /// Its bytes are those of its digest.
    case whole(sizeBytes: Int64)
    case missing
    /// Its bytes are of this digest.
    case damaged(Digest)
}

extension BlobStore {
    /// Reads a blob and holds it against its digest.
    package func state(of digest: Digest) throws(ContentError) -> BlobState {
        guard try contains(digest) else { return .missing }
        let file = try openBlob(digest)
        var hasher = DigestHasher(digest.algorithm)
        try ContentError.wrapping("verify blob", digest.description) { () throws(SyscallError) in
            while true {
                let chunk = try readChunk(file.number, limitBytes: 1 << 20, subject: digest.description)
                if chunk.isEmpty { break }
                hasher.update(chunk.span)
            }
        }
        let sizeBytes = hasher.byteCount
        let found = hasher.finish()
        return found == digest ? .whole(sizeBytes: sizeBytes) : .damaged(found)
    }

    /// Blobs that are protected by no lease. Roots that are read after that have what leases let go of before.
    package func unneeded() throws(ContentError) -> [Digest] {
        let there = try digests()
        let leased = leases.withLock { $0.values.reduce(into: Set<Digest>()) { $0.formUnion($1) } }
        return there.filter { !leased.contains($0) }
    }

    /// What lies in the store's folders and is neither a blob nor one on its way in.
    package func strangers() throws(ContentError) -> [FilePath] {
        var found: [FilePath] = []
        for algorithm in Digest.Algorithm.allCases {
            let folder = directory(of: algorithm)
            for name in try names(in: folder) where !name.hasPrefix(".") && (try? Digest(algorithm, hex: name)) == nil {
                found.append(folder.appending(name))
            }
        }
        let ingests = root.appending("ingests")
        for name in try names(in: ingests) where !name.hasPrefix(".") && !name.hasPrefix(Self.unnamedPrefix) {
            if (try? Digest(name.replacing("-", with: ":", maxReplacements: 1))) == nil { found.append(ingests.appending(name)) }
        }
        return found
    }

    /// Removes one of `strangers`.
    package func removeStranger(_ path: FilePath) throws(ContentError) {
        try ContentError.wrapping("remove", path.string) { () throws(SyscallError) in try removeTree(path) }
    }
}
