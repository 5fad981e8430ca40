internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage
internal import Zstd

/// Compresses one file of a container's log: a process of its own, so that neither its memory nor its time is the shim's.
package enum PackLogCommand {
    private static let compressionLevel: Int32 = 3
    private static let niceness: Int32 = 10

    /// Where the compressed file lies until the shim puts it into the other one's place.
    static func targetPath(of logPath: String) -> String { "\(logPath).packing" }

    /// Compresses the file with the number asked for, wherever rotation has moved it.
    package static func run(_ invocation: ShimInvocation) throws(ShimError) {
        let logPath = invocation.logPath
        do throws(SyscallError) {
            // Others first; without the right to ask for that it is only less polite.
            var settings = SchedulerSettings(policy: 0)
            settings.nice = niceness
            try? setScheduler(settings, of: 0, subject: "myself")
            guard let source = try find(logPath, sequence: invocation.logSequence) else {
                throw SyscallError("open", "file \(invocation.logSequence) of \(logPath)", errno: Errno.noSuchFileOrDirectory.rawValue)
            }
            let target = FilePath(targetPath(of: logPath))
            do throws(SyscallError) { try pack(source, to: target) } catch {
                try? removeFile(target)
                throw error
            }
        } catch { throw ShimError("compress the log", error) }
    }

    private static func find(_ logPath: String, sequence: UInt64) throws(SyscallError) -> OwnedFD? {
        // While we look a file may move to the next name, never back.
        for path in LogLimits.paths(of: logPath, fileCount: TaskOptions.maximumLogFileCount).dropFirst() {
            do throws(SyscallError) {
                let file = try openFile(FilePath(path), [.readOnly, .noFollow])
                let bytes = try readChunk(file.number, limitBytes: LogFileHeader.byteCount)
                if (try? LogFileHeader(decoding: bytes))?.sequence == sequence { return file }
            } catch  where error.isMissing {}
        }
        return nil
    }

    private static func pack(_ source: borrowing OwnedFD, to path: FilePath) throws(SyscallError) {
        let target = try openFile(path, [.writeOnly, .create, .truncate, .noFollow], mode: 0o600)
        try seek(source.number, to: 0)
        try PackedLogTable.pack(headingByteCount: LogFileHeader.byteCount) { limitBytes throws(SyscallError) in
            try readChunk(source.number, limitBytes: limitBytes)
        } compress: { chunk throws(SyscallError) in
            guard let frame = zstdFrame(of: chunk, level: compressionLevel) else {
                throw SyscallError("compress", path.string, errno: Errno.noMemory.rawValue)
            }
            return frame
        } write: { bytes throws(SyscallError) in
            try writeAll(bytes, to: target.number, subject: path.string)
        }
        // It takes the place of something that is on disk.
        try synchronize(target.number, subject: path.string)
    }
}
