/// The index beside a log file, `LOG.index`: where in the file which time begins, so that neither a reader nor the shim reads it from its
/// start. All numbers are little-endian.
///
///     8 bytes  "APUSIDX\n"
///     u32      format version, 1
///     u32      reserved, 0
///     u64      number of the log file that it is of
///
/// then entries of 16 bytes, one for at least 64 KiB of the log, in the order of both members:
///
///     u64      where in the log file a record begins, or the next one will
///     i64      Unix time in nanoseconds: no record before is younger
///
/// A log without one is only slower to read.
package enum LogIndex {
    package static let version: UInt32 = 1
    package static let headerByteCount = 24
    package static let entryByteCount = 16
    /// Bytes of the log file between two entries, at least.
    package static let strideByteCount: UInt64 = 65_536
    private static let magic = Array("APUSIDX\n".utf8)

    /// One place in the log file.
    package struct Entry: Equatable, Sendable {
        /// Where a record begins.
        package var offset: UInt64
        /// No record before is younger.
        package var unixNanoseconds: Int64

        package init(offset: UInt64, unixNanoseconds: Int64) {
            self.offset = offset
            self.unixNanoseconds = unixNanoseconds
        }

        /// - Returns: nil for bytes that are no whole entry, or one that points before the first record.
        package init?(decoding bytes: [UInt8]) {
            guard bytes.count == LogIndex.entryByteCount else { return nil }
            offset = bytes[...].littleEndian(at: 0, byteCount: 8)
            unixNanoseconds = Int64(bitPattern: bytes[...].littleEndian(at: 8, byteCount: 8))
            guard offset >= UInt64(LogFileHeader.byteCount), offset <= UInt64(Int64.max) else { return nil }
        }

        /// The entry's bytes.
        package func encoded() -> [UInt8] {
            var bytes: [UInt8] = []
            bytes.appendLittleEndian(offset)
            bytes.appendLittleEndian(UInt64(bitPattern: unixNanoseconds))
            return bytes
        }
    }

    /// The index of the log file at `logPath`.
    package static func path(of logPath: String) -> String { "\(logPath).index" }

    /// The first bytes of an index, of the log file with this number.
    package static func header(sequence: UInt64) -> [UInt8] {
        var bytes = magic
        bytes.appendLittleEndian(version)
        bytes.appendLittleEndian(UInt32(0))
        bytes.appendLittleEndian(sequence)
        return bytes
    }

    /// The number of the log file that an index is of; nil for bytes that begin none.
    package static func sequence(header bytes: [UInt8]) -> UInt64? {
        guard bytes.count >= headerByteCount else { return nil }
        let sequence: UInt64 = bytes[...].littleEndian(at: 16, byteCount: 8)
        return bytes.prefix(headerByteCount) == header(sequence: sequence)[...] ? sequence : nil
    }

    /// Whole entries in an index of `byteCount` bytes.
    package static func entryCount(byteCount: Int64) -> Int { max(0, Int(clamping: byteCount) - headerByteCount) / entryByteCount }

    /// Where an entry lies in the index.
    package static func place(ofEntry number: Int) -> Int64 { Int64(headerByteCount) + Int64(number) * Int64(entryByteCount) }

    /// How many of the first `count` entries satisfy `isBefore`, which none does after one that does not. Looks at few of them.
    /// - Parameter isBefore: nil where the entry cannot be read: then those before it are all that is known.
    package static func partition(count: Int, isBefore: (Int) -> Bool?) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = low + (high - low) / 2
            if isBefore(middle) == true { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
