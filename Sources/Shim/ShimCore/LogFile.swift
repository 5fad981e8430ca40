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
    /// nil while it is closed.
    private var file: OwnedFD?
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
    /// The last record's time: the clock may be set back, but the log's never goes back.
    private var lastUnixNanoseconds = Int64.min
    private var condition = Condition.closed
    /// Files that are written no more since this was asked last, where they are to be compressed.
    private var rotatedSequences: [UInt64] = []
    /// Why no file could be begun for what is gathered now: it is tried once for each batch, and not for each line.
    private var refusal: SyscallError?
    /// Whether a file was put aside, and the next one has not begun.
    private var hasRotated = false
    private let progress: LogProgressFile
    /// Bytes of each stream that the records on disk, or lost ones, stand for.
    private(set) var covered = StreamCounts()
    private var coveredByBatch = StreamCounts()

    private enum Condition {
        case whole
        /// The log could not be opened; each record tries it again.
        case closed
        /// The current file has no header yet, because the disk refused it.
        case headless
        /// A failed write left bytes behind that could not be taken back: nothing may follow them.
        case torn
    }

    /// Called before a file gives way to the next one, which may take it away: what was gathered is on disk.
    var willRotate: ((_ log: LogFile) -> Void)?

    /// Where the next record will be on disk.
    var end: LogPlace { LogPlace(sequence: sequence, offset: byteCount) }

    /// A log that is not open yet.
    /// - Parameter progress: where it is noted how far the streams are in the log; what it says is counted on.
    init(_ configuration: LogConfiguration, progress: LogProgressFile) {
        self.configuration = configuration
        self.progress = progress
        index = LogIndexFile(logPath: configuration.path)
        (sequence, byteCount) = (0, 0)
    }

    /// Opens the log, or begins it. After a failure it is tried again with each record, and what the disk does not take meanwhile is lost as
    /// on a disk that is full.
    func open() throws(SyscallError) {
        let known = progress.read()
        covered = known?.covered ?? covered
        (sequence, byteCount) = (known?.sequence ?? 0, 0)
        do throws(SyscallError) { try open(known) } catch {
            guard condition == .closed else { throw error }
            covered = known?.covered ?? covered
            file = nil
            throw error
        }
    }

    private func open(_ known: LogProgress?) throws(SyscallError) {
        let opened = try Self.openCurrent(configuration.path)
        let size = UInt64(clamping: try fileStatus(of: opened.number, subject: configuration.path).sizeBytes)
        file = consume opened
        if size == 0 {
            sequence = max(sequence, newestSequence())
            return try begin()
        }
        guard let (header, validByteCount) = try examine(size: size, known) else {
            // Not ours, or of a version that we do not know: kept, but not written to.
            sequence = max(sequence, newestSequence())
            return try rotate()
        }
        sequence = header.sequence
        byteCount = validByteCount
        lastUnixNanoseconds = newest
        condition = .whole
        // A shim that was killed may have left the last one as it was.
        if sequence > 1, Self.sequence(of: "\(configuration.path).1") == sequence - 1 { noteRotated(sequence - 1) }
        noteProgress()
        if validByteCount < size {
            do throws(SyscallError) {
                try setSize(of: number, bytes: Int64(clamping: validByteCount), subject: configuration.path)
            } catch {
                condition = .torn
                throw error
            }
        }
    }

    private var number: Int32 { file?.number ?? -1 }

    /// The highest number of a file that is there, compressed ones by their index: what begins comes after all of them.
    private func newestSequence() -> UInt64 {
        LogLimits.paths(of: configuration.path, fileCount: configuration.fileCount).compactMap { path in
            if let sequence = Self.sequence(of: path) { return sequence }
            let index = try? readFile(FilePath(LogIndex.path(of: path)), limitBytes: LogIndex.headerByteCount)
            return index.flatMap { LogIndex.sequence(header: $0) }
        }.max() ?? 0
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
        if let refusal { throw refusal }
        do throws(SyscallError) { try makeRoom(for: record) } catch {
            refusal = error
            throw error
        }
        var record = record
        record.unixNanoseconds = max(record.unixNanoseconds, lastUnixNanoseconds)
        lastUnixNanoseconds = record.unixNanoseconds
        newest = max(newest, record.unixNanoseconds)
        record.encode(into: &batch)
        batchTextByteCount += UInt64(textByteCount)
    }

    private func makeRoom(for record: LogRecord) throws(SyscallError) {
        if condition == .closed { try open() }
        switch condition {
        case .closed: break
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
        refusal = nil
        guard coveredByBatch != StreamCounts() else { return }
        covered.add(coveredByBatch)
        coveredByBatch = StreamCounts()
        noteProgress()
    }

    /// Gives back what is kept between batches. Nothing is gathered: each job's records are written before the next is waited for.
    func releaseMemory() { if batch.isEmpty { batch = [] } }

    private func noteProgress() {
        // What stands in a file that could not be read is not to be counted later: it is covered, or comes again.
        let counted = condition == .closed ? .max : byteCount
        progress.write(LogProgress(sequence: sequence, byteCount: counted, covered: covered))
    }

    /// Notes what of the streams lies nowhere but in the log.
    func note(givenBack counts: StreamCounts) { progress.write(givenBack: counts) }

    private func writeBatch() {
        if batch.isEmpty { return }
        do throws(SyscallError) {
            try writeAll(batch, to: number, subject: configuration.path)
            byteCount += UInt64(batch.count)
            index.extend(to: byteCount, newest: newest)
            untoldByteCount -= toldInBatchByteCount
        } catch {
            lose(batchTextByteCount, error)
            do throws(SyscallError) {
                try setSize(of: number, bytes: Int64(clamping: byteCount), subject: configuration.path)
            } catch { condition = .torn }
        }
        batch.removeAll(keepingCapacity: true)
        (batchTextByteCount, toldInBatchByteCount) = (0, 0)
    }

    /// Removes what was logged so far. Those who read it may end; those who follow go on with the new file.
    func clear() throws(SyscallError) {
        flush()
        if condition == .closed { sequence = max(sequence, newestSequence()) }
        hasRotated = false
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
        keepForFollowers(paths[paths.count - 1], place: UInt64(paths.count - 1))
        for (newer, older) in zip(paths, paths.dropFirst()).reversed() {
            do { try renameFile(newer, to: older) } catch  where error.isMissing {}
            LogIndexFile.move(newer, to: older)
        }
        if paths.count == 1 { do throws(SyscallError) { try removeFile(paths[0]) } catch  where error.isMissing {} }
        condition = .headless
        hasRotated = sequence > 0
        try begin()
    }

    /// Moves the file that would go to where those who follow the log find it.
    private func keepForFollowers(_ oldest: FilePath, place: UInt64) {
        guard sequence > place else { return }
        let directory = LogLimits.followedDirectory(of: configuration.path)
        // As a rule nobody follows, and there is no such directory. Where it is refused, those who do are told of the gap.
        guard (try? renameFile(oldest, to: FilePath("\(directory)/\(sequence - place)"))) != nil else { return }
        let limit = LogLimits.followedFileCount(fileByteLimit: configuration.fileByteLimit)
        // Mostly it was read and is gone.
        if sequence - place > limit { try? removeFile(FilePath("\(directory)/\(sequence - place - limit)")) }
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
        do throws(SyscallError) { try writeAll(header, to: number, subject: configuration.path) } catch {
            // Else the next attempt would find half of it there.
            try setSize(of: number, bytes: 0, subject: configuration.path)
            throw error
        }
        if hasRotated { noteRotated(sequence) }
        hasRotated = false
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
        try seek(number, to: Int64(clamping: offset))
        return try readChunk(number, limitBytes: byteCount, subject: configuration.path)
    }
}
