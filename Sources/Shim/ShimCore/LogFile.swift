internal import LinuxSyscalls
internal import Protobuf
package import ShimProtocol
internal import SystemPackage

/// Where a container's log lies and how much of it is kept.
package struct LogConfiguration: Equatable, Sendable {
    package let path: String
    package let fileByteLimit: UInt64
    /// The current file included.
    package let fileCount: UInt32
    package let delivery: LogDelivery

    package init(path: String, fileByteLimit: UInt64, fileCount: UInt32, delivery: LogDelivery = LogDelivery()) {
        self.path = path
        self.fileByteLimit = fileByteLimit
        self.fileCount = fileCount
        self.delivery = delivery
    }
}

/// A container's log on disk: whole records, rotated by size.
///
/// What a crash left half written at the end is cut off when the file is opened again.
final class LogFile {
    /// Records gathered before they are written.
    private static let batchByteCount = 65_536

    private let configuration: LogConfiguration
    private var file: OwnedFD
    private var sequence: UInt64
    /// Bytes of whole records on disk.
    private var byteCount: UInt64
    private var batch: [UInt8] = []
    /// Text in the batch: what a failure to write costs.
    private var batchTextByteCount: UInt64 = 0
    /// Text that the disk refused, in all.
    private(set) var lostByteCount: UInt64 = 0
    /// What of it no line in the log tells of yet, and what the line in the batch tells of.
    private var untoldByteCount: UInt64 = 0
    private var toldInBatchByteCount: UInt64 = 0
    private var problem = ""
    private var lastStream = LogRecord.Stream.stdout
    private let index: LogIndexFile
    /// The youngest record of this file, on disk or gathered.
    private var newest = Int64.min
    /// The last record's time: the clock may be set back, but the log's never goes back while a shim lives.
    private var lastUnixNanoseconds = Int64.min
    private var condition = Condition.whole
    /// Files that are written no more since this was asked last, where they are to be compressed.
    private var rotatedSequences: [UInt64] = []
    private let progress: LogProgressFile
    /// Bytes of each stream that the records on disk, or lost ones, stand for.
    private(set) var covered = StreamCounts()
    private var coveredByBatch = StreamCounts()

    private enum Condition {
        case whole
        /// The current file has no header yet, because the disk refused it.
        case headless
        /// A failed write left bytes behind that could not be taken back: nothing may follow them.
        case torn
    }

    /// Called before a file gives way to the next one, which may take it away: what was gathered is on disk.
    var willRotate: ((_ log: LogFile) -> Void)?

    /// Where the next record will be on disk.
    var end: LogPlace { LogPlace(sequence: sequence, offset: byteCount) }

    /// Opens the log, or begins it.
    /// - Parameter progress: where it is noted how far the streams are in the log; what it says is counted on.
    init(_ configuration: LogConfiguration, progress: LogProgressFile) throws(SyscallError) {
        self.configuration = configuration
        self.progress = progress
        let known = progress.read()
        covered = known?.covered ?? StreamCounts()
        file = try Self.openCurrent(configuration.path)
        (sequence, byteCount) = (0, 0)
        index = LogIndexFile(logPath: configuration.path)
        let size = UInt64(clamping: try fileStatus(of: file.number, subject: configuration.path).sizeBytes)
        if size == 0 {
            try begin()
            return
        }
        guard let (header, validByteCount) = try examine(size: size, known) else {
            // Not ours, or of a version that we do not know: kept, but not written to.
            try rotate()
            return
        }
        sequence = header.sequence
        byteCount = validByteCount
        // A shim that was killed may have left the last one as it was.
        if sequence > 1, Self.sequence(of: "\(configuration.path).1") == sequence - 1 { noteRotated(sequence - 1) }
        noteProgress()
        if validByteCount < size {
            try setSize(of: file.number, bytes: Int64(clamping: validByteCount), subject: configuration.path)
        }
    }

    /// Takes a record; `flush` puts it on disk. What the disk refuses is counted, and told in the log once it takes something again.
    /// - Parameter coveredByteCount: bytes of its stream that it stands for.
    func append(_ record: LogRecord, covering coveredByteCount: UInt64) {
        tellLoss(unixNanoseconds: record.unixNanoseconds)
        lastStream = record.stream
        do throws(SyscallError) { try gather(record, textByteCount: record.text.count) } catch { lose(record.text.count, error) }
        coveredByBatch.add(coveredByteCount, of: record.stream)
        if batch.count >= Self.batchByteCount { flush() }
    }

    /// Says in the log what is missing at this place, if anything is.
    func tellLoss(unixNanoseconds: Int64) {
        guard untoldByteCount > 0, toldInBatchByteCount == 0 else { return }
        let text = LogMarker.lost(untoldByteCount, problem: problem)
        let marker = LogRecord(unixNanoseconds: unixNanoseconds, stream: lastStream, isPartial: false, text: text[...])
        // Else it is told later.
        do throws(SyscallError) { try gather(marker, textByteCount: 0) } catch { return }
        toldInBatchByteCount = untoldByteCount
    }

    private func gather(_ record: LogRecord, textByteCount: Int) throws(SyscallError) {
        switch condition {
        case .whole where isFull(for: record):
            flush()
            willRotate?(self)
            try rotate()
        case .torn:
            willRotate?(self)
            try rotate()
        case .whole: break
        case .headless: try begin()
        }
        var record = record
        record.unixNanoseconds = max(record.unixNanoseconds, lastUnixNanoseconds)
        lastUnixNanoseconds = record.unixNanoseconds
        newest = max(newest, record.unixNanoseconds)
        record.encode(into: &batch)
        batchTextByteCount += UInt64(textByteCount)
    }

    private func isFull(for record: LogRecord) -> Bool {
        let gathered = byteCount + UInt64(batch.count)
        return gathered + UInt64(record.byteCount) > configuration.fileByteLimit && gathered > UInt64(LogFileHeader.byteCount)
    }

    private func lose(_ textByteCount: some BinaryInteger, _ error: SyscallError) {
        lostByteCount += UInt64(textByteCount)
        untoldByteCount += UInt64(textByteCount)
        problem = "\(error)"
    }

    /// Writes what was taken. After a failure it is gone, and the file ends with a whole record.
    func flush() {
        writeBatch()
        guard coveredByBatch != StreamCounts() else { return }
        covered.add(coveredByBatch)
        coveredByBatch = StreamCounts()
        noteProgress()
    }

    /// Gives back what is kept between batches. Nothing is gathered: each job's records are written before the next is waited for.
    func releaseMemory() { if batch.isEmpty { batch = [] } }

    private func noteProgress() { progress.write(LogProgress(sequence: sequence, byteCount: byteCount, covered: covered)) }

    /// Notes what of the streams lies nowhere but in the log.
    func note(givenBack counts: StreamCounts) { progress.write(givenBack: counts) }

    private func writeBatch() {
        if batch.isEmpty { return }
        do throws(SyscallError) {
            try writeAll(batch, to: file.number, subject: configuration.path)
            byteCount += UInt64(batch.count)
            index.extend(to: byteCount, newest: newest)
            untoldByteCount -= toldInBatchByteCount
        } catch {
            lose(batchTextByteCount, error)
            do throws(SyscallError) {
                try setSize(of: file.number, bytes: Int64(clamping: byteCount), subject: configuration.path)
            } catch { condition = .torn }
        }
        batch.removeAll(keepingCapacity: true)
        (batchTextByteCount, toldInBatchByteCount) = (0, 0)
    }

    /// Removes what was logged so far. Those who read it may end; those who follow go on with the new file.
    func clear() throws(SyscallError) {
        flush()
        // The oldest first: whatever is left by a crash in between is the end of the log, without a gap.
        for path in LogLimits.paths(of: configuration.path, fileCount: configuration.fileCount).reversed() {
            for name in [LogIndex.path(of: path), path] {
                do { try removeFile(FilePath(name)) } catch  where error.isMissing {}
            }
        }
        untoldByteCount = 0
        try begin()
    }

    private func rotate() throws(SyscallError) {
        let paths = LogLimits.paths(of: configuration.path, fileCount: configuration.fileCount).map { FilePath($0) }
        for (newer, older) in zip(paths, paths.dropFirst()).reversed() {
            do { try renameFile(newer, to: older) } catch  where error.isMissing {}
            LogIndexFile.move(newer, to: older)
        }
        if paths.count == 1 { do throws(SyscallError) { try removeFile(paths[0]) } catch  where error.isMissing {} }
        condition = .headless
        try begin()
        noteRotated(sequence - 1)
    }

    private func noteRotated(_ sequence: UInt64) {
        guard configuration.delivery.compresses, configuration.fileCount > 1, sequence > 0 else { return }
        rotatedSequences.append(sequence)
    }

    /// The numbers of files that are to be compressed, each once.
    func takeRotated() -> [UInt64] {
        defer { rotatedSequences = [] }
        return rotatedSequences
    }

    /// Puts a compressed file in the place of the one that it was made of, wherever rotation has moved that.
    func adoptPacked(_ packedSequence: UInt64) throws(SyscallError) {
        let packed = FilePath(PackLogCommand.targetPath(of: configuration.path))
        let paths = LogLimits.paths(of: configuration.path, fileCount: configuration.fileCount)
        let place = Int(clamping: sequence - min(packedSequence, sequence))
        guard place > 0, place < paths.count, Self.sequence(of: paths[place]) == packedSequence else { return try removeFile(packed) }
        try renameFile(packed, to: FilePath(paths[place]))
    }

    /// nil for a file that is not there, or compressed already.
    private static func sequence(of path: String) -> UInt64? {
        guard let file = try? openFile(FilePath(path), [.readOnly, .noFollow]),
            let bytes = try? readChunk(file.number, limitBytes: LogFileHeader.byteCount)
        else { return nil }
        return (try? LogFileHeader(decoding: bytes))?.sequence
    }

    /// Begins the current file, which is not there or empty.
    private func begin() throws(SyscallError) {
        condition = .headless
        file = try Self.openCurrent(configuration.path)
        let header = LogFileHeader(sequence: sequence + 1).encoded()
        do throws(SyscallError) { try writeAll(header, to: file.number, subject: configuration.path) } catch {
            // Else the next attempt would find half of it there.
            try setSize(of: file.number, bytes: 0, subject: configuration.path)
            throw error
        }
        sequence += 1
        byteCount = UInt64(header.count)
        newest = .min
        index.begin(sequence: sequence)
        condition = .whole
        noteProgress()
    }

    private static func openCurrent(_ path: String) throws(SyscallError) -> OwnedFD {
        try openFile(FilePath(path), [.readWrite, .create, .append, .noFollow], mode: 0o600)
    }

    /// The header and where the last whole record ends; nil for a file that is no log of this version. Reads from the index's last place on,
    /// or from an earlier one, so that what was written after `known` is added to what is covered.
    private func examine(size: UInt64, _ known: LogProgress?) throws(SyscallError) -> (LogFileHeader, UInt64)? {
        guard let header = try? LogFileHeader(decoding: try read(at: 0, byteCount: LogFileHeader.byteCount)) else { return nil }
        let countsFrom = Self.firstUncounted(of: header, known)
        index.reopen(sequence: header.sequence, logByteCount: size)
        while index.last.offset > UInt64(LogFileHeader.byteCount) {
            if index.last.offset <= countsFrom, try recordEnds(at: index.last.offset) { break }
            index.dropLast(logByteCount: size)
        }
        newest = index.last.unixNanoseconds
        var decoder = LogDecoder(header: header, at: index.last.offset)
        while true {
            let chunk = try read(at: decoder.takenByteCount, byteCount: Self.batchByteCount)
            decoder.append(chunk)
            // Whatever stands where a record cannot: the log ends before it.
            do throws(WireError) { while try take(next: &decoder, countsFrom: countsFrom) {} } catch { break }
            index.extend(to: decoder.validByteCount, newest: newest)
            if chunk.isEmpty { break }
        }
        return (header, decoder.validByteCount)
    }

    private func take(next decoder: inout LogDecoder, countsFrom: UInt64) throws(WireError) -> Bool {
        let start = decoder.validByteCount
        guard let record = try decoder.next() else { return false }
        newest = max(newest, record.unixNanoseconds)
        if start >= countsFrom { covered.add(record.streamByteCount, of: record.stream) }
        return true
    }

    /// Where the first record stands that is not counted yet. Progress is noted after each write, and whatever is gathered is written before
    /// the next file is begun; so of a file that is not the known one or the one after it, nothing counts.
    private static func firstUncounted(of header: LogFileHeader, _ known: LogProgress?) -> UInt64 {
        guard let known else { return .max }
        if header.sequence == known.sequence { return known.byteCount }
        return header.sequence == known.sequence &+ 1 ? 0 : .max
    }

    /// Whether a whole record ends there, as an index says that was written before a crash.
    private func recordEnds(at offset: UInt64) throws(SyscallError) -> Bool {
        let trailerByteCount = UInt64(LogRecord.trailerByteCount)
        let trailer = try read(at: offset - trailerByteCount, byteCount: LogRecord.trailerByteCount)
        guard let count = try? LogRecord.byteCount(trailer: trailer[...]), offset >= UInt64(LogFileHeader.byteCount + count) else {
            return false
        }
        let bytes = try read(at: offset - UInt64(count), byteCount: count)
        return (try? LogRecord.decode(bytes[...]))?.byteCount == count
    }

    private func read(at offset: UInt64, byteCount: Int) throws(SyscallError) -> [UInt8] {
        try seek(file.number, to: Int64(clamping: offset))
        return try readChunk(file.number, limitBytes: byteCount, subject: configuration.path)
    }
}
