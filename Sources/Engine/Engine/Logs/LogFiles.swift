internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// One file of a container's log, open: it stays readable whatever rotation does to its name.
final class LogFile: Sendable {
    static let chunkBytes = 65_536

    let sequence: UInt64
    private let contents: any LogContents
    /// nil where there is none, or that of another file, as when rotation renames just now: then the file is read from its start.
    private let index: LogIndexReader?

    /// nil where there is no such file, or none with a whole header yet.
    init?(_ path: String) throws(SyscallError) {
        let opened: OwnedFD
        do throws(SyscallError) { opened = try openFile(FilePath(path), [.readOnly, .noFollow, .nonBlocking]) } catch
            where error.errno
            == Errno.noSuchFileOrDirectory.rawValue
        { return nil }
        let start = try readChunk(opened.number, limitBytes: PackedLogTable.magic.count, subject: path)
        contents = start == PackedLogTable.magic ? try PackedLog(opened, path: path) : PlainLog(opened)
        let bytes = try contents.read(at: 0, limitBytes: LogFileHeader.byteCount)
        let header: LogFileHeader
        do throws(WireError) { header = try LogFileHeader(decoding: bytes) } catch {
            if error.code == .truncated { return nil }
            throw SyscallError("read", "\(path): \(error)", errno: Errno.badMessage.rawValue)
        }
        sequence = header.sequence
        index = LogIndexReader(logPath: path, sequence: header.sequence)
    }

    /// Every file of a log, the oldest first, each once.
    /// - Parameter unreadable: called for each that is there and no log file, or damaged, so that it cannot be read.
    static func all(
        of logPath: String, fileCount: UInt32, unreadable: (SyscallError) -> Void = { _ in }
    ) throws(SyscallError) -> [LogFile] {
        var files: [UInt64: LogFile] = [:]
        // One more than is kept, as one may move while we look; from the newest, so that what moves is met again and not missed.
        for path in LogLimits.paths(of: logPath, fileCount: fileCount + 1) {
            do throws(SyscallError) {
                if let file = try LogFile(path) { files[file.sequence] = file }
            } catch  where error.isOfDamage { unreadable(error) }
        }
        return files.values.sorted { $0.sequence < $1.sequence }
    }

    /// Those that were begun after one, the oldest first.
    static func newer(than sequence: UInt64, of logPath: String, fileCount: UInt32) throws(SyscallError) -> [LogFile] {
        // Mostly there is none, and one look says so.
        do throws(SyscallError) {
            if let current = try LogFile(logPath), current.sequence <= sequence { return [] }
        } catch  where error.isOfDamage {}
        return try all(of: logPath, fileCount: fileCount).filter { $0.sequence > sequence }
    }

    /// The first one between two others that rotation has taken away, and that is kept for those who follow; nil where none is.
    static func kept(after former: UInt64, before next: UInt64, of logPath: String) throws(SyscallError) -> LogFile? {
        let directory = LogLimits.followedDirectory(of: logPath)
        // Mostly it is the next one.
        if let file = try whole("\(directory)/\(former + 1)") { return file }
        let opened: OwnedFD
        do throws(SyscallError) { opened = try openFile(FilePath(directory), [.readOnly, .directory, .noFollow]) } catch
            where error.errno
            == Errno.noSuchFileOrDirectory.rawValue
        { return nil }
        let numbers = try directoryEntries(of: opened, subject: directory).compactMap { UInt64($0.name.string) }
        for number in numbers.sorted() where number > former && number < next {
            // The shim may remove it meanwhile.
            if let file = try whole("\(directory)/\(number)") { return file }
        }
        return nil
    }

    /// nil also for one that is damaged.
    private static func whole(_ path: String) throws(SyscallError) -> LogFile? {
        do throws(SyscallError) { return try LogFile(path) } catch  where error.isOfDamage { return nil }
    }

    /// Bytes in the file now.
    func byteCount() throws(SyscallError) -> Int64 { try contents.byteCount() }

    /// Bytes from `offset`; empty at the end.
    func read(at offset: Int64, limitBytes: Int = chunkBytes) throws(SyscallError) -> [UInt8] {
        try contents.read(at: offset, limitBytes: limitBytes)
    }

    // MARK: - Places

    /// Where to begin to read for records that are not older than `moment`: nothing before is wanted.
    func start(since moment: Int64) throws(SyscallError) -> Int64 {
        try offset(index?.lastEntry { $0.unixNanoseconds < moment })
    }

    /// The last place up to `limit` that the index knows.
    private func lastPlace(before limit: Int64) throws(SyscallError) -> Int64 {
        try offset(index?.lastEntry { $0.offset <= UInt64(clamping: limit) })
    }

    private func offset(_ entry: LogIndex.Entry?) throws(SyscallError) -> Int64 {
        guard let entry, entry.offset <= UInt64(clamping: try byteCount()) else { return Int64(LogFileHeader.byteCount) }
        return Int64(clamping: entry.offset)
    }

    /// Where reading can go on that met a damaged record at `damage`; nil where nothing behind it is known.
    func start(after damage: Int64) throws(SyscallError) -> Int64? {
        guard let entry = index?.firstEntry(after: { $0.offset <= UInt64(clamping: damage) }),
            entry.offset < UInt64(clamping: try byteCount())
        else { return nil }
        return Int64(clamping: entry.offset)
    }

    /// When the first record was written; nil where there is none.
    func firstTime() throws(SyscallError) -> Int64? {
        var reader = LogFileReader(file: self, offset: Int64(LogFileHeader.byteCount))
        return try reader.next()?.unixNanoseconds
    }

    // MARK: - The end

    /// Where the last records begin that hold `lineCount` lines together, and how many lines those are. What a stream's last line has of text
    /// is a line, too, when its end has not come.
    /// - Parameters:
    ///   - limit: where the records end that count.
    ///   - ended: the streams with records in newer files.
    func tail(
        lineCount: Int, before limit: Int64, ended: inout Set<LogRecord.Stream>
    ) throws(SyscallError) -> (offset: Int64, lines: Int) {
        let size = min(limit, try byteCount())
        if let found = try tail(lineCount, before: size, &ended) { return found }
        // A record that is torn, or was being written when its file was looked at, cannot be read backwards.
        let end = try wholeEnd(before: size)
        return try tail(lineCount, before: end, &ended) ?? (end, 0)
    }

    private func tail(
        _ lineCount: Int, before end: Int64, _ ended: inout Set<LogRecord.Stream>
    ) throws(SyscallError) -> (offset: Int64, lines: Int)? {
        var reader = LogFileBackwardReader(file: self, offset: end)
        var lines = 0
        while reader.offset > Int64(LogFileHeader.byteCount) {
            let recordEnd = reader.offset
            // What lies before a damaged record is not found backwards.
            guard let record = try reader.next() else { return recordEnd == end ? nil : (recordEnd, lines) }
            // A line's last record is the one that is not partial, or the stream's last: the next one we meet begins the line before.
            let isLast = ended.insert(record.stream).inserted
            guard !record.isPartial || isLast else { continue }
            if lines == lineCount { return (recordEnd, lines) }
            lines += 1
        }
        return (Int64(LogFileHeader.byteCount), lines)
    }

    /// Where the last record ends that is whole at `limit`.
    private func wholeEnd(before limit: Int64) throws(SyscallError) -> Int64 {
        var reader = LogFileReader(file: self, offset: try lastPlace(before: limit), limit: limit)
        while try reader.next() != nil {}
        return reader.offset
    }
}

/// Reads a log file's records in order, from some record on.
struct LogFileReader {
    let file: LogFile
    /// Where the records end that are wanted.
    private let limit: Int64
    /// Where the next record begins.
    private(set) var offset: Int64
    /// What stands at `offset` is no record: torn by a crash, or damaged.
    private(set) var isDamaged = false
    private var buffer: ArraySlice<UInt8> = []

    init(file: LogFile, offset: Int64, limit: Int64 = .max) {
        self.file = file
        self.offset = offset
        self.limit = limit
    }

    /// The next record; nil at the end, which may only be the end for now.
    mutating func next() throws(SyscallError) -> LogRecord? {
        while offset < limit {
            do throws(WireError) {
                if let record = try LogRecord.decode(buffer) {
                    if Int64(record.byteCount) > limit - offset { return nil }
                    buffer = buffer.dropFirst(record.byteCount)
                    offset += Int64(record.byteCount)
                    return record
                }
            } catch {
                isDamaged = true
                return nil
            }
            let more: [UInt8]
            do throws(SyscallError) { more = try file.read(at: offset + Int64(buffer.count)) } catch  where error.isOfDamage {
                isDamaged = true
                return nil
            }
            if more.isEmpty { return nil }
            buffer = buffer.isEmpty ? more[...] : ArraySlice(Array(buffer) + more)
        }
        return nil
    }
}

/// Reads a log file's records from some record's end back to the first.
struct LogFileBackwardReader {
    let file: LogFile
    /// Where the record read last begins.
    private(set) var offset: Int64
    /// The file's bytes from `windowStart` on.
    private var window: [UInt8] = []
    private var windowStart: Int64

    init(file: LogFile, offset: Int64) {
        self.file = file
        self.offset = offset
        windowStart = offset
    }

    /// The record before; nil where none can be read.
    mutating func next() throws(SyscallError) -> LogRecord? {
        let start = Int64(LogFileHeader.byteCount)
        guard let trailer = try bytes(offset - Int64(LogRecord.trailerByteCount), LogRecord.trailerByteCount),
            let count = try? LogRecord.byteCount(trailer: trailer), offset - Int64(count) >= start,
            let bytes = try bytes(offset - Int64(count), count), let record = try? LogRecord.decode(bytes), record.byteCount == count
        else { return nil }
        offset -= Int64(count)
        return record
    }

    private mutating func bytes(_ place: Int64, _ count: Int) throws(SyscallError) -> ArraySlice<UInt8>? {
        guard place >= 0 else { return nil }
        if place < windowStart || place + Int64(count) > windowStart + Int64(window.count) {
            let end = place + Int64(count)
            windowStart = max(0, end - Int64(LogFile.chunkBytes))
            window = []
            do throws(SyscallError) { window = try file.read(at: windowStart, limitBytes: Int(end - windowStart)) } catch
                where error.isOfDamage
            {
                // What is asked for may be whole, and only what lies before it not.
                windowStart = place
                do throws(SyscallError) { window = try file.read(at: place, limitBytes: count) } catch  where error.isOfDamage {
                    return nil
                }
            }
        }
        let first = Int(place - windowStart)
        guard first + count <= window.count else { return nil }
        return window[first..<(first + count)]
    }
}

extension SyscallError {
    /// What was read is not what was written there: EBADMSG, of ours.
    var isOfDamage: Bool { errno == Errno.badMessage.rawValue }
}
