internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// One file of a container's log, open: it stays readable whatever rotation does to its name.
final class LogFile: Sendable {
    private static let chunkBytes = 65_536

    let sequence: UInt64
    private let file: OwnedFD

    /// nil where there is no such file, or none with a whole header yet.
    init?(_ path: String) throws(SyscallError) {
        let opened: OwnedFD
        do throws(SyscallError) { opened = try openFile(FilePath(path), [.readOnly, .noFollow, .nonBlocking]) } catch
            where error.errno
            == Errno.noSuchFileOrDirectory.rawValue
        { return nil }
        let bytes = try readChunk(opened.number, limitBytes: LogFileHeader.byteCount, subject: path)
        let header: LogFileHeader
        do throws(WireError) { header = try LogFileHeader(decoding: bytes) } catch {
            if error.code == .truncated { return nil }
            throw SyscallError("read", "\(path): \(error)", errno: Errno.badMessage.rawValue)
        }
        sequence = header.sequence
        file = opened
    }

    /// Every file of a log, the oldest first, each once.
    static func all(of logPath: String, fileCount: UInt32) throws(SyscallError) -> [LogFile] {
        var files: [UInt64: LogFile] = [:]
        // One more than is kept, as one may move while we look; from the newest, so that what moves is met again and not missed.
        for path in LogLimits.paths(of: logPath, fileCount: fileCount + 1) {
            if let file = try LogFile(path) { files[file.sequence] = file }
        }
        return files.values.sorted { $0.sequence < $1.sequence }
    }

    /// Bytes in the file now.
    func byteCount() throws(SyscallError) -> Int64 { try fileStatus(of: file.number).sizeBytes }

    /// Bytes from `offset`; empty at the end.
    func read(at offset: Int64, limitBytes: Int = chunkBytes) throws(SyscallError) -> [UInt8] {
        try seek(file.number, to: offset)
        return try readChunk(file.number, limitBytes: limitBytes)
    }

    /// Where the last records begin that hold `lineCount` lines together, and how many lines those are.
    func tail(lineCount: Int) throws(SyscallError) -> (offset: Int64, lines: Int) {
        do throws(WireError) {
            if let found = try tailBackwards(lineCount) { return found }
        } catch {}
        // A torn record at the end, left by a crash, cannot be read backwards.
        return try tailForwards(lineCount)
    }

    private func tailBackwards(_ lineCount: Int) throws(WireError) -> (offset: Int64, lines: Int)? {
        let trailerBytes = Int64(LogRecord.trailerByteCount)
        var offset: Int64
        do throws(SyscallError) { offset = try byteCount() } catch { return nil }
        var lines = 0
        while offset > Int64(LogFileHeader.byteCount) {
            let trailer: [UInt8]
            let flags: [UInt8]
            let start: Int64
            do throws(SyscallError) {
                trailer = try read(at: offset - trailerBytes, limitBytes: LogRecord.trailerByteCount)
                start = offset - Int64((try? LogRecord.byteCount(trailer: trailer[...])) ?? Int.max >> 1)
                guard start >= Int64(LogFileHeader.byteCount) else { return nil }
                flags = try read(at: start, limitBytes: LogRecord.headerByteCount)
            } catch { return nil }
            // A line's last record is the one that is not partial: the next one we meet begins the line before.
            let isPartial = flags.count == LogRecord.headerByteCount && flags[13] & 1 == 1
            if !isPartial {
                if lines == lineCount { return (offset, lines) }
                lines += 1
            }
            offset = start
        }
        return (Int64(LogFileHeader.byteCount), lines)
    }

    private func tailForwards(_ lineCount: Int) throws(SyscallError) -> (offset: Int64, lines: Int) {
        var starts: [Int64] = []
        var reader = LogFileReader(file: self, offset: Int64(LogFileHeader.byteCount))
        var lineStart = reader.offset
        while let record = try reader.next() {
            if !record.isPartial {
                starts.append(lineStart)
                lineStart = reader.offset
            }
        }
        let kept = starts.suffix(lineCount)
        return (kept.first ?? reader.offset, kept.count)
    }
}

/// Reads a log file's records in order, from some record on.
struct LogFileReader {
    let file: LogFile
    /// Where the next record begins.
    private(set) var offset: Int64
    private var buffer: ArraySlice<UInt8> = []

    init(file: LogFile, offset: Int64) {
        self.file = file
        self.offset = offset
    }

    /// The next record; nil at the end, which may only be the end for now.
    mutating func next() throws(SyscallError) -> LogRecord? {
        while true {
            do throws(WireError) {
                if let record = try LogRecord.decode(buffer) {
                    buffer = buffer.dropFirst(record.byteCount)
                    offset += Int64(record.byteCount)
                    return record
                }
            } catch {
                throw SyscallError("read", "log file \(file.sequence) at \(offset): \(error)", errno: Errno.badMessage.rawValue)
            }
            let more = try file.read(at: offset + Int64(buffer.count))
            if more.isEmpty { return nil }
            buffer = ArraySlice(Array(buffer) + more)
        }
    }
}
