internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// The log of a container that does not run: nobody else writes to it.
enum StoredLog {
    /// Removes all that is in it. The new file has the next number, so that those who follow find it.
    static func clear(_ logPath: String, fileCount: UInt32) throws(SyscallError) {
        guard let sequence = try LogFile.all(of: logPath, fileCount: fileCount).last?.sequence else { return }
        // The oldest first: whatever is left by a crash in between is the end of the log, without a gap.
        for path in LogLimits.paths(of: logPath, fileCount: fileCount).dropFirst().reversed() {
            for name in [LogIndex.path(of: path), path] { try remove(name) }
        }
        try remove(LogIndex.path(of: logPath))
        try writeFileDurably(LogFileHeader(sequence: sequence + 1).encoded(), to: FilePath(logPath))
    }

    private static func remove(_ path: String) throws(SyscallError) {
        do { try removeFile(FilePath(path)) } catch  where error.errno == Errno.noSuchFileOrDirectory.rawValue {}
    }
}
