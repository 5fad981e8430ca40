/// Go's `html`.
func markupEscaped(_ text: String) -> String {
    escaped(text) { scalar in
        switch scalar {
        case "\0": "\u{FFFD}"
        case "\"": "&#34;"
        case "'": "&#39;"
        case "&": "&amp;"
        case "<": "&lt;"
        case ">": "&gt;"
        default: nil
        }
    }
}

/// Go's `js`.
func scriptEscaped(_ text: String) -> String {
    escaped(text) { scalar in
        switch scalar {
        case "\\": "\\\\"
        case "'": "\\'"
        case "\"": "\\\""
        case "<", ">", "&", "=": unicodeEscape(scalar)
        case _ where scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value): unicodeEscape(scalar)
        default: nil
        }
    }
}

/// Go's `urlquery`.
func queryEscaped(_ text: String) -> String {
    text.utf8.map { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"):
            String(UnicodeScalar(byte))
        case UInt8(ascii: " "): "+"
        default: "%" + hexadecimal(UInt64(byte), digits: 2)
        }
    }.joined()
}

private func escaped(_ text: String, _ escape: (Unicode.Scalar) -> String?) -> String {
    text.unicodeScalars.map { escape($0) ?? String($0) }.joined()
}

private func unicodeEscape(_ scalar: Unicode.Scalar) -> String { "\\u" + hexadecimal(UInt64(scalar.value), digits: 4) }

/// A number in capital hexadecimal digits, at least so many.
func hexadecimal(_ number: UInt64, digits: Int) -> String {
    let text = String(number, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
