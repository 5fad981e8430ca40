package import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// Bytes of the container's two streams since they began.
package struct StreamCounts: Equatable, Sendable {
    var stdout: UInt64 = 0
    var stderr: UInt64 = 0

    mutating func add(_ count: UInt64, of stream: LogRecord.Stream) {
        switch stream {
        case .stdout: stdout &+= count
        case .stderr: stderr &+= count
        }
    }

    subscript(stream: LogRecord.Stream) -> UInt64 { stream == .stdout ? stdout : stderr }

    mutating func add(_ other: StreamCounts) {
        stdout &+= other.stdout
        stderr &+= other.stderr
    }
}

extension LogRecord {
    /// Bytes of its stream that it stands for: its text, and the newline that ended it. Not so for the lines that tell of a loss: where a
    /// shim is killed within microseconds of writing one, that many bytes of output are missing beside those that it tells of.
    var streamByteCount: UInt64 { UInt64(text.count) + (isPartial ? 0 : 1) }
}

/// How far the streams were in the log when it had a certain length. Records beyond that length are counted on top.
package struct LogProgress: Equatable, Sendable {
    /// The log file's number, and bytes of whole records in it.
    var sequence: UInt64
    var byteCount: UInt64
    var covered: StreamCounts
}

/// The file that says so: five numbers of eight bytes, little-endian, the first of them the format's version. Behind them stand two more: up to
/// where the spools were given back.
package final class LogProgressFile: Sendable {
    private static let version: UInt64 = 1
    private static let byteCount = 40
    private static let givenBackByteCount = 16

    private let descriptor: OwnedFD

    /// Opens it, or makes it with room for all that will be noted: else a killed shim could leave a log of which nobody knows how far it is.
    package init(_ path: String) throws(SyscallError) {
        descriptor = try openFile(FilePath(path), [.readWrite, .create, .noFollow])
        guard try fileStatus(of: descriptor.number, subject: path).sizeBytes == 0 else { return }
        try writeAll([UInt8](repeating: 0, count: Self.byteCount + Self.givenBackByteCount).span, at: 0, to: descriptor.number)
    }

    /// nil where nothing was noted yet.
    package func read() -> LogProgress? {
        guard let bytes = try? readChunk(descriptor.number, at: 0, limitBytes: Self.byteCount), bytes.count == Self.byteCount else {
            return nil
        }
        let numbers = bytes.littleEndianNumbers
        guard numbers[0] == Self.version else { return nil }
        return LogProgress(
            sequence: numbers[1], byteCount: numbers[2], covered: StreamCounts(stdout: numbers[3], stderr: numbers[4]))
    }

    /// What is no more in the spools; nil where nobody noted it.
    func readGivenBack() -> StreamCounts? {
        guard let bytes = try? readChunk(descriptor.number, at: UInt64(Self.byteCount), limitBytes: Self.givenBackByteCount),
            bytes.count == Self.givenBackByteCount
        else {
            return nil
        }
        let numbers = bytes.littleEndianNumbers
        return StreamCounts(stdout: numbers[0], stderr: numbers[1])
    }

    /// Noted before it is done.
    func write(givenBack counts: StreamCounts) {
        try? writeAll([counts.stdout, counts.stderr].littleEndianBytes.span, at: Int64(Self.byteCount), to: descriptor.number)
    }

    /// One write into one page: it is there whole or not at all, whenever the shim is killed.
    func write(_ progress: LogProgress) {
        let numbers = [Self.version, progress.sequence, progress.byteCount, progress.covered.stdout, progress.covered.stderr]
        // A page that this file has cannot be refused.
        try? writeAll(numbers.littleEndianBytes.span, at: 0, to: descriptor.number)
    }
}

extension [UInt8] {
    /// Whole numbers of eight bytes, little-endian.
    var littleEndianNumbers: [UInt64] {
        stride(from: 0, to: count - count % 8, by: 8).map { start in
            (0..<8).reduce(UInt64(0)) { $0 | UInt64(self[start + $1]) << UInt64($1 * 8) }
        }
    }
}

extension [UInt64] {
    /// Each in eight bytes, little-endian.
    package var littleEndianBytes: [UInt8] { flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64($0 * 8)) } } }
}
