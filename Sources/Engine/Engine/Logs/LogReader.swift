internal import LinuxSyscalls
internal import ShimProtocol

/// Reads a container's log as one stream over its files, in batches. Not safe for use by two tasks at once.
struct LogReader: Sendable {
    /// Of one batch: what is held in memory for one client.
    static let batchBytes = 131_072
    /// What a line takes beside its text, however short it is.
    private static let lineOverheadBytes = 96
    /// Files that are held open for one client, before what comes after them is looked for when they are read.
    private static let heldFileLimit = 8

    private let logPath: String
    private let fileCount: UInt32
    private let options: LogOptions
    private var files: [LogFile] = []
    private var offset: Int64 = 0
    private var isOpen = false
    /// Where the log ended when it was opened, in the file of that number. Who does not follow wants nothing behind it: what is written as fast
    /// as it is read would have no end.
    private var end: (sequence: UInt64, offset: Int64)?
    /// What is to be said before the next line.
    private var remarks: [LogLine] = []
    private var isSkipping = false
    /// Whether the stream's next piece goes on with a line that was begun.
    private var isInLine: (stdout: Bool, stderr: Bool) = (false, false)

    init(logPath: String, fileCount: UInt32, options: LogOptions) {
        self.logPath = logPath
        self.fileCount = fileCount
        self.options = options
    }

    /// The number of the file that is read next: nothing before it is wanted. nil where there is none yet.
    var sequence: UInt64? { files.first?.sequence }

    /// What one batch came to.
    struct Batch: Sendable {
        var lines: [LogLine] = []
        /// Whether everything written so far has been read.
        var reachedEnd = false
        /// Whether no later line can be wanted.
        var passedUntil = false
    }

    /// Reads on from where the last batch ended. Blocks.
    mutating func nextBatch() throws(SyscallError) -> Batch {
        if !isOpen {
            try open()
        } else if options.follow, files.count < Self.heldFileLimit, let newest = files.last {
            // Held from now on: rotation takes them away from those who come later, and a shim of an older version keeps none.
            files += try LogFile.newer(than: newest.sequence, of: logPath, fileCount: fileCount)
        }
        var batch = Batch(lines: remarks)
        remarks = []
        var bytes = 0
        while let file = files.first {
            var reader = LogFileReader(file: file, offset: offset, limit: limit(of: file))
            while bytes < Self.batchBytes, let record = try reader.next() {
                (isSkipping, offset) = (false, reader.offset)
                if let until = options.until, record.unixNanoseconds > until {
                    batch.passedUntil = true
                    return batch
                }
                if let line = line(record) {
                    bytes += line.bytes.count + Self.lineOverheadBytes
                    batch.lines.append(line)
                }
            }
            if bytes >= Self.batchBytes { return batch }
            // A record cannot be read. The index may know one behind it; else the shim will cut it off and write there.
            if reader.isDamaged, let next = try file.start(after: offset) {
                if !isSkipping { batch.lines.append(Self.damage) }
                (isSkipping, offset) = (true, next)
                continue
            }
            // The file is at its end. A newer one means that nothing more is written to it.
            if files.count == 1 { guard options.follow, try findNewer(than: file.sequence) else { break } }
            if try reader.next() != nil { continue }
            files.removeFirst()
            offset = Int64(LogFileHeader.byteCount)
            if let next = files.first, next.sequence > file.sequence + 1,
                let kept = try LogFile.kept(after: file.sequence, before: next.sequence, of: logPath)
            {
                files.insert(kept, at: 0)
            }
            if let next = files.first, next.sequence > file.sequence + 1 { batch.lines.append(Self.gap(next.sequence - file.sequence - 1)) }
        }
        batch.reachedEnd = true
        return batch
    }

    private mutating func line(_ record: LogRecord) -> LogLine? {
        if let since = options.since, record.unixNanoseconds < since { return nil }
        let isContinuation: Bool
        switch record.stream {
        case .stdout:
            guard options.stdout else { return nil }
            isContinuation = isInLine.stdout
            isInLine.stdout = record.isPartial
        case .stderr:
            guard options.stderr else { return nil }
            isContinuation = isInLine.stderr
            isInLine.stderr = record.isPartial
        }
        return LogLine(
            timestamp: record.unixNanoseconds, stream: record.stream == .stdout ? .stdout : .stderr,
            bytes: Array(record.text) + (record.isPartial ? [] : [UInt8(ascii: "\n")]),
            isContinuation: isContinuation)
    }

    /// What a reader that was too slow is told, in place of what was rotated away meanwhile.
    private static func gap(_ fileCount: UInt64) -> LogLine {
        remark("[apus: \(fileCount) log files were cleared or rotated away before they were read]")
    }

    private static var damage: LogLine {
        remark("[apus: what was logged here is damaged, and left out]")
    }

    private static func remark(_ text: String) -> LogLine {
        LogLine(timestamp: unixNanoseconds(), stream: .stderr, bytes: Array("\(text)\n".utf8))
    }

    private func limit(of file: LogFile) -> Int64 {
        guard let end, end.sequence == file.sequence else { return .max }
        return end.offset
    }

    private mutating func findNewer(than sequence: UInt64) throws(SyscallError) -> Bool {
        files += try LogFile.newer(than: sequence, of: logPath, fileCount: fileCount)
        return files.count > 1
    }

    private mutating func open() throws(SyscallError) {
        var problems: [SyscallError] = []
        files = try LogFile.all(of: logPath, fileCount: fileCount) { problems.append($0) }
        // Who follows what is not there yet would be told each time.
        if !files.isEmpty || !options.follow { remarks = problems.map { Self.remark("[apus: a file of the log is left out: \($0)]") } }
        offset = Int64(LogFileHeader.byteCount)
        // Without files there is no log yet: the next batch looks again.
        isOpen = !files.isEmpty
        // Before the last lines are looked for, which then are that many.
        if !options.follow, let newest = files.last { end = (newest.sequence, try newest.byteCount()) }
        if let tail = options.tail { try skip(toLast: tail) } else { try skipOlderFiles() }
    }

    /// Leaves the last lines of the whole log.
    private mutating func skip(toLast lineCount: Int) throws(SyscallError) {
        var wanted = lineCount
        var kept: [LogFile] = []
        var ended: Set<LogRecord.Stream> = []
        while let file = files.popLast() {
            kept.insert(file, at: 0)
            let tail = try file.tail(lineCount: wanted, before: limit(of: file), ended: &ended)
            offset = tail.offset
            wanted -= tail.lines
            if wanted <= 0 { break }
        }
        files = kept
    }

    /// Passes over what was written before `since`, from the newest file back: times grow, so that one look at a file's begin suffices.
    private mutating func skipOlderFiles() throws(SyscallError) {
        guard let since = options.since, !files.isEmpty else { return }
        var first = files.count - 1
        while first > 0, try (files[first].firstTime() ?? .max) >= since { first -= 1 }
        files.removeFirst(first)
        offset = try files[0].start(since: since)
    }
}
