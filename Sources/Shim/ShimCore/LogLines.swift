package import ShimProtocol

/// Cuts one stream's output into log records: at newlines, and inside a line after
/// `LogLimits.recordByteCount`. Holds no more than that.
package struct LogLines {
    private let stream: LogRecord.Stream
    private var line: [UInt8] = []

    /// Begins with nothing held back.
    package init(stream: LogRecord.Stream) { self.stream = stream }

    /// Takes the stream's next bytes and gives each record that they complete.
    package mutating func append(_ bytes: ArraySlice<UInt8>, unixNanoseconds: Int64, _ emit: (LogRecord) -> Void) {
        var rest = bytes
        while !rest.isEmpty {
            // One more than a record holds: a newline there still ends it.
            let room = LogLimits.recordByteCount - line.count
            let window = rest.prefix(room + 1)
            if let newline = window.firstIndex(of: 0x0a) {
                take(rest[..<newline], isPartial: false, unixNanoseconds, emit)
                rest = rest[(newline + 1)...]
            } else if window.count > room {
                take(rest.prefix(room), isPartial: true, unixNanoseconds, emit)
                rest = rest.dropFirst(room)
            } else {
                line.append(contentsOf: rest)
                return
            }
        }
    }

    /// The stream has ended: what is left had no newline.
    package mutating func finish(unixNanoseconds: Int64, _ emit: (LogRecord) -> Void) {
        if line.isEmpty { return }
        take([], isPartial: true, unixNanoseconds, emit)
    }

    /// Something of another origin follows in the log: what is held back becomes a line of its own.
    package mutating func endLine(unixNanoseconds: Int64, _ emit: (LogRecord) -> Void) {
        if line.isEmpty { return }
        take([], isPartial: false, unixNanoseconds, emit)
    }

    private mutating func take(
        _ end: ArraySlice<UInt8>, isPartial: Bool, _ unixNanoseconds: Int64, _ emit: (LogRecord) -> Void
    ) {
        if line.isEmpty {
            return emit(LogRecord(unixNanoseconds: unixNanoseconds, stream: stream, isPartial: isPartial, text: end))
        }
        line.append(contentsOf: end)
        emit(LogRecord(unixNanoseconds: unixNanoseconds, stream: stream, isPartial: isPartial, text: line[...]))
        line.removeAll(keepingCapacity: true)
    }
}
