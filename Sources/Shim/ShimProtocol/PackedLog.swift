package import Protobuf

/// A log file that is written no more, compressed, under the name that it had: independent zstd frames, and behind them their table in
/// zstd's seekable format, so that any place is found without what lies before. `zstd -d` gives the log file back.
///
/// The first frame holds the log file's header alone, each other one the next 256 KiB.
/// - Source: zstd contrib/seekable_format/zstd_seekable_compression_format.md, version 0.1.0; RFC 8878, 3.1.2 (skippable frames).
package struct PackedLogTable: Equatable, Sendable {
    /// One zstd frame.
    package struct Frame: Equatable, Sendable {
        /// Where it lies in the compressed file, and how long it is there.
        package var packedOffset: UInt64
        package var packedByteCount: Int
        /// Which part of the log file it holds.
        package var offset: UInt64
        package var byteCount: Int
    }

    /// The first bytes of a zstd frame: what tells a compressed file from a log file.
    package static let magic: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]
    /// Bytes of the log file in one frame.
    package static let frameByteCount = 262_144
    /// The end of the file, from which the table is found.
    package static let footerByteCount = 9
    /// The most that one frame may take compressed.
    private static let packedFrameByteLimit = frameByteCount * 2
    /// A log file of a terabyte.
    private static let frameLimit = 1 << 22
    private static let skippableMagic: UInt32 = 0x184D_2A5E
    private static let seekableMagic: UInt32 = 0x8F92_EAB1
    private static let skippableHeaderByteCount = 8
    private static let entryByteCount = 8

    package private(set) var frames: [Frame] = []

    package init() {}

    /// Bytes of the log file.
    package var byteCount: UInt64 { frames.last.map { $0.offset + UInt64($0.byteCount) } ?? 0 }

    private var packedByteCount: UInt64 { frames.last.map { $0.packedOffset + UInt64($0.packedByteCount) } ?? 0 }

    /// Notes the frame that follows those noted before.
    package mutating func append(packedByteCount: Int, byteCount: Int) {
        frames.append(
            Frame(
                packedOffset: self.packedByteCount, packedByteCount: packedByteCount, offset: self.byteCount, byteCount: byteCount))
    }

    /// The number of the frame that holds a place in the log file; nil past its end.
    package func frame(holding offset: UInt64) -> Int? {
        var (low, high) = (0, frames.count)
        while low < high {
            let middle = low + (high - low) / 2
            if frames[middle].offset + UInt64(frames[middle].byteCount) <= offset { low = middle + 1 } else { high = middle }
        }
        return low < frames.count ? low : nil
    }

    /// The table as the file's last, skippable frame.
    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(Self.skippableMagic)
        bytes.appendLittleEndian(UInt32(frames.count * Self.entryByteCount + Self.footerByteCount))
        for frame in frames {
            bytes.appendLittleEndian(UInt32(frame.packedByteCount))
            bytes.appendLittleEndian(UInt32(frame.byteCount))
        }
        bytes.appendLittleEndian(UInt32(frames.count))
        bytes.append(0)
        bytes.appendLittleEndian(Self.seekableMagic)
        return bytes
    }

    /// How long the table's frame is, by the file's last bytes.
    /// - Throws: `WireError.malformed` for a file without a table of ours.
    package static func byteCount(footer: [UInt8]) throws(WireError) -> Int {
        guard footer.count == footerByteCount, footer[...].littleEndian(at: 5, byteCount: 4) == UInt64(seekableMagic), footer[4] == 0 else {
            throw WireError(.malformed, "end of a compressed log")
        }
        let count = footer[...].littleEndian(at: 0, byteCount: 4)
        guard count > 0, count <= UInt64(frameLimit) else { throw WireError(.malformed, "compressed log of \(count) frames") }
        return skippableHeaderByteCount + Int(count) * entryByteCount + footerByteCount
    }

    /// Reads the table's frame.
    /// - Parameter fileByteCount: of the whole compressed file, which frames and table fill.
    package init(decoding bytes: [UInt8], fileByteCount: UInt64) throws(WireError) {
        let count = try Self.byteCount(footer: bytes.suffix(Self.footerByteCount))
        guard bytes.count == count, bytes[...].littleEndian(at: 0, byteCount: 4) == UInt64(Self.skippableMagic) else {
            throw WireError(.malformed, "table of a compressed log")
        }
        for start in stride(from: Self.skippableHeaderByteCount, to: count - Self.footerByteCount, by: Self.entryByteCount) {
            let packed = Int(bytes[...].littleEndian(at: start, byteCount: 4))
            let byteCount = Int(bytes[...].littleEndian(at: start + 4, byteCount: 4))
            guard packed > 0, packed <= Self.packedFrameByteLimit, byteCount > 0, byteCount <= Self.frameByteCount else {
                throw WireError(.malformed, "frame in the table of a compressed log")
            }
            append(packedByteCount: packed, byteCount: byteCount)
        }
        guard packedByteCount + UInt64(count) == fileByteCount else { throw WireError(.malformed, "length of a compressed log") }
    }
}

extension PackedLogTable {
    /// Compresses a log file: frame by frame from its beginning, then their table.
    /// - Parameters:
    ///   - headingByteCount: of the part that the first frame holds alone.
    ///   - read: gives the next bytes of the log file, at most as many as it is asked for; none at the end.
    ///   - compress: makes one zstd frame of them.
    ///   - write: takes what comes next in the compressed file.
    package static func pack<Failure: Error>(
        headingByteCount: Int, read: (Int) throws(Failure) -> [UInt8], compress: ([UInt8]) throws(Failure) -> [UInt8],
        write: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        var table = PackedLogTable()
        var limit = headingByteCount
        while true {
            let chunk = try read(limit)
            if chunk.isEmpty { break }
            let frame = try compress(chunk)
            try write(frame)
            table.append(packedByteCount: frame.count, byteCount: chunk.count)
            limit = frameByteCount
        }
        try write(table.encoded())
    }
}
