extension GoFormat {
    /// Padded to the width, with zeros where the flag says so.
    func padded(_ text: String) -> String {
        let missing = (width ?? 0) - text.unicodeScalars.count
        guard missing > 0 else { return text }
        let padding = String(repeating: zero && !minus ? "0" : " ", count: missing)
        return minus ? text + padding : padding + text
    }

    /// A text as a verb writes it; nil for a verb that is not for texts.
    func string(_ text: String, _ verb: Unicode.Scalar) -> String? {
        let cut = precision.map { limit in String(String.UnicodeScalarView(text.unicodeScalars.prefix(limit))) } ?? text
        switch verb {
        case "v" where isSyntax: return padded(goQuoted(text))
        case "v", "s": return padded(cut)
        case "q": return padded(quoted(cut))
        case "x", "X":
            let bytes = text.utf8.prefix(precision ?? .max).map { byte in
                let digits = hexadecimal(UInt64(byte), digits: 2)
                return verb == "x" ? digits.lowercased() : digits
            }
            let prefix = sharp ? "0\(verb)" : ""
            if bytes.isEmpty { return padded("") }
            return padded(space ? bytes.map { prefix + $0 }.joined(separator: " ") : prefix + bytes.joined())
        default: return nil
        }
    }

    private func quoted(_ text: String) -> String {
        if sharp, !text.contains("`"), text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F || $0 == "\t" }) {
            return "`\(text)`"
        }
        let quoted = goQuoted(text)
        return plus ? inASCII(quoted) : quoted
    }

    private func inASCII(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            switch scalar.value {
            case ..<0x80: String(scalar)
            case ..<0x10000: "\\u" + hexadecimal(UInt64(scalar.value), digits: 4).lowercased()
            default: "\\U" + hexadecimal(UInt64(scalar.value), digits: 8).lowercased()
            }
        }.joined()
    }

    /// A whole number as a verb writes it; nil for a verb that is not for them.
    func whole(_ magnitude: UInt64, isNegative: Bool, _ verb: Unicode.Scalar) -> String? {
        switch verb {
        case "v", "d": return digits(magnitude, isNegative, radix: 10)
        case "b": return digits(magnitude, isNegative, radix: 2, prefix: sharp ? "0b" : "")
        case "o": return digits(magnitude, isNegative, radix: 8, prefix: sharp ? "0" : "")
        case "O": return digits(magnitude, isNegative, radix: 8, prefix: "0o")
        case "x": return digits(magnitude, isNegative, radix: 16, prefix: sharp ? "0x" : "")
        case "X": return digits(magnitude, isNegative, radix: 16, prefix: sharp ? "0X" : "", isUpper: true)
        case "c": return padded(String(rune(magnitude, isNegative)))
        case "q":
            let body = goQuoted(String(rune(magnitude, isNegative))).dropFirst().dropLast()
            let text = body == "'" ? "\\'" : body == "\\\"" ? "\"" : String(body)
            return padded("'\(plus ? inASCII(text) : text)'")
        case "U":
            let name = "U+" + hexadecimal(magnitude, digits: max(4, precision ?? 4))
            return padded(sharp && !isNegative ? "\(name) '\(rune(magnitude, false))'" : name)
        default: return nil
        }
    }

    private func rune(_ magnitude: UInt64, _ isNegative: Bool) -> Unicode.Scalar {
        isNegative ? "\u{FFFD}" : UInt32(exactly: magnitude).flatMap(Unicode.Scalar.init) ?? "\u{FFFD}"
    }

    private func digits(_ magnitude: UInt64, _ isNegative: Bool, radix: Int, prefix: String = "", isUpper: Bool = false) -> String {
        var plain = self
        plain.zero = false
        if precision == 0 && magnitude == 0 { return plain.padded("") }
        var text = String(magnitude, radix: radix, uppercase: isUpper)
        var least = precision ?? 0
        if precision == nil, zero, !minus, let width { least = width - (isNegative || plus || space ? 1 : 0) }
        text = String(repeating: "0", count: max(0, least - text.count)) + text
        if !(prefix == "0" && text.hasPrefix("0")) { text = prefix + text }
        return plain.padded(sign(isNegative) + text)
    }

    private func sign(_ isNegative: Bool) -> String { isNegative ? "-" : plus ? "+" : space ? " " : "" }

    /// A number with a fraction as a verb writes it; nil for a verb that is not for them.
    func float(_ value: Double, _ verb: Unicode.Scalar) -> String? {
        guard "vgGeEfFxXb".unicodeScalars.contains(verb) else { return nil }
        guard value.isFinite else {
            var plain = self
            plain.zero = false
            return plain.padded(value.isNaN ? (plus ? "+NaN" : "NaN") : (value < 0 ? "-Inf" : "+Inf"))
        }
        let isNegative = value.sign == .minus
        let magnitude = DecimalDigits(value.magnitude)
        var text: String
        switch verb {
        case "e", "E": text = magnitude.exponential(places: precision ?? 6)
        case "f", "F": text = magnitude.plain(places: precision ?? 6)
        case "x", "X": text = binaryText(value.magnitude, places: precision)
        case "b": text = mantissaText(value.magnitude)
        default: text = magnitude.general(digits: precision)
        }
        if "EGX".unicodeScalars.contains(verb) { text = text.uppercased() }
        let sign = sign(isNegative)
        if zero, !minus, let width, width > sign.count + text.count {
            return sign + String(repeating: "0", count: width - sign.count - text.count) + text
        }
        return padded(sign + text)
    }
}

/// `0x1.8p+01`: the bits of a number that is not negative, in hexadecimal.
private func binaryText(_ value: Double, places: Int?) -> String {
    if value == 0 { return "0x0" + (places.map { $0 > 0 ? "." + String(repeating: "0", count: $0) : "" } ?? "") + "p+00" }
    var (fraction, exponent) = (UInt64(value.significand * 0x1p52), Int(value.exponent))
    if let places, places < 13 {
        let dropped = UInt64(4 * (13 - places))
        let (half, rest) = (UInt64(1) << (dropped - 1), fraction & (1 << dropped - 1))
        fraction >>= dropped
        if rest > half || rest == half && fraction & 1 == 1 { fraction += 1 }
        fraction <<= dropped
        if fraction >> 53 == 1 { (fraction, exponent) = (fraction >> 1, exponent + 1) }
    }
    var digits = hexadecimal(fraction & (1 << 52 - 1), digits: 13).lowercased()
    if let places {
        digits = String(digits.prefix(places)) + String(repeating: "0", count: max(0, places - 13))
    } else {
        while digits.hasSuffix("0") { digits.removeLast() }
    }
    let power = String(abs(exponent))
    return "0x1" + (digits.isEmpty ? "" : "." + digits) + "p" + (exponent < 0 ? "-" : "+") + (power.count < 2 ? "0" : "") + power
}

/// `4503599627370496p-52`: the bits of a number that is not negative, and the power of two that they are multiplied by.
private func mantissaText(_ value: Double) -> String {
    let fraction = value.isNormal ? value.significandBitPattern | 1 << 52 : value.significandBitPattern
    let power = max(1, Int(value.exponentBitPattern)) - 1075
    return "\(fraction)p\(power < 0 ? "" : "+")\(power)"
}
