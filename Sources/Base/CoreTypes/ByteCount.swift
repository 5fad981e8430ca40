/// A number of bytes.
public struct ByteCount: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number, from 0 to 2⁶⁴ − 1.
    public var bytes: UInt64

    /// - Parameter bytes: the number itself; no unit is read into it.
    public init(_ bytes: UInt64) { self.bytes = bytes }

    /// By the number of bytes.
    public static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }

    /// The count in decimal units with at most four significant digits, as Docker prints sizes: `1.234MB`.
    public var description: String { decimal(significantDigits: 4) }

    /// The count in powers of 1000: `0B`, `4.26MB`.
    /// - Parameter significantDigits: 1 to 9; trailing zeros are dropped, as C's `%g` does.
    public func decimal(significantDigits: Int) -> String {
        scaled(units: ["B", "kB", "MB", "GB", "TB", "PB", "EB"], step: 1000, significantDigits: significantDigits)
    }

    /// The count in powers of 1024: `1.5GiB`.
    /// - Parameter significantDigits: 1 to 9; trailing zeros are dropped, as C's `%g` does.
    public func binary(significantDigits: Int) -> String {
        scaled(units: ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], step: 1024, significantDigits: significantDigits)
    }

    /// Parses a size as Docker's flags take it: a number, perhaps with a fraction, and perhaps a unit
    /// `b k m g t p` (powers of 1024), `kb`, `KiB` and so on, in either case.
    /// - Throws: `InvalidByteCount` with the text refused, also where the result exceeds `Int64.max`.
    public init(parsing text: String) throws(InvalidByteCount) {
        let units = "bkmgtp"
        let trimmed = text.lowercased()
        let digitsEnd = trimmed.firstIndex { !($0.isASCII && $0.isNumber) && $0 != "." } ?? trimmed.endIndex
        var unit = trimmed[digitsEnd...].drop { $0 == " " }
        var scale: UInt64 = 1
        if let letter = unit.first {
            guard let position = units.firstIndex(of: letter) else { throw InvalidByteCount(text: text) }
            for _ in 0..<units.distance(from: units.startIndex, to: position) { scale *= 1024 }
            unit = unit.dropFirst()
            let suffixes = letter == "b" ? [""] : ["", "b", "ib"]
            guard suffixes.contains(String(unit)) else { throw InvalidByteCount(text: text) }
        }
        let parts = trimmed[..<digitsEnd].split(separator: ".", omittingEmptySubsequences: false)
        guard let whole = parts.first.flatMap({ UInt64($0) }), parts.count <= 2 else { throw InvalidByteCount(text: text) }
        let (product, overflow) = whole.multipliedReportingOverflow(by: scale)
        var fraction: UInt64 = 0
        if parts.count == 2 {
            guard let value = Double("0." + parts[1]) else { throw InvalidByteCount(text: text) }
            fraction = UInt64(value * Double(scale))
        }
        let (total, carry) = product.addingReportingOverflow(fraction)
        guard !overflow, !carry, total <= UInt64(Int64.max) else { throw InvalidByteCount(text: text) }
        bytes = total
    }

    private func scaled(units: [String], step: UInt64, significantDigits: Int) -> String {
        var unit = 0
        var divisor: UInt64 = 1
        while unit + 1 < units.count && bytes / divisor >= step {
            divisor *= step
            unit += 1
        }
        let (whole, remainder) = bytes.quotientAndRemainder(dividingBy: divisor)
        let decimals = max(0, min(9, significantDigits) - String(whole).utf8.count)
        var power: UInt64 = 1
        for _ in 0..<decimals { power *= 10 }
        let fraction = (Double(remainder) / Double(divisor) * Double(power)).rounded(.toNearestOrEven)
        let (carry, digits) = UInt64(fraction).quotientAndRemainder(dividingBy: power)
        var text = String(digits)
        text = String(repeating: "0", count: max(0, decimals - text.utf8.count)) + text
        while text.last == "0" { text.removeLast() }
        return "\(whole + carry)" + (decimals == 0 || text.isEmpty ? "" : ".\(text)") + units[unit]
    }
}

/// A text that is no size.
public struct InvalidByteCount: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was to be read, as it was given.
    public let text: String

    /// - Parameter text: what was to be read.
    public init(text: String) { self.text = text }

    /// One line that names the text, as docker words it.
    public var description: String { "invalid size: '\(text)'" }
}
