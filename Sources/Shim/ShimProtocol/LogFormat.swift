package import Protobuf

/// Limits of a container's log, and the names of its files.
package enum LogLimits {
    /// Bytes of one file before the next is begun: 10 MB.
    package static let defaultFileByteCount: UInt64 = 10_000_000
    /// Files kept, the current one included.
    package static let defaultFileCount: UInt32 = 3
    /// The longest text of one record; a longer line is several, all but the last of them partial.
    package static let recordByteCount = 16_384

    /// The files of a log from the newest to the oldest that may exist: `log`, `log.1`, `log.2`.
    package static func paths(of logPath: String, fileCount: UInt32) -> [String] {
        (0..<max(1, fileCount)).map { $0 == 0 ? logPath : "\(logPath).\($0)" }
    }

    /// Where files go that rotation takes away, under their numbers, while somebody follows the log: as long as this directory is there.
    package static func followedDirectory(of logPath: String) -> String { "\(logPath).followed" }

    /// Bytes of a log that are kept there, and files of it: who is further behind is told of a gap.
    private static let followedByteCount: UInt64 = 268_435_456
    private static let followedFileLimit: UInt64 = 4096

    /// How many files are kept there, the last ones.
    package static func followedFileCount(fileByteLimit: UInt64) -> UInt64 {
        min(followedFileLimit, max(1, followedByteCount / max(1, fileByteLimit)))
    }
}

/// The first bytes of each log file. All numbers in the format are little-endian.
///
///     8 bytes  "APUSLOG\n"
///     u32      format version, 1
///     u32      reserved, 0
///     u64      number of the file in the log's life, from 1: a reader sees whether it missed one
package struct LogFileHeader: Equatable, Sendable {
    package static let version: UInt32 = 1
    package static let byteCount = 24
    private static let magic = Array("APUSLOG\n".utf8)

    /// Grows by one with each rotation.
    package var sequence: UInt64

    package init(sequence: UInt64) { self.sequence = sequence }

    /// - Throws: `WireError` for another magic (malformed), another version (unsupported), or too few bytes.
    package init(decoding bytes: some Collection<UInt8>) throws(WireError) {
        let header = Array(bytes.prefix(Self.byteCount))
        guard header.starts(with: Self.magic.prefix(header.count)) else { throw WireError(.malformed, "log header") }
        guard header.count == Self.byteCount else { throw WireError(.truncated, "log header") }
        let version = header[...].littleEndian(at: 8, byteCount: 4)
        guard version == UInt64(Self.version) else { throw WireError(.unsupported, "log header version \(version)") }
        sequence = header[...].littleEndian(at: 16, byteCount: 8)
    }

    package func encoded() -> [UInt8] {
        var bytes = Self.magic
        bytes.appendLittleEndian(Self.version)
        bytes.appendLittleEndian(UInt32(0))
        bytes.appendLittleEndian(sequence)
        return bytes
    }
}

/// One line of a container's output, or a part of one.
///
///     u32      bytes of text, 0 to 16 384
///     i64      Unix time in nanoseconds
///     u8       stream: 1 stdout, 2 stderr
///     u8       flags: 1 partial
///     u16      reserved, 0
///     …        text, without the newline that ended it
///     u32      bytes of text again, so that a reader can go backwards from the end
package struct LogRecord: Equatable, Sendable {
    /// Which of the process's outputs.
    package enum Stream: UInt8, Sendable {
        case stdout = 1
        case stderr = 2
    }

    package static let headerByteCount = 16
    package static let trailerByteCount = 4
    /// The longest record, header and trailer included.
    package static let maximumByteCount = headerByteCount + LogLimits.recordByteCount + trailerByteCount

    package var unixNanoseconds: Int64
    package var stream: Stream
    /// No newline followed: the stream's next record goes on with the same line.
    package var isPartial: Bool
    package var text: ArraySlice<UInt8>

    package init(unixNanoseconds: Int64, stream: Stream, isPartial: Bool, text: ArraySlice<UInt8>) {
        self.unixNanoseconds = unixNanoseconds
        self.stream = stream
        self.isPartial = isPartial
        self.text = text
    }

    /// Bytes of the whole record in the file.
    package var byteCount: Int { Self.headerByteCount + text.count + Self.trailerByteCount }

    /// Appends the record's bytes.
    package func encode(into bytes: inout [UInt8]) {
        precondition(text.count <= LogLimits.recordByteCount, "log record of \(text.count) bytes")
        bytes.appendLittleEndian(UInt32(text.count))
        bytes.appendLittleEndian(UInt64(bitPattern: unixNanoseconds))
        bytes.append(stream.rawValue)
        bytes.append(isPartial ? 1 : 0)
        bytes.appendLittleEndian(UInt16(0))
        bytes.append(contentsOf: text)
        bytes.appendLittleEndian(UInt32(text.count))
    }

    /// The record at the start of `bytes`.
    /// - Returns: nil when they end inside it: a torn tail, or one that is still being written.
    /// - Throws: `WireError.malformed` where no record can stand.
    package static func decode(_ bytes: ArraySlice<UInt8>) throws(WireError) -> LogRecord? {
        guard bytes.count >= headerByteCount else { return nil }
        let start = bytes.startIndex
        let count = bytes.littleEndian(at: start, byteCount: 4)
        guard count <= UInt64(LogLimits.recordByteCount), let stream = Stream(rawValue: bytes[start + 12]),
            bytes[start + 13] <= 1, bytes[start + 14] == 0, bytes[start + 15] == 0
        else { throw WireError(.malformed, "log record") }
        let textStart = start + headerByteCount
        let textEnd = textStart + Int(count)
        guard bytes.endIndex - textEnd >= trailerByteCount else { return nil }
        guard bytes.littleEndian(at: textEnd, byteCount: trailerByteCount) == count else {
            throw WireError(.malformed, "log record trailer")
        }
        return LogRecord(
            unixNanoseconds: Int64(bitPattern: bytes.littleEndian(at: start + 4, byteCount: 8)), stream: stream,
            isPartial: bytes[start + 13] == 1, text: bytes[textStart..<textEnd])
    }

    /// Bytes of the whole record whose trailer is `trailer`, for reading backwards.
    package static func byteCount(trailer: ArraySlice<UInt8>) throws(WireError) -> Int {
        guard trailer.count == trailerByteCount else { throw WireError(.truncated, "log record trailer") }
        let count = trailer.littleEndian(at: trailer.startIndex, byteCount: trailerByteCount)
        guard count <= UInt64(LogLimits.recordByteCount) else { throw WireError(.malformed, "log record trailer") }
        return headerByteCount + Int(count) + trailerByteCount
    }
}

/// Takes a log file's bytes in order, in any pieces, and gives its records.
package struct LogDecoder: Sendable {
    private var buffer: [UInt8] = []
    private var start = 0
    /// The file's header, once it was read.
    package private(set) var header: LogFileHeader?
    /// Bytes of header and whole records taken so far: where a torn tail would begin.
    package private(set) var validByteCount: UInt64 = 0

    /// Bytes of the file taken so far: where to read on.
    package var takenByteCount: UInt64 { validByteCount + UInt64(buffer.count - start) }

    package init() {}

    /// Begins inside a file, where a record does.
    package init(header: LogFileHeader, at offset: UInt64) {
        self.header = header
        validByteCount = offset
    }

    /// Takes the file's next bytes.
    package mutating func append(_ bytes: some Collection<UInt8>) {
        if start > 0 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next record, or nil until more bytes come.
    package mutating func next() throws(WireError) -> LogRecord? {
        if header == nil {
            guard buffer.count - start >= LogFileHeader.byteCount else { return nil }
            header = try LogFileHeader(decoding: buffer[start...])
            advance(LogFileHeader.byteCount)
        }
        guard let record = try LogRecord.decode(buffer[start...]) else { return nil }
        advance(record.byteCount)
        return record
    }

    private mutating func advance(_ count: Int) {
        start += count
        validByteCount += UInt64(count)
    }
}

extension ArraySlice<UInt8> {
    /// At most eight bytes from an index on, as a little-endian number.
    func littleEndian(at index: Int, byteCount: Int) -> UInt64 {
        var value: UInt64 = 0
        for place in stride(from: byteCount - 1, through: 0, by: -1) { value = value << 8 | UInt64(self[index + place]) }
        return value
    }
}

extension [UInt8] {
    mutating func appendLittleEndian(_ value: some FixedWidthInteger & UnsignedInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }
}
