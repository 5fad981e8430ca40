package import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

extension BlobStore {
    /// What the name of a blob begins with whose digest is not known yet.
    static let unnamedPrefix = "new-"

    /// Begins to take in a blob whose digest only its bytes will tell. A crash leaves nothing of it.
    package func newBlob(_ algorithm: Digest.Algorithm = .sha256) throws(ContentError) -> BlobWriter {
        let number = nextLease.wrappingAdd(1, ordering: .relaxed).oldValue
        let path = root.appending("ingests").appending("\(Self.unnamedPrefix)\(getpid())-\(number)")
        let file = try ContentError.wrapping("begin blob", path.string) { () throws(SyscallError) in
            try openFile(path, [.readWrite, .create, .exclusive, .noFollow])
        }
        return BlobWriter(HashedFile(file, DigestHasher(algorithm)), path: path, store: self)
    }
}

/// A blob that is being made: append, then commit. Dropping it throws away what was written.
package final class BlobWriter: Sendable {
    private let path: FilePath
    private let store: BlobStore
    /// nil once it is committed.
    private let open: Mutex<HashedFile?>

    init(_ file: consuming sending HashedFile, path: FilePath, store: BlobStore) {
        self.path = path
        self.store = store
        open = Mutex(file)
    }

    deinit {
        // What cannot be removed now goes when the store is opened.
        if open.withLock({ $0 != nil }) { try? removeFile(path) }
    }

    /// Adds the next bytes.
    package func append(_ bytes: Span<UInt8>) throws(ContentError) {
        try open.withLock { open throws(ContentError) in
            if open == nil { throw ContentError(.closed, doing: "append to", subject: path.string) }
            do throws(SyscallError) { try open?.append(bytes, subject: path.string) } catch {
                throw ContentError(.system, doing: "append to", subject: path.string, cause: error)
            }
        }
    }

    /// Brings the bytes to the disk and shows them under their digest, which `lease` protects from before it is visible.
    package func commit(protectedBy lease: LeaseID) throws(ContentError) -> (digest: Digest, sizeBytes: Int64) {
        try open.withLock { open throws(ContentError) in
            guard let written = open.take() else { throw ContentError(.closed, doing: "commit", subject: path.string) }
            let size = written.byteCount
            let file = written.file
            let digest = written.hasher.finish()
            store.protect(digest, by: lease)
            do throws(SyscallError) {
                // The same bytes may be there already: then these are not needed.
                if try store.isThere(digest) { try removeFile(path) } else { try publishFile(file, from: path, as: store.path(of: digest)) }
            } catch {
                try? removeFile(path)
                throw ContentError(.system, doing: "commit", subject: digest.description, cause: error)
            }
            return (digest, size)
        }
    }
}

extension BlobStore {
    fileprivate func isThere(_ digest: Digest) throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            _ = try fileStatus(path(of: digest))
            return true
        } catch  where error.errno == ENOENT { return false }
    }
}

/// fsync, rename, fsync of both directories: after a crash the blob is whole or absent. It is said to have been written a moment before it
/// got its name: whoever writes to it after that makes both moments one, see `isUntouched`.
func publishFile(_ file: borrowing OwnedFD, from path: FilePath, as blobPath: FilePath) throws(SyscallError) {
    let written = try fileStatus(of: file.number, subject: path.string).modified
    try setTimes(
        of: file.number, to: FileTime(seconds: written.seconds - BlobStore.publishedSeconds, nanoseconds: written.nanoseconds),
        subject: path.string)
    try synchronize(file.number, subject: path.string)
    try renameFile(path, to: blobPath)
    for directory in [blobPath.removingLastComponent(), path.removingLastComponent()] {
        let opened = try openFile(directory, [.readOnly, .directory])
        try synchronize(opened.number, subject: directory.string)
    }
}
