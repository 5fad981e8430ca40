internal import CoreTypes
internal import LinuxSyscalls
internal import Logging
internal import Synchronization
internal import SystemPackage

/// A file that takes room on the data root's file system, and empty ones that take inodes. They go away when removing something finds none
/// left, for to remove is to write, too: records, events, names in other directories.
final class DiskReserve: Sendable {
    /// What is kept unless it is asked for otherwise.
    static let usualBytes: Int64 = 16 << 20
    /// With less free than this it is given up.
    static let scarceBytes: UInt64 = 8 << 20
    /// Left free when it is made again on a disk that is nearly full.
    private static let marginBytes: Int64 = 256 << 10
    /// Less than this helps nobody.
    private static let leastBytes: Int64 = 1 << 20
    /// Inodes that are kept: for a start, and for many removals at once, of which each takes one or two.
    static let inodeCount = 128
    /// What a start takes of them: for the database's own files, the overlay that is tried, and the next file of events.
    static let startInodes = 16
    /// With fewer free than this they are given up.
    static let scarceInodes: UInt64 = 64
    /// Left free when they are taken again where there are hardly any.
    private static let marginInodes = 16

    private let path: FilePath
    /// The folder of the empty files.
    private let inodeFolder: FilePath
    /// What is kept; 0 is no file.
    private let bytes: Int64
    private let logger: Logger
    /// Removals under way.
    private let users = Mutex(0)

    init(in dataRoot: FilePath, bytes: Int64, logger: Logger) {
        self.bytes = bytes
        path = dataRoot.appending("reserve")
        inodeFolder = dataRoot.appending("reserve-inodes")
        self.logger = logger
    }

    /// Makes the files, or makes them more, as far as there is room: on a full disk, of what giving them up has freed. Blocks.
    func fill() {
        trying("no room is kept for removals on a full disk") { () throws(SyscallError) in try fillBytes() }
        trying("no inodes are kept for removals on a full disk") { () throws(SyscallError) in try fillInodes() }
    }

    private func fillBytes() throws(SyscallError) {
        var present = try size() ?? 0
        if present > bytes {
            // Another daemon kept more.
            try removeFile(path)
            present = 0
        }
        let room = min(bytes, present + Int64(clamping: try free().bytes) - Self.marginBytes)
        if room <= present || room < Self.leastBytes { return }
        let file = try openFile(path, [.writeOnly, .create, .noFollow], mode: 0o600)
        do throws(SyscallError) { try allocate(room, for: file.number, subject: path.string) } catch {
            try removeFile(path)
            throw error
        }
    }

    private func fillInodes() throws(SyscallError) {
        // Who wants no room kept has none.
        if bytes == 0 { return try removeTree(inodeFolder) }
        // They are made in order: where the last one is, all are.
        guard let free = try free().inodes, try !isThere(inodeFolder.appending("\(Self.inodeCount - 1)")) else { return }
        let present = try isThere(inodeFolder) ? directoryEntries(of: openFile(inodeFolder, [.readOnly, .directory])).count : 0
        let room = min(Self.inodeCount, present + Int(clamping: free) - Self.marginInodes)
        if room <= present { return }
        try makeDirectories(inodeFolder, mode: 0o700)
        for number in present..<room {
            _ = try openFile(inodeFolder.appending("\(number)"), [.writeOnly, .create, .noFollow], mode: 0o600)
        }
    }

    /// What the file takes of the disk now; 0 where there is none, or none that can be looked at. Blocks.
    var takenBytes: Int64 { (try? size()).flatMap { $0 } ?? 0 }

    /// Runs what removes something.
    func withRoom<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws(EngineError) -> Result
    ) async throws(EngineError) -> Result {
        users.withLock { $0 += 1 }
        try await BlockingWork.run { () throws(EngineError) in self.giveUpIfScarce() }
        let result: Swift.Result<Result, EngineError>
        do throws(EngineError) { result = .success(try await body()) } catch { result = .failure(error) }
        let isLast = users.withLock { count in
            count -= 1
            return count == 0
        }
        if isLast { try await BlockingWork.run { () throws(EngineError) in self.fill() } }
        return try result.get()
    }

    /// Takes the files away where hardly anything else is free. Blocks.
    func giveUpIfScarce() {
        trying("room that is kept for removals cannot be given up") { () throws(SyscallError) in
            let free = try free()
            if free.bytes < Self.scarceBytes, try size() != nil {
                try removeFile(path)
                logger.notice("the disk is full: room that was kept for removals is given up")
            }
            if let inodes = free.inodes, inodes < Self.scarceInodes, try isThere(inodeFolder) {
                try removeTree(inodeFolder)
                logger.notice("the disk has no inodes left: those that were kept for removals are given up")
            }
        }
    }

    /// What failed, with what is free where that is hardly anything: what lacks an inode says no more of it than that there is no space,
    /// or that a file cannot be opened. Blocks.
    func explained(_ error: EngineError) -> EngineError {
        guard let free = try? free() else { return error }
        let lacksInodes = free.inodes.map { $0 < Self.scarceInodes } ?? false
        guard lacksInodes || free.bytes < Self.scarceBytes else { return error }
        let inodes = free.inodes.map { "\($0) inodes and " } ?? ""
        let needs = "a start takes \(Self.startInodes) inodes and \(ByteCount(UInt64(Self.leastBytes)))"
        return EngineError(
            error.code, "\(error.message); \(path.removingLastComponent()): \(inodes)\(ByteCount(free.bytes)) are free, \(needs)",
            cause: error.cause)
    }

    private func trying(_ warning: Logger.Message, _ body: () throws(SyscallError) -> Void) {
        do throws(SyscallError) { try body() } catch { logger.warning(warning, metadata: ["error": "\(error)"]) }
    }

    /// nil where there is none.
    private func size() throws(SyscallError) -> Int64? { try status(path)?.sizeBytes }

    private func isThere(_ path: FilePath) throws(SyscallError) -> Bool { try status(path) != nil }

    private func status(_ path: FilePath) throws(SyscallError) -> FileStatus? {
        do throws(SyscallError) { return try fileStatus(path) } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return nil }
            throw error
        }
    }

    private func free() throws(SyscallError) -> FreeSpace {
        let directory = try openFile(path.removingLastComponent(), [.readOnly, .directory])
        return try freeSpace(at: directory.number, subject: path.string)
    }
}
