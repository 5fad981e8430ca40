package import CoreTypes
internal import Glibc
package import LinuxSyscalls
internal import Synchronization
package import SystemPackage

/// Blobs by digest below one directory:
/// ```
/// version                     "1"
/// blobs/sha256/<hex>          whole, verified, never written again
/// ingests/<algorithm>-<hex>   what has arrived of a blob so far
/// ingests/new-…               a blob that is being made here
/// takings/<number>            digests of blobs that are of use to nobody where their lease ends with its process
/// ```
/// A blob is there only if all its bytes reached the disk under their own digest. Calls block: run them on a thread
/// of your own. Safe for use by many threads.
package final class BlobStore: Sendable {
    package let root: FilePath
    let leases = Mutex<[LeaseID: Set<Digest>]>([:])
    /// What leases protected that ended while a sweep was under way: its roots may have been read before their record was written.
    let released = Mutex<(sweeps: Int, blobs: Set<Digest>)>((0, []))
    let nextLease = Atomic<UInt64>(1)
    /// Files of `takings`, of leases of this process.
    let takings = Mutex<[LeaseID: Taking]>([:])
    /// What such leases of processes of before protected; a blob among them that a record has is none the worse.
    package let abandoned: Set<Digest>
    private let abandonedTakings: [FilePath]

    /// The number in `version`.
    private static let formatVersion = "1\n"

    /// Opens the store, making its directories at the first time. Ingests that a crash left stay for resumption; one of a later format stays
    /// as it is.
    package init(openingAt root: FilePath) throws(ContentError) {
        self.root = root
        try ContentError.wrapping("open content store", root.string) { () throws(SyscallError) in
            try makeDirectories(root, mode: 0o700)
        }
        try Self.checkVersion(root)
        try ContentError.wrapping("open content store", root.string) { () throws(SyscallError) in
            for algorithm in Digest.Algorithm.allCases {
                try makeDirectories(root.appending("blobs").appending(algorithm.rawValue), mode: 0o700)
            }
            for folder in ["ingests", "takings"] { try makeDirectories(root.appending(folder), mode: 0o700) }
        }
        (abandoned, abandonedTakings) = try Taking.readAll(in: root.appending("takings"))
        try removeHalfWritten()
    }

    /// Says that a sweep has looked through what is `abandoned`. Before the first lease, which may have the name of one of before.
    package func forgetAbandoned() throws(ContentError) {
        for path in abandonedTakings {
            try ContentError.wrapping("forget what was taken in", path.string) { () throws(SyscallError) in try removeTree(path) }
        }
    }

    /// What a crash left of a small blob on its way in, or of one without a name: never visible under a digest.
    private func removeHalfWritten() throws(ContentError) {
        for directory in Digest.Algorithm.allCases.map(directory(of:)) + [root.appending("ingests")] {
            for name in try names(in: directory) where name.hasPrefix(".") || name.hasPrefix(Self.unnamedPrefix) {
                try ContentError.wrapping("remove half-written blob", name) { () throws(SyscallError) in
                    try removeFile(directory.appending(name))
                }
            }
        }
    }

    private static func checkVersion(_ root: FilePath) throws(ContentError) {
        let path = root.appending("version")
        let found: [UInt8]
        do throws(SyscallError) { found = try readFile(path, limitBytes: 100) } catch {
            if error.errno != ENOENT { throw ContentError(.system, doing: "open content store", subject: root.string, cause: error) }
            try ContentError.wrapping("open content store", root.string) { () throws(SyscallError) in
                try writeFileDurably(Array(formatVersion.utf8), to: path)
            }
            return
        }
        if found != Array(formatVersion.utf8) {
            throw ContentError(.unsupportedFormat, doing: "open content store", subject: root.string)
        }
    }

    /// Where a blob lies once it is there.
    package func path(of digest: Digest) -> FilePath {
        directory(of: digest.algorithm).appending(digest.hex)
    }

    func directory(of algorithm: Digest.Algorithm) -> FilePath {
        root.appending("blobs").appending(algorithm.rawValue)
    }

    /// The size of a blob in bytes; nil where it is not there.
    package func size(of digest: Digest) throws(ContentError) -> Int64? {
        do throws(SyscallError) { return try fileStatus(path(of: digest)).sizeBytes } catch {
            if error.errno == ENOENT { return nil }
            throw ContentError(.system, doing: "look for blob", subject: digest.description, cause: error)
        }
    }

    /// Whether a blob is there, whole.
    package func contains(_ digest: Digest) throws(ContentError) -> Bool { try size(of: digest) != nil }

    /// Opens a blob for reading from its start.
    /// - Throws: `.notFound`.
    package func openBlob(_ digest: Digest) throws(ContentError) -> OwnedFD {
        do throws(SyscallError) { return try openFile(path(of: digest), [.readOnly, .noFollow]) } catch {
            if error.errno == ENOENT { throw ContentError(.notFound, doing: "open blob", subject: digest.description) }
            throw ContentError(.system, doing: "open blob", subject: digest.description, cause: error)
        }
    }

    /// A small blob, a manifest or configuration, whole, and verified once more.
    /// - Throws: `.notFound`, `.tooLarge` above `limitBytes`, `.digestMismatch` where the disk lost bytes.
    package func readBlob(_ digest: Digest, limitBytes: Int) throws(ContentError) -> [UInt8] {
        let file = try openBlob(digest)
        let bytes: [UInt8]
        do throws(SyscallError) {
            bytes = try readAll(file.number, limitBytes: limitBytes, subject: digest.description)
        } catch {
            throw ContentError(
                error.errno == EFBIG ? .tooLarge : .system, doing: "read blob", subject: digest.description, cause: error)
        }
        let found = Digest(of: bytes, digest.algorithm)
        if found != digest { throw ContentError(.digestMismatch, doing: "read blob", subject: "\(digest), found \(found)") }
        return bytes
    }

    /// Stores a small content and returns its digest; nothing is written where it is there already.
    @discardableResult
    package func addBlob(_ bytes: [UInt8], _ algorithm: Digest.Algorithm = .sha256) throws(ContentError) -> Digest {
        let digest = Digest(of: bytes, algorithm)
        if try contains(digest) { return digest }
        try ContentError.wrapping("store blob", digest.description) { () throws(SyscallError) in
            try writeFileDurably(bytes, to: path(of: digest))
        }
        return digest
    }

    /// Puts a small content in the place of a blob that lost bytes. - Parameter digest: the content's.
    package func restoreBlob(_ bytes: [UInt8], as digest: Digest) throws(ContentError) {
        try ContentError.wrapping("restore blob", digest.description) { () throws(SyscallError) in
            try writeFileDurably(bytes, to: path(of: digest))
        }
    }

    /// Every blob that is there.
    package func digests() throws(ContentError) -> [Digest] {
        var found: [Digest] = []
        for algorithm in Digest.Algorithm.allCases {
            for name in try names(in: directory(of: algorithm)) {
                if let digest = try? Digest(algorithm, hex: name) { found.append(digest) }
            }
        }
        return found
    }

    /// What the store takes on the disk: blobs, what has arrived of others, and its folders.
    package func allocatedBytes() throws(ContentError) -> Int64 {
        let ingests = root.appending("ingests")
        let folders = Digest.Algorithm.allCases.map(directory(of:)) + [ingests]
        var paths = [root, root.appending("version"), root.appending("blobs")]
        for folder in folders { paths += [folder] + (try names(in: folder)).map { folder.appending($0) } }
        var total: Int64 = 0
        for path in paths {
            do throws(SyscallError) { total += try fileStatus(path).allocatedBytes } catch {
                // One that was removed meanwhile takes nothing.
                if error.errno != ENOENT { throw ContentError(.system, doing: "measure", subject: path.string, cause: error) }
            }
        }
        return total
    }

    private func freeBytes() throws(ContentError) -> UInt64 {
        try ContentError.wrapping("measure", root.string) { () throws(SyscallError) in
            let opened = try openFile(root, [.readOnly, .directory])
            return try freeSpace(at: opened.number, subject: root.string).bytes
        }
    }

    /// - Parameter bytes: what is about to be written.
    /// - Throws: `.noSpace`, with the place and the need, where less than the reserve would stay free beside it.
    package func checkReserve(_ reserve: UInt64, beside bytes: Int64, doing: String) throws(ContentError) {
        let (free, need) = (try freeBytes(), reserve + UInt64(clamping: bytes))
        guard need > free else { return }
        // Of what nobody has announced nothing is known but that there is no room for it.
        let demand = bytes > 0 ? "\(bytes) bytes are needed and \(reserve)" : "\(reserve) bytes"
        throw ContentError(.noSpace, doing: doing, subject: "\(root): \(demand) must stay free, \(free) are")
    }

    func names(in directory: FilePath) throws(ContentError) -> [String] {
        try ContentError.wrapping("list", directory.string) { () throws(SyscallError) in
            let opened = try openFile(directory, [.readOnly, .directory])
            return try directoryEntries(of: opened, subject: directory.string).map(\.name.string)
        }
    }
}
