/// What Go's decoder says of a text that is no JSON. Docker's programs print it as it is.
package struct GoSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
}

extension EngineJSON {
    /// The text without the white space between its tokens.
    /// - Throws: `GoSyntaxError` for what is no JSON.
    /// - Source: Go, encoding/json, `Compact` and the scanner.
    package static func compacted(_ bytes: [UInt8]) throws(GoSyntaxError) -> [UInt8] {
        var scanner = GoScanner(bytes: bytes)
        try scanner.scan()
        return scanner.kept
    }
}

private struct GoScanner {
    private enum Enclosure {
        case object, array
    }

    /// What may come next.
    private enum Wanted {
        case value, firstElement, name, firstName, colon, end
    }

    /// Go follows no document further down.
    private static let deepest = 10_000

    let bytes: [UInt8]
    private(set) var kept: [UInt8] = []
    private var position = 0
    private var open: [Enclosure] = []

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func scan() throws(GoSyntaxError) {
        var wanted = Wanted.value
        while true {
            while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
            if position == bytes.count, wanted == .end, open.isEmpty { return }
            let byte = try next()
            switch wanted {
            case .firstElement where byte == UInt8(ascii: "]"), .firstName where byte == UInt8(ascii: "}"):
                open.removeLast()
                keep()
                wanted = .end
            case .value, .firstElement: wanted = try value(byte)
            case .name, .firstName:
                guard byte == UInt8(ascii: "\"") else { throw invalid("looking for beginning of object key string") }
                try string()
                wanted = .colon
            case .colon:
                guard byte == UInt8(ascii: ":") else { throw invalid("after object key") }
                keep()
                wanted = .value
            case .end: wanted = try endOfValue(byte)
            }
        }
    }

    private mutating func value(_ byte: UInt8) throws(GoSyntaxError) -> Wanted {
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            open.append(byte == UInt8(ascii: "{") ? .object : .array)
            if open.count > Self.deepest { throw invalid("exceeded max depth") }
            keep()
            return byte == UInt8(ascii: "{") ? .firstName : .firstElement
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
        case UInt8(ascii: "t"): try literal("true")
        case UInt8(ascii: "f"): try literal("false")
        case UInt8(ascii: "n"): try literal("null")
        default: throw invalid("looking for beginning of value")
        }
        return .end
    }

    private mutating func endOfValue(_ byte: UInt8) throws(GoSyntaxError) -> Wanted {
        switch (open.last, byte) {
        case (nil, _): throw invalid("after top-level value")
        case (.object, UInt8(ascii: ",")), (.array, UInt8(ascii: ",")):
            keep()
            return open.last == .object ? .name : .value
        case (.object, UInt8(ascii: "}")), (.array, UInt8(ascii: "]")):
            open.removeLast()
            keep()
            return .end
        case (.object, _): throw invalid("after object key:value pair")
        case (.array, _): throw invalid("after array element")
        }
    }

    private mutating func string() throws(GoSyntaxError) {
        keep()
        while true {
            switch try next() {
            case UInt8(ascii: "\""): return keep()
            case UInt8(ascii: "\\"):
                keep()
                try escape()
            case 0..<0x20: throw invalid("in string literal")
            default: keep()
            }
        }
    }

    private mutating func escape() throws(GoSyntaxError) {
        let byte = peekOrSpace
        guard "bfnrt\\/\"u".utf8.contains(byte) else { throw invalid("in string escape code") }
        keep()
        guard byte == UInt8(ascii: "u") else { return }
        for _ in 0..<4 {
            guard "0123456789abcdefABCDEF".utf8.contains(peekOrSpace) else { throw invalid("in \\u hexadecimal character escape") }
            keep()
        }
    }

    private mutating func number() throws(GoSyntaxError) {
        if bytes[position] == UInt8(ascii: "-") { keep() }
        if peekOrSpace == UInt8(ascii: "0") { keep() } else { try digits("in numeric literal") }
        if peek == UInt8(ascii: ".") {
            keep()
            try digits("after decimal point in numeric literal")
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            keep()
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { keep() }
            try digits("in exponent of numeric literal")
        }
    }

    /// At least one digit. `place` is where another character is none.
    private mutating func digits(_ place: String) throws(GoSyntaxError) {
        guard isDigit(peekOrSpace) else { throw invalid(place) }
        while let byte = peek, isDigit(byte) { keep() }
    }

    private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private mutating func literal(_ word: String) throws(GoSyntaxError) {
        for byte in word.utf8 {
            guard peekOrSpace == byte else { throw invalid("in literal \(word) (expecting '\(Character(UnicodeScalar(byte)))')") }
            keep()
        }
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// At the end Go looks whether a space would end a token.
    private var peekOrSpace: UInt8 { peek ?? 0x20 }

    private func next() throws(GoSyntaxError) -> UInt8 {
        guard let peek else { throw GoSyntaxError(description: "unexpected end of JSON input") }
        return peek
    }

    private mutating func keep() {
        kept.append(bytes[position])
        position += 1
    }

    private func invalid(_ place: String) -> GoSyntaxError {
        GoSyntaxError(description: "invalid character \(quoted(peekOrSpace)) \(place)")
    }

    /// One byte as Go's scanner shows it, which takes it for a character.
    private func quoted(_ byte: UInt8) -> String {
        let short: [UInt8: String] = [0x07: "\\a", 0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0B: "\\v", 0x0C: "\\f", 0x0D: "\\r"]
        let digits = String(byte, radix: 16)
        switch byte {
        case UInt8(ascii: "'"): return "'\\''"
        case UInt8(ascii: "\\"): return "'\\\\'"
        case 0..<0x20, 0x7F: return "'\(short[byte] ?? "\\x" + (byte < 16 ? "0" : "") + digits)'"
        case 0x80...0xA0, 0xAD: return "'\\u00\(digits)'"
        default: return "'\(Character(UnicodeScalar(byte)))'"
        }
    }
}
