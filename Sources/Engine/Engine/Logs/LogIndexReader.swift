internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// The index of one log file, open. Looks at few entries however many there are.
final class LogIndexReader: Sendable {
    private let file: OwnedFD

    /// nil where there is none, or that of another file, as when rotation renames just now: then the log is read from its start.
    init?(logPath: String, sequence: UInt64) {
        guard let opened = try? openFile(FilePath(LogIndex.path(of: logPath)), [.readOnly, .noFollow, .nonBlocking]) else { return nil }
        let header = try? readChunk(opened.number, limitBytes: LogIndex.headerByteCount)
        guard header == LogIndex.header(sequence: sequence) else { return nil }
        file = opened
    }

    /// The last of the first entries that satisfy `isBefore`, which none does after one that does not.
    func lastEntry(where isBefore: (LogIndex.Entry) -> Bool) -> LogIndex.Entry? {
        let count = partition(isBefore)
        return count > 0 ? entry(count - 1) : nil
    }

    /// The first entry that does not satisfy `isBefore`.
    func firstEntry(after isBefore: (LogIndex.Entry) -> Bool) -> LogIndex.Entry? { entry(partition(isBefore)) }

    private func partition(_ isBefore: (LogIndex.Entry) -> Bool) -> Int {
        guard let status = try? fileStatus(of: file.number) else { return 0 }
        return LogIndex.partition(count: LogIndex.entryCount(byteCount: status.sizeBytes)) { entry($0).map(isBefore) }
    }

    private func entry(_ number: Int) -> LogIndex.Entry? {
        guard (try? seek(file.number, to: LogIndex.place(ofEntry: number))) != nil,
            let bytes = try? readChunk(file.number, limitBytes: LogIndex.entryByteCount)
        else { return nil }
        return LogIndex.Entry(decoding: bytes)
    }
}
