internal import CoreTypes
package import ShimProtocol

/// Words log records as entries of systemd's journal, as docker's driver does.
/// - Source: systemd docs/JOURNAL_NATIVE_PROTOCOL.md; moby daemon/logger/journald.
package struct JournalEntries: Sendable {
    private static let (errorPriority, informationPriority) = ("3", "6")

    private let fixed: [UInt8]
    /// Of each stream, which piece of a long line comes next, and what its line is called.
    private var pieces: [LogRecord.Stream: (count: Int, line: Int64)] = [:]

    /// - Parameter fields: `NAME=VALUE`, the same with each entry.
    package init(fields: [String]) {
        fixed = fields.flatMap { field -> [UInt8] in
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return parts.count == 2 ? Self.field(String(parts[0]), Array(parts[1].utf8)[...]) : []
        }
    }

    /// One entry, as the journal's socket takes it.
    package mutating func entry(of record: LogRecord) -> [UInt8] {
        var bytes = fixed
        let (seconds, rest) = record.unixNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        let time = Timestamp(seconds: seconds, nanoseconds: Int32(rest)).fixedWidth
        let priority = record.stream == .stderr ? Self.errorPriority : Self.informationPriority
        for (name, value) in [("PRIORITY", priority), ("SYSLOG_TIMESTAMP", time)] { bytes += Self.field(name, Array(value.utf8)[...]) }
        bytes += pieceFields(record)
        return bytes + Self.field("MESSAGE", record.text)
    }

    /// What says that a line is longer than a record.
    private mutating func pieceFields(_ record: LogRecord) -> [UInt8] {
        let before = pieces[record.stream]
        guard record.isPartial || before != nil else { return [] }
        let piece = (count: (before?.count ?? 0) + 1, line: before?.line ?? record.unixNanoseconds)
        pieces[record.stream] = record.isPartial ? piece : nil
        var fields = [
            ("CONTAINER_PARTIAL_ID", "\(String(piece.line, radix: 16))-\(record.stream.rawValue)"),
            ("CONTAINER_PARTIAL_ORDINAL", "\(piece.count)"), ("CONTAINER_PARTIAL_LAST", "\(!record.isPartial)"),
        ]
        if record.isPartial { fields.append(("CONTAINER_PARTIAL_MESSAGE", "true")) }
        return fields.flatMap { Self.field($0.0, Array($0.1.utf8)[...]) }
    }

    /// A field whose value may hold anything.
    private static func field(_ name: String, _ value: ArraySlice<UInt8>) -> [UInt8] {
        guard value.contains(UInt8(ascii: "\n")) else { return Array("\(name)=".utf8) + value + [UInt8(ascii: "\n")] }
        let count = (0..<8).map { UInt8(truncatingIfNeeded: value.count >> ($0 * 8)) }
        return Array("\(name)\n".utf8) + count + value + [UInt8(ascii: "\n")]
    }
}
