/// A text in quotation marks as Go writes it, which docker's tables and messages do. - Source: Go, strconv.Quote.
package func goQuoted(_ text: String) -> String {
    let escapes: [Unicode.Scalar: String] = [
        "\"": "\\\"", "\\": "\\\\", "\u{7}": "\\a", "\u{8}": "\\b", "\u{c}": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\u{b}": "\\v",
    ]
    let body = text.unicodeScalars.map { scalar in
        if let escape = escapes[scalar] { return escape }
        return switch scalar.value {
        case 0..<0x20, 0x7f: "\\x" + hexadecimal(scalar, digits: 2)
        case 0x80..<0xa0: "\\u" + hexadecimal(scalar, digits: 4)
        default: String(scalar)
        }
    }
    return "\"" + body.joined() + "\""
}

private func hexadecimal(_ scalar: Unicode.Scalar, digits: Int) -> String {
    let text = String(scalar.value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
