/// Which trace and span something belongs to, as W3C's Trace Context has it.
package struct TraceContext: Equatable, Sendable {
    /// 16 bytes, not all zero.
    package let traceID: [UInt8]
    /// 8 bytes, not all zero.
    package let spanID: [UInt8]
    /// Whether whoever began the trace keeps it.
    package let isSampled: Bool

    /// Reads a `traceparent` header; nil for what is none.
    /// - Spec: W3C Trace Context, "traceparent Header Field Values": of a later version the first four fields count.
    package init?(header: String) {
        let fields = header.split(separator: "-", omittingEmptySubsequences: false)
        guard fields.count >= 4, let version = Self.bytes(fields[0], count: 1), version != [0xFF], version != [0] || fields.count == 4,
            let traceID = Self.bytes(fields[1], count: 16), let spanID = Self.bytes(fields[2], count: 8),
            let flags = Self.bytes(fields[3], count: 1), traceID.contains(where: { $0 != 0 }), spanID.contains(where: { $0 != 0 })
        else { return nil }
        self.traceID = traceID
        self.spanID = spanID
        isSampled = flags[0] & 1 == 1
    }

    /// The root of a new trace.
    static func root() -> TraceContext { TraceContext(traceID: random(16), spanID: random(8)) }

    /// A span below this one.
    func child() -> TraceContext { TraceContext(traceID: traceID, spanID: Self.random(8)) }

    private init(traceID: [UInt8], spanID: [UInt8]) {
        self.traceID = traceID
        self.spanID = spanID
        isSampled = true
    }

    private static func random(_ count: Int) -> [UInt8] {
        // All zero means none.
        [UInt8.random(in: 1...255)] + (1..<count).map { _ in UInt8.random(in: 0...255) }
    }

    /// Lower case alone, as the specification wants it.
    private static func bytes(_ text: Substring, count: Int) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count == 2 * count else { return nil }
        var bytes: [UInt8] = []
        for place in 0..<count {
            guard let high = value(digits[2 * place]), let low = value(digits[2 * place + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
