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
        /// Kept files before this one are gone already; nil before the first is known.
        var firstKept: UInt64?
    }

    private let directory: String
    private let state = Mutex(State())

    init(logPath: String) { directory = LogLimits.followedDirectory(of: logPath) }

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

    /// Lets go of what was kept: of a log that was cleared, or by a daemon that is gone, with its followers.
    func clear() throws(SyscallError) {
        let problem = state.withLock { state -> SyscallError? in
            do throws(SyscallError) {
                if state.places.isEmpty { try removeTree(FilePath(directory)) } else { try empty() }
                return nil
            } catch { return error }
        }
        if let problem { throw problem }
    }

    private func empty() throws(SyscallError) {
        let opened = try openFile(FilePath(directory), [.readOnly, .directory, .noFollow])
        for entry in try directoryEntries(of: opened, subject: directory) {
            do { try removeFile(entry.name, at: opened.number) } catch  where error.errno == Errno.noSuchFileOrDirectory.rawValue {}
        }
    }

    fileprivate func follower(_ number: Int, reads sequence: UInt64) {
        state.withLock { state in
            if state.places.updateValue(sequence, forKey: number) == 0 { state.firstKept = min(state.firstKept ?? sequence, sequence) }
            guard let firstKept = state.firstKept, let firstRead = state.places.values.min(), firstRead > firstKept else { return }
            state.firstKept = firstRead
            // What is not there was never taken away, or the shim has removed it; what cannot be removed goes with the directory.
            for passed in firstKept..<firstRead { try? removeFile(FilePath("\(directory)/\(passed)")) }
        }
    }

    fileprivate func followerLeft(_ number: Int) {
        state.withLock { state in
            state.places[number] = nil
            guard state.places.isEmpty else { return }
            state.firstKept = nil
            // The next follower's end removes what is left, or the next daemon's beginning.
            try? removeTree(FilePath(directory))
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
        let (log, number) = (log, number)
        // Belongs to nobody; ends when the files are removed.
        Task(executorPreference: TaskThreads.daemon) { try? await BlockingWork.run { () throws(EngineError) in log.followerLeft(number) } }
    }

    /// It has read what lies before this file.
    func reads(_ sequence: UInt64) { log.follower(number, reads: sequence) }
}
