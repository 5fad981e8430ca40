/// How one verb of Go's printf is written: its flags, its least width, its precision.
struct GoFormat: Sendable {
    var plus = false
    var minus = false
    var sharp = false
    var space = false
    var zero = false
    /// `%+v` and `%#v`, where the flags mean something else.
    var showsNames = false
    var isSyntax = false
    var width: Int?
    var precision: Int?
}

/// The widest that a verb is padded to, and its largest precision, as with Go.
private let widest = 1_000_000

/// Go's printf.
func goFormatted(_ text: String, _ arguments: [GoValue]) -> String {
    var formatter = Formatter(rest: text.unicodeScalars[...], arguments: arguments)
    return formatter.run()
}

/// Go's print: a space between two values of which neither is a string.
func goPrinted(_ values: [GoValue]) -> String {
    var text = ""
    for (index, value) in values.enumerated() where text.utf8.count <= mostOutput {
        if index > 0, !value.isString, !values[index - 1].isString { text += " " }
        text += value.formatted("v")
    }
    return text
}

private struct Formatter {
    var rest: Substring.UnicodeScalarView
    let arguments: [GoValue]
    private var next = 0
    private var isReordered = false
    private var isGoodIndex = true
    private var output = ""

    init(rest: Substring.UnicodeScalarView, arguments: [GoValue]) {
        self.rest = rest
        self.arguments = arguments
    }

    mutating func run() -> String {
        // More than that can be written nowhere.
        while output.utf8.count <= mostOutput, let scalar = rest.popFirst() {
            if scalar == "%" { verb() } else { output.unicodeScalars.append(scalar) }
        }
        if !isReordered, next < arguments.count {
            let extra = arguments[next...].map { $0.isThere ? "\($0.type.name)=\($0.formatted("v"))" : "<nil>" }
            output += "%!(EXTRA \(extra.joined(separator: ", ")))"
        }
        return output
    }

    private mutating func verb() {
        isGoodIndex = true
        var format = flags()
        var isIndexed = index()
        if take("*") {
            format.width = starred("BADWIDTH")
            if let width = format.width, width < 0 { (format.width, format.minus) = (-width, true) }
            isIndexed = false
        } else {
            format.width = number()
            if isIndexed && format.width != nil { isGoodIndex = false }
        }
        if take(".") {
            if isIndexed { isGoodIndex = false }
            isIndexed = index()
            if take("*") {
                format.precision = starred("BADPREC")
                if let precision = format.precision, precision < 0 {
                    format.precision = nil
                    output += "%!(BADPREC)"
                }
                isIndexed = false
            } else {
                format.precision = number() ?? 0
            }
        }
        if !isIndexed { _ = index() }
        guard let verb = rest.popFirst() else {
            output += "%!(NOVERB)"
            return
        }
        if format.minus { format.zero = false }
        if verb == "v" {
            (format.showsNames, format.isSyntax) = (format.plus, format.sharp)
            (format.plus, format.sharp) = (false, false)
        }
        write(verb, format)
    }

    private mutating func write(_ verb: Unicode.Scalar, _ format: GoFormat) {
        if verb == "%" {
            output += "%"
        } else if !isGoodIndex {
            output += "%!\(verb)(BADINDEX)"
        } else if next >= arguments.count {
            output += "%!\(verb)(MISSING)"
        } else {
            output += arguments[next].formatted(verb, format)
            next += 1
        }
    }

    private mutating func flags() -> GoFormat {
        let flags = rest.prefix { "+-# 0".unicodeScalars.contains($0) }
        rest = rest[flags.endIndex...]
        var format = GoFormat()
        format.plus = flags.contains("+")
        format.minus = flags.contains("-")
        format.sharp = flags.contains("#")
        format.space = flags.contains(" ")
        format.zero = flags.contains("0")
        return format
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard rest.first == scalar else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func number() -> Int? {
        let digits = rest.prefix { ("0"..."9").contains($0) }
        rest.removeFirst(digits.count)
        return digits.isEmpty ? nil : min(Int(String(digits)) ?? widest, widest)
    }

    /// `[2]`: which argument comes next.
    private mutating func index() -> Bool {
        guard rest.first == "[" else { return false }
        isReordered = true
        guard let close = rest.firstIndex(of: "]") else {
            isGoodIndex = false
            rest.removeFirst()
            return false
        }
        let text = String(rest[rest.index(after: rest.startIndex)..<close])
        rest = rest[rest.index(after: close)...]
        guard let number = Int(text), number >= 1, number <= arguments.count else {
            isGoodIndex = false
            return true
        }
        next = number - 1
        return true
    }

    /// A width or precision that is an argument.
    private mutating func starred(_ complaint: String) -> Int? {
        guard next < arguments.count, case .integer(let number) = arguments[next].content, abs(Double(number)) <= Double(widest) else {
            output += "%!(\(complaint))"
            next += 1
            return nil
        }
        next += 1
        return Int(number)
    }
}

// MARK: - Values

extension GoValue {
    /// The value as the output of an action shows it: `[a b]`, `map[key:value]`, `{field field}`.
    var printed: String { content == .absent ? "<no value>" : pointee.formatted("v") }

    /// The value as a verb of printf writes it.
    /// - Parameter isInside: whether it is a part of another value.
    func formatted(_ verb: Unicode.Scalar, _ format: GoFormat = GoFormat(), isInside: Bool = false) -> String {
        if !isThere {
            return verb == "v" || verb == "T" || isInside ? format.padded("<nil>") : "%!\(verb)(<nil>)"
        }
        if verb == "T" { return format.padded(type.name) }
        switch content {
        case .absent: return ""
        case .null: return nilText(verb, format)
        case .pointer(let value): return pointerText(value, verb, format)
        case .bool(let value): return verb == "v" || verb == "t" ? format.padded(String(value)) : mistaken(verb)
        case .integer(let value):
            if type == .duration, "vsqxX".unicodeScalars.contains(verb), !format.isSyntax {
                return format.string(durationText(value), verb) ?? mistaken(verb)
            }
            return format.whole(value.magnitude, isNegative: value < 0, verb) ?? mistaken(verb)
        case .unsigned(let value):
            if format.isSyntax { return "0x" + String(value, radix: 16) }
            return format.whole(value, isNegative: false, verb) ?? mistaken(verb)
        case .float(let value): return format.float(value, verb) ?? mistaken(verb)
        case .string(let value): return format.string(type == .time ? momentText(value) : value, verb) ?? mistaken(verb)
        case .list, .map, .structure: return compoundText(verb, format)
        }
    }

    /// What a verb writes for a value that it is not for.
    private func mistaken(_ verb: Unicode.Scalar) -> String { "%!\(verb)(\(type.name)=\(formatted("v")))" }

    private func nilText(_ verb: Unicode.Scalar, _ format: GoFormat) -> String {
        if case .pointer = type {
            switch verb {
            case "v": return format.padded(format.isSyntax ? "(\(type.name))(nil)" : "<nil>")
            case "b", "o", "d", "x", "X", "p": return format.whole(0, isNegative: false, verb == "p" ? "x" : verb) ?? ""
            default: return mistaken(verb)
            }
        }
        return format.isSyntax ? "\(type.name)(nil)" : compoundText(verb, format)
    }

    /// Go shows the address of what is inside other values; here its content is, which says more.
    private func pointerText(_ value: GoValue, _ verb: Unicode.Scalar, _ format: GoFormat) -> String {
        switch value.content {
        case .list, .map, .structure: "&" + value.formatted(verb, format, isInside: true)
        default: value.formatted(verb, format, isInside: true)
        }
    }

    private func compoundText(_ verb: Unicode.Scalar, _ format: GoFormat) -> String {
        let isSyntax = format.isSyntax
        func part(_ value: GoValue) -> String { value.formatted(verb, format, isInside: true) }
        let separator = isSyntax ? ", " : " "
        switch content {
        case .structure(let values):
            guard case .structure(let structure) = type else { return "" }
            let hasNames = isSyntax || format.showsNames
            let parts = zip(structure.fields, values).lazy.map { (hasNames ? $0.name + ":" : "") + part($1) }
            return (isSyntax ? type.name : "") + "{" + joined(parts, by: separator) + "}"
        case .map(let members):
            let parts = members.lazy.map { GoValue.string($0.key).formatted(verb, format) + ":" + part($0.value) }
            return (isSyntax ? type.name + "{" : "map[") + joined(parts, by: separator) + (isSyntax ? "}" : "]")
        case .list(let values):
            return (isSyntax ? type.name + "{" : "[") + joined(values.lazy.map(part), by: separator) + (isSyntax ? "}" : "]")
        default:
            if case .map = type { return "map[]" }
            return "[]"
        }
    }
}

/// Parts one after the other, as long as there is not more than can be written anywhere: a width is that of each part.
private func joined(_ parts: some Sequence<String>, by separator: String) -> String {
    var text = ""
    for (index, part) in parts.enumerated() {
        if text.utf8.count > mostOutput { break }
        text += index > 0 ? separator + part : part
    }
    return text
}

/// `1h2m3.5s`, as Go writes a number of nanoseconds.
private func durationText(_ nanoseconds: Int64) -> String {
    let magnitude = nanoseconds.magnitude
    if magnitude == 0 { return "0s" }
    let sign = nanoseconds < 0 ? "-" : ""
    func decimal(_ value: UInt64, unit: UInt64) -> String {
        let fraction = value % unit
        if fraction == 0 { return String(value / unit) }
        var digits = String(String(fraction + unit).dropFirst())
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(value / unit).\(digits)"
    }
    switch magnitude {
    case ..<1_000: return "\(sign)\(magnitude)ns"
    case ..<1_000_000: return "\(sign)\(decimal(magnitude, unit: 1_000))µs"
    case ..<1_000_000_000: return "\(sign)\(decimal(magnitude, unit: 1_000_000))ms"
    default: break
    }
    let second: UInt64 = 1_000_000_000
    let (hours, minutes) = (magnitude / (3600 * second), magnitude / (60 * second) % 60)
    let seconds = decimal(magnitude % (60 * second), unit: second)
    return sign + (hours > 0 ? "\(hours)h" : "") + (hours > 0 || minutes > 0 ? "\(minutes)m" : "") + "\(seconds)s"
}

/// `2026-11-21 10:00:00.5 +0000 UTC` of a moment in JSON.
private func momentText(_ text: String) -> String {
    guard text.utf8.count >= 20, text.dropFirst(10).first == "T" else { return text }
    let day = text.prefix(10)
    let clock = text.dropFirst(11).prefix { $0.isNumber || $0 == ":" || $0 == "." }
    let zone = text.dropFirst(11 + clock.count)
    let offset = zone.replacing(":", with: "")
    return "\(day) \(clock) " + (zone == "Z" ? "+0000 UTC" : "\(offset) \(offset)")
}
