internal import CoreTypes

/// Sizes, durations and processor counts as docker's command line writes them.

/// Why `text` is no size, in the words of docker's `units.RAMInBytes`; nil when it is one.
func complaintAboutByteSize(_ text: String) -> String? {
    if parseByteSize(text) != nil { return nil }
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
    // Of a unit that there is, it is too much: Docker sends another number then.
    if parseByteSize("1" + unit) != nil, Double(digits) != nil { return "invalid size: '\(text)': value out of range" }
    return Double(digits) == nil || unit.isEmpty ? "invalid size: '\(text)'" : "invalid suffix: '\(unit)'"
}

/// Reads a size with a binary unit: `512`, `64k`, `1.5g`, `10MiB`. Units are 1024-based as docker's `units.RAMInBytes`.
/// - Returns: bytes; nil for anything else, and for what does not fit 63 bits.
package func parseByteSize(_ text: String) -> Int64? {
    let lower = text.lowercased()
    let digits = lower.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = lower.dropFirst(digits.count).drop { $0 == " " }
    guard let number = Double(digits), number.isFinite, number >= 0 else { return nil }
    let letters: [Character] = ["b", "k", "m", "g", "t", "p"]
    var power = 0
    if let first = unit.first {
        guard let index = letters.firstIndex(of: first) else { return nil }
        let rest = unit.dropFirst()
        guard rest.isEmpty || (index > 0 && (rest == "b" || rest == "ib")) else { return nil }
        power = index
    }
    let bytes = (0..<power).reduce(number) { product, _ in product * 1024 }
    return bytes < 9.2e18 ? Int64(bytes) : nil
}

/// Why `text` is no number of processors, in docker's words; nil when it is one.
func complaintAboutProcessors(_ text: String) -> String? {
    if parseNanoCPUs(text) != nil { return nil }
    guard let number = processors(text) else { return "failed to parse \(text) as a rational number" }
    return abs(number) < mostProcessors ? "value is too precise" : "value out of range"
}

/// Reads a number of processors, `0.5` or `1/2`, into billionths of one.
package func parseNanoCPUs(_ text: String) -> Int64? {
    guard let number = processors(text), abs(number) < mostProcessors else { return nil }
    let billionths = number * 1e9
    // What is no whole number of them is none by more than a double's own want of digits.
    let whole = billionths.rounded()
    return abs(billionths - whole) <= abs(whole) * 1e-15 ? Int64(whole) : nil
}

/// Their billionths fit 63 bits.
private let mostProcessors = 9e9

private func processors(_ text: String) -> Double? {
    let (numerator, denominator) = splitOnce(text, at: "/")
    guard let denominator else { return Double(text).flatMap { $0.isFinite ? $0 : nil } }
    guard let over = Int64(numerator), let under = UInt64(denominator), under > 0 else { return nil }
    return Double(over) / Double(under)
}

/// Reads Go's form of a duration, `1h30m`, `1.5s`, `300ms`.
/// - Returns: nanoseconds; nil for anything else.
package func parseDuration(_ text: String) -> Int64? {
    SpanText.nanoseconds(text)
}

/// A size for people, in powers of 1000 as docker prints them: `1.24MB`, `512B`.
/// - Parameter digits: how many significant ones; docker's tables show three, its totals four.
package func humanSize(_ bytes: Int64, digits: Int = 3) -> String {
    scaled(bytes, by: 1000, digits: digits, units: ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// A size for people, in powers of 1024: `23.54GiB`.
package func humanBinarySize(_ bytes: Int64) -> String {
    scaled(bytes, by: 1024, digits: 4, units: ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

private func scaled(_ bytes: Int64, by base: Double, digits: Int, units: [String]) -> String {
    var number = Double(bytes)
    var unit = 0
    while number >= base, unit < units.count - 1 {
        number /= base
        unit += 1
    }
    return significant(number, digits: digits) + units[unit]
}

/// Go's `%.Ng` for numbers from 0 to 1024: as many decimals as the digits leave, trailing zeros dropped.
private func significant(_ number: Double, digits: Int) -> String {
    if number == 0 { return "0" }
    var magnitude = 0
    var scaled = number
    while scaled >= 10 {
        scaled /= 10
        magnitude += 1
    }
    let decimals = max(0, digits - 1 - magnitude)
    var factor = 1.0
    for _ in 0..<decimals { factor *= 10 }
    let rounded = (number * factor).rounded(.toNearestOrEven)
    let whole = Int64(rounded / factor)
    var fraction = String(Int64(rounded) - whole * Int64(factor))
    if decimals == 0 { return String(whole) }
    fraction = String(repeating: "0", count: max(0, decimals - fraction.count)) + fraction
    while fraction.hasSuffix("0") { fraction.removeLast() }
    return fraction.isEmpty ? String(whole) : "\(whole).\(fraction)"
}
