/// Sizes, durations and processor counts as docker's command line writes them.

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

/// Reads a number of processors, `0.5`, into billionths of one.
package func parseNanoCPUs(_ text: String) -> Int64? {
    guard let number = Double(text), number.isFinite, number >= 0, number < 1e9 else { return nil }
    return Int64((number * 1e9).rounded())
}

/// Reads Go's form of a duration, `1h30m`, `1.5s`, `300ms`.
/// - Returns: nanoseconds; nil for anything else.
package func parseDuration(_ text: String) -> Int64? {
    let units: [(String, Double)] = [("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)]
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
        guard let number = Double(digits), let scale = units.first(where: { $0.0 == unit })?.1 else { return nil }
        total += number * scale
    }
    return total < 9.2e18 ? Int64(negative ? -total : total) : nil
}

/// A size for people, in powers of 1000 with three digits as docker prints them: `1.24MB`, `512B`.
package func humanSize(_ bytes: Int64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    var number = Double(bytes)
    var unit = 0
    while number >= 1000, unit < units.count - 1 {
        number /= 1000
        unit += 1
    }
    return significant(number, digits: 3) + units[unit]
}

/// Go's `%.3g` for numbers from 0 to 1000: as many decimals as three digits leave, trailing zeros dropped.
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

/// How long something took or is ago, in docker's words: `Less than a second`, `About a minute`, `3 weeks`.
/// - Parameter seconds: whole seconds, not negative.
package func humanDuration(seconds: Int64) -> String {
    let minutes = seconds / 60
    let hours = (seconds + 1800) / 3600
    switch true {
    case seconds < 1: return "Less than a second"
    case seconds == 1: return "1 second"
    case seconds < 60: return "\(seconds) seconds"
    case minutes == 1: return "About a minute"
    case minutes < 60: return "\(minutes) minutes"
    case hours == 1: return "About an hour"
    case hours < 48: return "\(hours) hours"
    case hours < 24 * 7 * 2: return "\(hours / 24) days"
    case hours < 24 * 30 * 2: return "\(hours / 24 / 7) weeks"
    case hours < 24 * 365 * 2: return "\(hours / 24 / 30) months"
    default: return "\(hours / 24 / 365) years"
    }
}
