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
    /// How long before its name a blob is said to have been written.
    static let publishedSeconds: Int64 = 2

    /// Whether a blob has its size, and nobody has written to it since it was verified and got its name: a write sets the time of the last
    /// write and that of the last change to one and the same moment. What a disk loses without a write does not show.
    package func isUntouched(_ digest: Digest, sizeBytes: Int64) throws(ContentError) -> Bool {
        do throws(SyscallError) {
            let (status, changed) = (try fileStatus(path(of: digest)), try changeTime(of: path(of: digest)))
            return status.sizeBytes == sizeBytes && changed.seconds - status.modified.seconds >= Self.publishedSeconds - 1
        } catch {
            if error.errno == ENOENT { return false }
            throw ContentError(.system, doing: "look for blob", subject: digest.description, cause: error)
        }
    }

    /// Makes a blob one that is not `isUntouched`: its bytes were found to be others. Where that cannot be written it stays as it was.
    package func distrust(_ digest: Digest) {
        guard let file = try? openFile(path(of: digest), [.readOnly, .noFollow]) else { return }
        try? setTimes(of: file.number, to: FileTime(seconds: unixNanoseconds() / 1_000_000_000), subject: digest.description)
    }

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
        let blobs = root.appending("blobs")
        let algorithms = Digest.Algorithm.allCases.map(\.rawValue)
        found += try strangers(in: root, besides: ["version", "blobs", "ingests", "takings"]) + strangers(in: blobs, besides: algorithms)
        let ingests = root.appending("ingests")
        for name in try names(in: ingests) where !name.hasPrefix(".") && !name.hasPrefix(Self.unnamedPrefix) {
            if (try? Digest(name.replacing("-", with: ":", maxReplacements: 1))) == nil { found.append(ingests.appending(name)) }
        }
        return found
    }

    /// `lost+found` is the file system's own, where this is the top of one.
    private func strangers(in folder: FilePath, besides known: [String]) throws(ContentError) -> [FilePath] {
        try names(in: folder).filter { !$0.hasPrefix(".") && $0 != "lost+found" && !known.contains($0) }.map { folder.appending($0) }
    }

    /// Removes one of `strangers`.
    package func removeStranger(_ path: FilePath) throws(ContentError) {
        try ContentError.wrapping("remove", path.string) { () throws(SyscallError) in try removeTree(path) }
    }
}
