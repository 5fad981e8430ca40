/// Spans of time as Go writes them.
public enum SpanText {
    private static let units: [(name: String, nanoseconds: Double)] = [
        ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9),
    ]

    /// Reads Go's form of a duration, `1h30m`, `1.5s`, `300ms`.
    /// - Returns: nanoseconds; nil for anything else, and for what does not fit 63 bits.
    public static func nanoseconds(_ text: String) -> Int64? {
        var rest = Substring(text)
        let negative = rest.first == "-"
        if negative || rest.first == "+" { rest = rest.dropFirst() }
        if rest == "0" { return 0 }
        var total = 0.0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { !($0.isASCII && ($0.isNumber || $0 == ".")) }
            rest = rest.dropFirst(unit.count)
            guard let number = Double(digits), let scale = units.first(where: { $0.name == unit })?.nanoseconds else { return nil }
            total += number * scale
        }
        return total < 9.2e18 ? Int64(negative ? -total : total) : nil
    }
}
