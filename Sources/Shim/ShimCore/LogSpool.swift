internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// The files in which output lies between the container's streams and its log. They lie in the shim's directory, which is memory as a
/// rule: a shim that is killed loses nothing that it had taken and not written.
///
/// A spool only grows, so that a place in it is a number of bytes since the stream began; what is in the log is made a hole, and so is what was dropped.
struct SpoolFiles: Sendable {
    let stdout: SpoolFile
    let stderr: SpoolFile
    let progress: LogProgressFile

    /// Opens them, or makes them.
    init(_ layout: ShimLayout) throws(SyscallError) {
        stdout = try SpoolFile(layout.spoolPath(.stdout))
        stderr = try SpoolFile(layout.spoolPath(.stderr))
        progress = try LogProgressFile(layout.loggedPath)
    }
}

/// One open spool, which both threads share: each has places of its own.
final class SpoolFile: Sendable {
    let descriptor: OwnedFD

    init(_ path: String) throws(SyscallError) { descriptor = try openFile(FilePath(path), [.readWrite, .create, .noFollow]) }

    /// Bytes of the stream since it began.
    func byteCount() throws(SyscallError) -> UInt64 {
        UInt64(clamping: try fileStatus(of: descriptor.number, subject: "spool").sizeBytes)
    }
}

/// The loop's ends of the spools.
final class LogSpools {
    private let stdout: Spool
    private let stderr: Spool

    init(_ files: SpoolFiles) throws(SyscallError) {
        stdout = try Spool(files.stdout)
        stderr = try Spool(files.stderr)
    }

    /// How far each of them has come.
    var byteCounts: StreamCounts { StreamCounts(stdout: stdout.byteCount, stderr: stderr.byteCount) }

    func spool(_ stream: LogRecord.Stream) -> Spool { stream == .stdout ? stdout : stderr }

    /// What is there still of a stream from a place on.
    /// - Parameter givenBack: asked for before and after the look, as the other thread may give back meanwhile.
    func kept(_ stream: LogRecord.Stream, from place: UInt64, givenBack: () -> StreamCounts) -> [UInt8] {
        let spool = spool(stream)
        let start = max(place, givenBack()[stream], spool.endOfHoles(from: place))
        let bytes = (try? spool.bytes(from: start)) ?? []
        return givenBack()[stream] <= start ? bytes : []
    }
}

/// The end that output comes in at.
final class Spool {
    /// Bytes of one move: a whole pipe.
    private static let moveByteCount = 65_536
    private static let pageByteCount: UInt64 = 4096

    private let file: SpoolFile
    private(set) var byteCount: UInt64
    /// Where the bytes begin that were dropped one after the other up to the end, and that take room still; nil where the last ones were not.
    private var droppedFrom: UInt64?

    init(_ file: SpoolFile) throws(SyscallError) {
        self.file = file
        byteCount = try file.byteCount()
    }

    /// Takes what a pipe holds, without waiting.
    func take(from pipe: Int32) throws(SyscallError) -> ReadOutcome {
        let outcome = try splice(from: pipe, toFile: file.descriptor.number, at: byteCount, limitBytes: Self.moveByteCount)
        if case .bytes(let count) = outcome { byteCount += UInt64(count) }
        return outcome
    }

    /// Takes what a terminal's master holds, by way of a pipe: a terminal cannot be moved into a file.
    func take(from master: Int32, through stage: TerminalStage) throws(SyscallError) -> ReadOutcome {
        // What an earlier take could not put into the file comes first.
        if stage.mayHold {
            let outcome = try take(from: stage.readEnd.number)
            if case .bytes = outcome { return outcome }
            stage.mayHold = false
        }
        let outcome = try splice(from: master, toPipe: stage.writeEnd.number, limitBytes: TerminalStage.byteCount)
        guard case .bytes = outcome else { return outcome }
        stage.mayHold = true
        return try take(from: stage.readEnd.number)
    }

    /// What was taken last goes to the log.
    func keepLast() { droppedFrom = nil }

    /// What was taken last goes nowhere: whole pages of it need no room, but for the last ones before the end.
    func dropLast(_ count: Int, keeping kept: UInt64) {
        let start = droppedFrom ?? byteCount - UInt64(count)
        let first = (start + Self.pageByteCount - 1) & ~(Self.pageByteCount - 1)
        let end = (byteCount - min(kept, byteCount)) & ~(Self.pageByteCount - 1)
        droppedFrom = start
        guard end > first else { return }
        // What cannot be given back is tried again with what is dropped next.
        guard (try? punchHole(in: file.descriptor.number, at: first, byteCount: end - first)) != nil else { return }
        droppedFrom = end
    }

    /// Where the last hole after a place ends; 0 where there is none.
    func endOfHoles(from place: UInt64) -> UInt64 {
        var (place, end) = (place, UInt64(0))
        while place < byteCount, let hole = try? nextHole(in: file.descriptor.number, from: place), hole < byteCount {
            guard let data = try? nextData(in: file.descriptor.number, from: hole) else { return byteCount }
            (place, end) = (data, data)
        }
        return end
    }

    /// What was taken from a place on.
    func bytes(from place: UInt64) throws(SyscallError) -> [UInt8] {
        guard place < byteCount else { return [] }
        return try readChunk(file.descriptor.number, at: place, limitBytes: Int(byteCount - place), subject: "spool")
    }

    /// What was taken last.
    func last(_ count: Int) throws(SyscallError) -> [UInt8] {
        try readChunk(file.descriptor.number, at: byteCount - UInt64(count), limitBytes: count, subject: "spool")
    }
}

/// A pipe between a terminal and its spool.
final class TerminalStage {
    /// A terminal hands out no more at once.
    static let byteCount = 4096

    let readEnd: Descriptor
    let writeEnd: Descriptor
    /// Whether something may lie in it.
    var mayHold = true

    init() throws(SyscallError) {
        let pipe = try Pipe()
        writeEnd = Descriptor(try reopen(pipe.writeEnd.number, .writeOnly))
        readEnd = Descriptor(pipe.takeReadEnd())
        try setNonBlocking(true, of: readEnd.number)
    }

    init(readEnd: Descriptor, writeEnd: Descriptor) {
        self.readEnd = readEnd
        self.writeEnd = writeEnd
    }
}

/// The end that the log takes lines from.
struct SpoolReader {
    private static let chunkByteCount = 65_536
    /// The least that is given back at once, and what a place in the file is rounded down to.
    private static let pageByteCount: UInt64 = 4096

    private let stream: LogRecord.Stream
    private let file: SpoolFile
    private var lines: LogLines
    private var offset: UInt64
    private var heldFrom: UInt64

    /// - Parameter heldFrom: what lies before was given back already.
    init(_ stream: LogRecord.Stream, _ file: SpoolFile, from offset: UInt64, heldFrom: UInt64) {
        self.stream = stream
        self.file = file
        self.offset = offset
        self.heldFrom = min(heldFrom, offset) & ~(Self.pageByteCount - 1)
        lines = LogLines(stream: stream)
    }

    /// Takes the next bytes and gives each record that they complete, with how many bytes it stands for.
    mutating func take(_ count: Int, unixNanoseconds: Int64, _ emit: (LogRecord, UInt64) -> Void) {
        var left = count
        while left > 0 {
            // Reading memory of ours can only fail by a bug; then the rest is skipped.
            guard let chunk = try? readChunk(file.descriptor.number, at: offset, limitBytes: min(left, Self.chunkByteCount)),
                !chunk.isEmpty
            else { return offset += UInt64(left) }
            offset += UInt64(chunk.count)
            left -= chunk.count
            lines.append(chunk[...], unixNanoseconds: unixNanoseconds) { emit($0, $0.streamByteCount) }
        }
    }

    /// Takes what lies before a place, and says of holes what they are: a killed shim had dropped what was there.
    mutating func take(upTo end: UInt64, unixNanoseconds: Int64, _ emit: (LogRecord, UInt64) -> Void) {
        let number = file.descriptor.number
        while offset < end {
            guard let data = try? nextData(in: number, from: offset) else {
                return drop(end - offset, unixNanoseconds: unixNanoseconds, emit)
            }
            if data > offset {
                drop(min(data, end) - offset, unixNanoseconds: unixNanoseconds, emit)
            } else {
                let hole = min((try? nextHole(in: number, from: offset)) ?? end, end)
                take(Int(clamping: hole - offset), unixNanoseconds: unixNanoseconds, emit)
            }
        }
    }

    mutating func finish(unixNanoseconds: Int64, _ emit: (LogRecord, UInt64) -> Void) {
        lines.finish(unixNanoseconds: unixNanoseconds) { emit($0, $0.streamByteCount) }
    }

    /// Leaves the next bytes out, and says so in the log.
    mutating func drop(_ count: UInt64, unixNanoseconds: Int64, _ emit: (LogRecord, UInt64) -> Void) {
        // It ends here, but no newline of its stream ended it.
        lines.endLine(unixNanoseconds: unixNanoseconds) { emit($0, UInt64($0.text.count)) }
        offset += count
        let text = LogMarker.dropped(count)
        emit(LogRecord(unixNanoseconds: unixNanoseconds, stream: stream, isPartial: false, text: text[...]), count)
    }

    /// Up to where whole pages can be given back that are needed no more.
    func end(ofGivingBackUpTo place: UInt64) -> UInt64 { max(heldFrom, place & ~(Self.pageByteCount - 1)) }

    /// Makes a hole of what lies before a page.
    mutating func giveBack(upTo end: UInt64) {
        guard end > heldFrom else { return }
        // What cannot be given back stays until the container goes.
        try? punchHole(in: file.descriptor.number, at: heldFrom, byteCount: end - heldFrom)
        heldFrom = end
    }
}
