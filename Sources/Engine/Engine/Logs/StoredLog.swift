internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// The log of a container that does not run: nobody else writes to it.
enum StoredLog {
    /// Removes all that is in it. The new file has the next number, so that those who follow find it.
    /// - Parameter copy: for programs that read Docker's json-file, where there is one.
    static func clear(_ logPath: String, copy: String?, fileCount: UInt32) throws(SyscallError) {
        if let copy {
            for path in LogLimits.paths(of: copy, fileCount: fileCount).reversed() { try remove(path) }
        }
        var unreadableCount = 0
        let files = try LogFile.all(of: logPath, fileCount: fileCount) { _ in unreadableCount += 1 }
        if files.isEmpty && unreadableCount == 0 { return }
        let sequence = files.last?.sequence ?? 0
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
