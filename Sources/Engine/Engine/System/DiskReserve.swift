internal import LinuxSyscalls
internal import Logging
internal import Synchronization
internal import SystemPackage

/// A file that takes room on the data root's file system. It goes away when removing something finds none left, for to remove is to
/// write, too: records, events, names in other directories.
final class DiskReserve: Sendable {
    /// What is kept unless it is asked for otherwise.
    static let usualBytes: Int64 = 16 << 20
    /// With less free than this it is given up.
    static let scarceBytes: UInt64 = 8 << 20
    /// Left free when it is made again on a disk that is nearly full.
    private static let marginBytes: Int64 = 256 << 10
    /// Less than this helps nobody.
    private static let leastBytes: Int64 = 1 << 20

    private let path: FilePath
    /// What is kept; 0 is no file.
    private let bytes: Int64
    private let logger: Logger
    /// Removals under way.
    private let users = Mutex(0)

    init(in dataRoot: FilePath, bytes: Int64, logger: Logger) {
        self.bytes = bytes
        path = dataRoot.appending("reserve")
        self.logger = logger
    }

    /// Makes the file, or makes it larger, as far as there is room: on a full disk, of what giving it up has freed. Blocks.
    func fill() {
        do throws(SyscallError) {
            var present = try size() ?? 0
            if present > bytes {
                // Another daemon kept more.
                try removeFile(path)
                present = 0
            }
            let room = min(bytes, present + Int64(clamping: try freeBytes()) - Self.marginBytes)
            if room <= present || room < Self.leastBytes { return }
            let file = try openFile(path, [.writeOnly, .create, .noFollow], mode: 0o600)
            do throws(SyscallError) { try allocate(room, for: file.number, subject: path.string) } catch {
                try removeFile(path)
                throw error
            }
        } catch { logger.warning("no room is kept for removals on a full disk", metadata: ["error": "\(error)"]) }
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

    /// Takes the file away where hardly anything else is free. Blocks.
    func giveUpIfScarce() {
        do throws(SyscallError) {
            guard try freeBytes() < Self.scarceBytes, try size() != nil else { return }
            try removeFile(path)
            logger.notice("the disk is full: room that was kept for removals is given up")
        } catch { logger.warning("room that is kept for removals cannot be given up", metadata: ["error": "\(error)"]) }
    }

    /// nil where there is none.
    private func size() throws(SyscallError) -> Int64? {
        do throws(SyscallError) { return try fileStatus(path).sizeBytes } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return nil }
            throw error
        }
    }

    private func freeBytes() throws(SyscallError) -> UInt64 {
        let directory = try openFile(path.removingLastComponent(), [.readOnly, .directory])
        return try freeSpace(at: directory.number, subject: path.string).bytes
    }
}
