/// The tokens of RFC 8259.
extension JSONReader {
    struct Integer {
        var magnitude: UInt64
        var isNegative: Bool
        var overflows: Bool
    }

    /// The next byte; 0, which no token begins with, at the end.
    var peek: UInt8 { position < bytes.count ? bytes[position] : 0 }

    mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0a, 0x0d, 0x09: position += 1
            default: return
            }
        }
    }

    mutating func scanLiteral(_ literal: StaticString) throws(JSONError) {
        let start = position
        for byte in literal.description.utf8 {
            guard take(byte) else {
                position = start
                throw unexpected("\(literal)")
            }
        }
    }

    /// Scans a string whose opening quote is next.
    mutating func scanString() throws(JSONError) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                defer { position += 1 }
                return String(decoding: bytes[start..<position], as: UTF8.self)
            }
            if byte == UInt8(ascii: "\\") { return try scanEscapedString(from: start) }
            if byte < 0x20 { throw problem("unescaped control character in a string") }
            if byte < 0x80 { position += 1 } else { try scanMultibyte() }
        }
        throw problem("the string does not end")
    }

    private mutating func scanEscapedString(from start: Int) throws(JSONError) -> String {
        var text = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                position += 1
                try scanEscape(into: &text)
            case 0..<0x20: throw problem("unescaped control character in a string")
            case 0x20..<0x80:
                text.append(byte)
                position += 1
            default:
                let first = position
                try scanMultibyte()
                text.append(contentsOf: bytes[first..<position])
            }
        }
        throw problem("the string does not end")
    }

    private mutating func scanEscape(into text: inout [UInt8]) throws(JSONError) {
        let byte = peek
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            let scalar = try scanEscapedScalar()
            if scalar.value == 0 && !limits.allowsNUL { throw problem("NUL character in a string") }
            text.append(contentsOf: String(Character(scalar)).utf8)
        default:
            position -= 1
            throw problem("unknown escape in a string")
        }
    }

    private mutating func scanEscapedScalar() throws(JSONError) -> Unicode.Scalar {
        let high = try scanFourHexDigits()
        if let scalar = Unicode.Scalar(high) { return scalar }
        guard (0xd800..<0xdc00).contains(high), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw problem("half a surrogate pair in a string")
        }
        let low = try scanFourHexDigits()
        guard (0xdc00..<0xe000).contains(low), let scalar = Unicode.Scalar(0x10000 + (high - 0xd800) << 10 + (low - 0xdc00)) else {
            throw problem("half a surrogate pair in a string")
        }
        return scalar
    }

    private mutating func scanFourHexDigits() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            let byte = peek
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - 0x30)
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - 0x61 + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - 0x41 + 10)
            default: throw problem("a \\u escape needs four hexadecimal digits")
            }
            position += 1
        }
        return value
    }

    /// Passes over one multi-byte sequence of well-formed UTF-8. - Source: Unicode 16, table 3-7.
    private mutating func scanMultibyte() throws(JSONError) {
        let lead = bytes[position]
        let count: Int
        var second: ClosedRange<UInt8> = 0x80...0xbf
        switch lead {
        case 0xc2...0xdf: count = 2
        case 0xe0: (count, second) = (3, 0xa0...0xbf)
        case 0xed: (count, second) = (3, 0x80...0x9f)
        case 0xe1...0xef: count = 3
        case 0xf0: (count, second) = (4, 0x90...0xbf)
        case 0xf1...0xf3: count = 4
        case 0xf4: (count, second) = (4, 0x80...0x8f)
        default: throw problem("invalid UTF-8 in a string")
        }
        guard position + count <= bytes.count, second.contains(bytes[position + 1]),
            bytes[(position + 2)..<(position + count)].allSatisfy({ $0 & 0xc0 == 0x80 })
        else { throw problem("invalid UTF-8 in a string") }
        position += count
    }

    mutating func scanInteger() throws(JSONError) -> Integer {
        let start = position
        var number = Integer(magnitude: 0, isNegative: take(UInt8(ascii: "-")), overflows: false)
        while position < bytes.count, case let digit = bytes[position] &- 0x30, digit <= 9 {
            let (product, tooLarge) = number.magnitude.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            number.magnitude = sum
            number.overflows = number.overflows || tooLarge || carry
            position += 1
        }
        let digits = start + (number.isNegative ? 1 : 0)
        let isPlain = position > digits && !(bytes[digits] == 0x30 && position > digits + 1)
        let continues = [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(peek)
        guard isPlain, !continues else {
            position = start
            throw unexpected("an integer")
        }
        if number.isNegative && number.magnitude > UInt64(Int64.max) + 1 { number.overflows = true }
        return number
    }

    /// Passes over any number.
    mutating func scanNumber() throws(JSONError) -> Range<Int> {
        let start = position
        _ = take(UInt8(ascii: "-"))
        var isValid = peek == UInt8(ascii: "0") ? take(UInt8(ascii: "0")) : skipDigits()
        if isValid && take(UInt8(ascii: ".")) { isValid = skipDigits() }
        if isValid && (take(UInt8(ascii: "e")) || take(UInt8(ascii: "E"))) {
            _ = take(UInt8(ascii: "+")) || take(UInt8(ascii: "-"))
            isValid = skipDigits()
        }
        guard isValid else {
            position = start
            throw unexpected("a value")
        }
        return start..<position
    }

    private mutating func skipDigits() -> Bool {
        let start = position
        while position < bytes.count && (0x30...0x39).contains(bytes[position]) { position += 1 }
        return position > start
    }

    /// Passes over a string whose opening quote is next, whatever it holds.
    mutating func passOverString() throws(JSONError) {
        position += 1
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return
            case UInt8(ascii: "\\"): position += 2
            default: position += 1
            }
        }
        throw problem("the string does not end")
    }

    /// Passes over a number or a literal, whatever its letters.
    mutating func passOverWord() throws(JSONError) {
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
                position += 1
                continue
            default: break
            }
            break
        }
        if position == start { throw unexpected("a value") }
    }

    func unexpected(_ expected: String) -> JSONError { problem("expected \(expected), found \(found)") }

    func text(from start: Int) -> String {
        String(decoding: bytes[start..<min(position, start + 40)], as: UTF8.self)
    }

    /// The next token in words, for an error.
    private var found: String {
        guard position < bytes.count else { return "the end of the document" }
        switch bytes[position] {
        case UInt8(ascii: "{"): return "an object"
        case UInt8(ascii: "["): return "an array"
        case UInt8(ascii: "\""):
            var copy = self
            guard let text = try? copy.scanString() else { return "a string" }
            return "the string \(String(text.prefix(40)).debugDescription)"
        default:
            let token = bytes[position...].prefix(40).prefix {
                (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0)
                    || [UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ".")].contains($0)
            }
            if !token.isEmpty { return String(decoding: token, as: UTF8.self) }
            return bytes[position] < 0x80 && bytes[position] >= 0x20
                ? "'\(Character(UnicodeScalar(bytes[position])))'" : "byte \(bytes[position])"
        }
    }
}
