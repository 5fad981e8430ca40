package import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

extension BlobStore {
    /// Begins to take in a blob, going on where an earlier attempt stopped: `receivedBytes` says from where.
    /// - Parameter sizeBytes: the announced size; nil where none was announced.
    /// - Throws: `.busy` while another ingest of this digest is open.
    package func beginIngest(of digest: Digest, sizeBytes: Int64?) throws(ContentError) -> Ingest {
        let path = ingestPath(of: digest)
        let file = try lockedIngest(path, digest)
        var hasher = DigestHasher(digest.algorithm)
        try ContentError.wrapping("resume ingest", digest.description) { () throws(SyscallError) in
            while true {
                let chunk = try readChunk(file.number, limitBytes: 1 << 20, subject: path.string)
                if chunk.isEmpty { break }
                hasher.update(chunk.span)
            }
        }
        if let sizeBytes, hasher.byteCount > sizeBytes {
            try ContentError.wrapping("restart ingest", digest.description) { () throws(SyscallError) in
                try setSize(of: file.number, bytes: 0, subject: path.string)
                try seek(file.number, to: 0, subject: path.string)
            }
            hasher = DigestHasher(digest.algorithm)
        }
        return Ingest(
            of: digest, sizeBytes: sizeBytes, path: path, blobPath: self.path(of: digest), HashedFile(file, hasher))
    }

    func ingestPath(of digest: Digest) -> FilePath {
        root.appending("ingests").appending("\(digest.algorithm.rawValue)-\(digest.hex)")
    }

    /// The ingest file, locked. A file that another ingest committed between open and lock is left alone: its name is gone.
    private func lockedIngest(_ path: FilePath, _ digest: Digest) throws(ContentError) -> OwnedFD {
        while true {
            let file = try ContentError.wrapping("begin ingest", digest.description) { () throws(SyscallError) in
                try openFile(path, [.readWrite, .create, .noFollow])
            }
            let current = try ContentError.wrapping("begin ingest", digest.description) { () throws(SyscallError) -> Bool? in
                if try !lockExclusively(file.number, subject: path.string) { return nil }
                let opened = try fileStatus(of: file.number, subject: path.string)
                do throws(SyscallError) { return try fileStatus(path).inode == opened.inode } catch  where error.errno == ENOENT {
                    return false
                }
            }
            guard let current else { throw ContentError(.busy, doing: "begin ingest", subject: digest.description) }
            if current { return file }
        }
    }

    /// What has arrived of a blob that is not here yet, in bytes.
    package func arrivedBytes(of digest: Digest) throws(ContentError) -> Int64 {
        try ContentError.wrapping("look for ingest", digest.description) { () throws(SyscallError) in
            do throws(SyscallError) { return try fileStatus(ingestPath(of: digest)).sizeBytes } catch  where error.errno == ENOENT {
                return 0
            }
        }
    }

    /// Ingests that were begun and neither committed nor discarded, open ones included.
    package func unfinishedIngests() throws(ContentError) -> [Digest] {
        try names(in: root.appending("ingests")).compactMap { name in
            try? Digest(name.replacing("-", with: ":", maxReplacements: 1))
        }
    }

    /// Removes what abandoned ingests left; one that is open, or that a lease's holder may go on with, stays. Returns the bytes that were freed.
    /// - Parameter digests: of these alone; nil for all.
    /// - Parameter age: those to which something was added since stay, too.
    @discardableResult
    package func removeAbandonedIngests(among digests: Set<Digest>? = nil, idleFor age: Duration = .zero) throws(ContentError) -> Int64 {
        var freed: Int64 = 0
        let unfinished = try unfinishedIngests().filter { digests?.contains($0) ?? true }
        for digest in unfinished where try isIdle(ingestPath(of: digest), for: age) && !isLeased(digest) {
            do throws(ContentError) { freed += try discardIngest(of: digest) } catch  where error.code == .busy { continue }
        }
        return freed
    }

    /// Removes what has arrived of a blob, unread. - Throws: `.busy` while an ingest of it is open.
    private func discardIngest(of digest: Digest) throws(ContentError) -> Int64 {
        let path = ingestPath(of: digest)
        let file = try lockedIngest(path, digest)
        return try ContentError.wrapping("discard", digest.description) { () throws(SyscallError) in
            let sizeBytes = try fileStatus(of: file.number, subject: path.string).sizeBytes
            try removeFile(path)
            return sizeBytes
        }
    }
}

/// A blob on its way in: append what arrives, then commit. Dropping it keeps what has arrived for the next attempt.
package final class Ingest: Sendable {
    package let digest: Digest
    /// The announced size; nil where none was announced.
    package let sizeBytes: Int64?
    private let path: FilePath
    private let blobPath: FilePath
    /// nil once it is committed or discarded.
    private let open: Mutex<HashedFile?>

    init(of digest: Digest, sizeBytes: Int64?, path: FilePath, blobPath: FilePath, _ file: consuming sending HashedFile) {
        self.digest = digest
        self.sizeBytes = sizeBytes
        self.path = path
        self.blobPath = blobPath
        open = Mutex(file)
    }

    /// How many bytes have arrived, those of earlier attempts included: where a resumed download goes on.
    package var receivedBytes: Int64 { open.withLock { $0?.byteCount ?? 0 } }

    /// Adds the next bytes.
    /// - Throws: `.sizeMismatch` beyond the announced size; nothing of the chunk is kept then.
    package func append(_ chunk: [UInt8]) throws(ContentError) {
        try open.withLock { open throws(ContentError) in
            guard let received = open?.byteCount else { throw closed("append to") }
            if let sizeBytes, received + Int64(chunk.count) > sizeBytes {
                throw ContentError(.sizeMismatch, doing: "append to", subject: "\(digest): more than the announced \(sizeBytes) bytes")
            }
            do throws(SyscallError) { try open?.append(chunk.span, subject: path.string) } catch {
                guard error.errno == ENOSPC else {
                    throw ContentError(.system, doing: "append to", subject: digest.description, cause: error)
                }
                let need = sizeBytes.map { "\($0 - received)" } ?? "at least \(chunk.count)"
                throw ContentError(.system, doing: "append to", subject: "\(digest): \(need) bytes more are needed", cause: error)
            }
        }
    }

    /// Verifies size and digest, brings the bytes to the disk, and only then shows them under their digest.
    /// - Throws: `.sizeMismatch` while bytes are missing (the ingest stays open, to go on with); `.digestMismatch`, after which
    ///   all that arrived is gone.
    package func commit() throws(ContentError) {
        try open.withLock { open throws(ContentError) in
            if let sizeBytes, let received = open?.byteCount, received != sizeBytes {
                throw ContentError(.sizeMismatch, doing: "commit", subject: "\(digest): \(received) of \(sizeBytes) bytes")
            }
            guard let whole = open.take() else { throw closed("commit") }
            let file = whole.file
            let found = whole.hasher.finish()
            if found != digest {
                let mismatch = ContentError(.digestMismatch, doing: "commit", subject: "\(digest), found \(found)")
                do throws(SyscallError) { try removeFile(path) } catch {
                    throw ContentError(
                        .digestMismatch, doing: mismatch.doing, subject: "\(mismatch.subject); and its bytes stay", cause: error)
                }
                throw mismatch
            }
            do throws(SyscallError) { try publishFile(file, from: path, as: blobPath) } catch {
                throw ContentError(.system, doing: "commit", subject: digest.description, cause: error)
            }
        }
    }

    /// Throws away all that has arrived.
    package func discard() throws(ContentError) {
        try open.withLock { open throws(ContentError) in
            // Closed at the end: what is locked meanwhile is nobody else's.
            guard let begun = open.take() else { return }
            do throws(SyscallError) { try removeFile(path) } catch  where error.errno != ENOENT {
                throw ContentError(.system, doing: "discard", subject: digest.description, cause: error)
            } catch {}
            _ = consume begun
        }
    }

    private func closed(_ doing: String) -> ContentError {
        ContentError(.closed, doing: doing, subject: digest.description)
    }
}
