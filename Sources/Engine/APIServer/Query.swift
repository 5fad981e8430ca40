internal import CoreTypes
package import EngineAPI

/// The parameters of a request, read as dockerd reads them.
package struct Query: Sendable {
    private let values: [String: [String]]

    /// Takes apart what stands behind the question mark, all of it: how long a request's head may be bounds it. Of a name given twice
    /// the first value counts, unless all are asked for.
    package init(_ text: some StringProtocol) {
        var values: [String: [String]] = [:]
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = PercentEncoding.decode(parts[0], plusIsSpace: true)
            let value = parts.count == 2 ? PercentEncoding.decode(parts[1], plusIsSpace: true) : ""
            values[name, default: []].append(value)
        }
        self.values = values
    }

    /// A parameter's text; empty when absent.
    package subscript(name: String) -> String { values[name]?.first ?? "" }

    /// Whether a parameter is there, if only empty.
    package func contains(_ name: String) -> Bool { values[name] != nil }

    /// Every value of a parameter, in order.
    package func all(_ name: String) -> [String] { values[name] ?? [] }

    /// True unless the parameter is absent, empty, `0`, `no`, `false` or `none`.
    package func flag(_ name: String) -> Bool {
        !["", "0", "no", "false", "none"].contains(self[name].lowercased().filter { $0 != " " })
    }

    /// A whole number; nil when absent.
    /// - Throws: `APIError` 400 for other text.
    package func number<Number: FixedWidthInteger>(_ name: String, as _: Number.Type = Int.self) throws(APIError) -> Number? {
        guard !self[name].isEmpty else { return nil }
        guard let number = Number(self[name]) else {
            throw .badRequest("invalid value for '\(name)': parsing \"\(self[name])\": invalid syntax")
        }
        return number
    }

    /// A number that must be there.
    /// - Throws: `APIError` 400 when it is not, or is no number.
    package func requiredNumber<Number: FixedWidthInteger>(_ name: String, as type: Number.Type = Int.self) throws(APIError) -> Number {
        guard let number = try number(name, as: type) else {
            throw .badRequest("invalid value for '\(name)': parsing \"\": invalid syntax")
        }
        return number
    }

    /// `since` and `until`: nanoseconds since 1970 from `seconds[.fraction]` or RFC 3339; nil when absent or 0.
    /// - Throws: `APIError` 400 for other text.
    package func moment(_ name: String) throws(APIError) -> Int64? {
        let text = self[name]
        guard !text.isEmpty, text != "0" else { return nil }
        if let moment = (try? Timestamp(secondsSinceEpoch: text)) ?? (try? Timestamp(text)) {
            let whole = moment.seconds.multipliedReportingOverflow(by: 1_000_000_000)
            let sum = whole.partialValue.addingReportingOverflow(Int64(moment.nanoseconds))
            // Nothing lies beyond what is counted: the year 2262 stands for all later ones, as 1677 does for all earlier ones.
            return whole.overflow || sum.overflow ? moment.seconds < 0 ? .min : .max : sum.partialValue
        }
        throw .badRequest("invalid value for '\(name)': failed to parse \"\(text)\" as a time")
    }

    /// `filters`.
    /// - Throws: `APIError` 400 for what is neither of the two JSON forms.
    package func filters() throws(APIError) -> Filters {
        do { return try Filters(query: self["filters"]) } catch { throw .badRequest("invalid filter: \(error.fault)") }
    }
}

/// Percent-encoding of RFC 3986, section 2.1.
enum PercentEncoding {
    /// Decodes; what is no escape stays as it is, and bytes that are no UTF-8 are replaced.
    static func decode(_ text: some StringProtocol, plusIsSpace: Bool) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let high = hexValue(rest.first), let low = hexValue(rest.dropFirst().first) {
                bytes.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func hexValue(_ byte: UInt8?) -> UInt8? {
        guard let byte else { return nil }
        return Character(Unicode.Scalar(byte)).hexDigitValue.map(UInt8.init)
    }
}
