internal import LinuxSyscalls
internal import ShimProtocol
internal import Synchronization
internal import SystemPackage

/// Has what rotation takes away of a container's log kept for those who follow it, until they have read it. The shim moves files into a
/// directory beside the log while that is there. Its calls block.
final class FollowedLog: Sendable {
    private struct State {
        var nextFollower = 0
        /// By follower, the number of the file that it reads; 0 before it has one.
        var places: [Int: UInt64] = [:]
        /// Kept files before this one are gone already.
        var firstKept: UInt64 = 0
    }

    private let directory: String
    private let state = Mutex(State())

    init(logPath: String) { directory = LogLimits.followedDirectory(of: logPath) }

    /// Whether the log's file system takes nothing new: it is full, of the whole or of somebody's share, or read-only.
    static func isRefusal(_ error: SyscallError) -> Bool {
        [Errno.noSpace, .diskQuotaExceeded, .readOnlyFileSystem].contains { $0.rawValue == error.errno }
    }

    /// From the return on, nothing is taken away that this follower has not read. It ends with the value returned.
    func begin() throws(SyscallError) -> LogFollower {
        let result = state.withLock { state -> Result<Int, SyscallError> in
            do throws(SyscallError) { try makeDirectory(FilePath(directory), mode: 0o700) } catch {
                if error.errno != Errno.fileExists.rawValue { return .failure(error) }
            }
            defer { state.nextFollower += 1 }
            state.places[state.nextFollower] = 0
            return .success(state.nextFollower)
        }
        return LogFollower(of: self, number: try result.get())
    }

    /// What is kept now, by its names: what a log that is cleared then takes along.
    func kept() throws(SyscallError) -> [FilePath] {
        do throws(SyscallError) {
            let opened = try openFile(FilePath(directory), [.readOnly, .directory, .noFollow])
            return try directoryEntries(of: opened, subject: directory).map(\.name)
        } catch  where error.errno == Errno.noSuchFileOrDirectory.rawValue { return [] }
    }

    /// Lets go of what was kept before the log was cleared, or of all where nobody follows, as at a daemon's beginning.
    func clear(_ former: [FilePath]) throws(SyscallError) {
        let problem = state.withLock { state -> SyscallError? in
            do throws(SyscallError) {
                if state.places.isEmpty { try removeDirectory() } else { try remove(former) }
                return nil
            } catch { return error }
        }
        if let problem { throw problem }
    }

    private func remove(_ names: [FilePath]) throws(SyscallError) {
        for name in names {
            do throws(SyscallError) { try removeFile(FilePath(directory).appending(name.components)) } catch
                where error.errno == Errno.noSuchFileOrDirectory.rawValue
            {}
        }
    }

    /// By another name first: under its own the shim may move one more file into it before it is empty, and it would stay, and keep all that follows.
    private func removeDirectory() throws(SyscallError) {
        let leaving = FilePath("\(directory).gone")
        // What a daemon left that was killed meanwhile.
        try removeTree(leaving)
        do throws(SyscallError) { try renameFile(FilePath(directory), to: leaving) } catch
            where error.errno == Errno.noSuchFileOrDirectory.rawValue
        { return }
        try removeTree(leaving)
    }

    fileprivate func follower(_ number: Int, reads sequence: UInt64) {
        state.withLock { state in
            state.places[number] = sequence
            guard let firstRead = state.places.values.min(), firstRead > state.firstKept else { return }
            state.firstKept = firstRead
            // Of what is there, as a number of a damaged file is any number. What cannot be removed goes with the directory.
            try? remove(kept().filter { UInt64($0.string).map { $0 < firstRead } ?? false })
        }
    }

    fileprivate func followerLeft(_ number: Int) {
        state.withLock { state in
            state.places[number] = nil
            guard state.places.isEmpty else { return }
            state.firstKept = 0
            // The next follower's end removes what is left, or the next daemon's beginning.
            try? removeDirectory()
        }
    }
}

/// One who follows a log.
final class LogFollower: Sendable {
    private let log: FollowedLog
    private let number: Int

    fileprivate init(of log: FollowedLog, number: Int) {
        self.log = log
        self.number = number
    }

    deinit {
        // Removes files, for which nobody who lets go of it waits.
        BlockingWork.start { [log, number] in log.followerLeft(number) }
    }

    /// It has read what lies before this file.
    func reads(_ sequence: UInt64) { log.follower(number, reads: sequence) }
}
