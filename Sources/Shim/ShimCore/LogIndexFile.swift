internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// The index beside the current log file, as it is written. A log without one is only slower to read: no failure here is the log's.
final class LogIndexFile {
    private let path: FilePath
    /// nil where the index could not be written: the next log file has one again.
    private var file: OwnedFD?
    private var entryCount = 0
    /// What the last entry says, or the header's end.
    private(set) var last: LogIndex.Entry

    init(logPath: String) {
        path = FilePath(LogIndex.path(of: logPath))
        last = Self.start
    }

    private static var start: LogIndex.Entry { LogIndex.Entry(offset: UInt64(LogFileHeader.byteCount), unixNanoseconds: .min) }

    /// Begins the index of a log file that begins.
    func begin(sequence: UInt64) {
        (entryCount, last) = (0, Self.start)
        file = try? Self.create(path, sequence: sequence)
    }

    /// Takes up the index of a log file that is there; begins it anew where it is of another file, or none.
    func reopen(sequence: UInt64, logByteCount: UInt64) {
        file = try? openFile(path, [.readWrite, .append, .noFollow])
        guard let descriptor = file?.number,
            (try? readChunk(descriptor, limitBytes: LogIndex.headerByteCount)) == LogIndex.header(sequence: sequence),
            let size = try? fileStatus(of: descriptor).sizeBytes
        else { return begin(sequence: sequence) }
        entryCount = LogIndex.entryCount(byteCount: size)
        findLast(logByteCount: logByteCount)
    }

    /// The last entry was wrong: goes back to the one before it.
    func dropLast(logByteCount: UInt64) {
        entryCount = max(0, entryCount - 1)
        findLast(logByteCount: logByteCount)
    }

    /// Cuts off what points past the log's end, or lies torn at the index's own.
    private func findLast(logByteCount: UInt64) {
        last = Self.start
        while entryCount > 0 {
            if let entry = entry(entryCount - 1), entry.offset <= logByteCount {
                last = entry
                break
            }
            entryCount -= 1
        }
        guard let descriptor = file?.number else { return }
        if (try? setSize(of: descriptor, bytes: LogIndex.place(ofEntry: entryCount), subject: path.string)) == nil { file = nil }
    }

    private func entry(_ number: Int) -> LogIndex.Entry? {
        guard let descriptor = file?.number, (try? seek(descriptor, to: LogIndex.place(ofEntry: number))) != nil,
            let bytes = try? readChunk(descriptor, limitBytes: LogIndex.entryByteCount)
        else { return nil }
        return LogIndex.Entry(decoding: bytes)
    }

    /// The log file ends here, with a whole record, and no record in it is younger than `newest`.
    func extend(to byteCount: UInt64, newest: Int64) {
        guard byteCount >= last.offset + LogIndex.strideByteCount, let descriptor = file?.number else { return }
        last = LogIndex.Entry(offset: byteCount, unixNanoseconds: max(newest, last.unixNanoseconds))
        entryCount += 1
        do throws(SyscallError) { try writeAll(last.encoded(), to: descriptor, subject: path.string) } catch { file = nil }
    }

    /// A log file is renamed, and its index with it.
    static func move(_ log: FilePath, to new: FilePath) {
        let (from, to) = (FilePath(LogIndex.path(of: log.string)), FilePath(LogIndex.path(of: new.string)))
        // One that stayed would be of another file, which its number tells; it only takes room.
        do throws(SyscallError) { try renameFile(from, to: to) } catch { try? removeFile(to) }
    }

    private static func create(_ path: FilePath, sequence: UInt64) throws(SyscallError) -> OwnedFD {
        let file = try openFile(path, [.readWrite, .append, .create, .truncate, .noFollow], mode: 0o600)
        try writeAll(LogIndex.header(sequence: sequence), to: file.number, subject: path.string)
        return file
    }
}
