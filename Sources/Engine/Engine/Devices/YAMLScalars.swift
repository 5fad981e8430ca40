/// Scalars, and collections in brackets.
extension YAMLReader {
    // MARK: In brackets

    /// A sequence or mapping whose bracket is next. - Spec: YAML 1.2.2, 7.4.
    mutating func flowValue() throws(YAMLError) -> YAMLValue {
        let isMapping = peek == UInt8(ascii: "{")
        return try nested { reader throws(YAMLError) in isMapping ? try reader.flowMapping() : try reader.flowSequence() }
    }

    private mutating func flowSequence() throws(YAMLError) -> YAMLValue {
        var elements: [YAMLValue] = []
        position += 1
        while try !endsFlow(with: UInt8(ascii: "]")) {
            try count()
            elements.append(try flowElement())
            if peek == UInt8(ascii: ":") { throw problem("a mapping without braces in a sequence is not read") }
            try separate(before: UInt8(ascii: "]"))
        }
        return .sequence(elements)
    }

    private mutating func flowMapping() throws(YAMLError) -> YAMLValue {
        var members = YAMLMembers()
        position += 1
        while try !endsFlow(with: UInt8(ascii: "}")) {
            let isQuoted = [UInt8(ascii: "\""), UInt8(ascii: "'")].contains(peek)
            guard isQuoted || ![UInt8(ascii: "["), UInt8(ascii: "{")].contains(peek) else {
                throw problem("a key that is no scalar is not read")
            }
            if !isQuoted { try refuseIndicator() }
            let name = isQuoted ? try quoted() : plainOnLine(inFlow: true)
            if name.isEmpty && !isQuoted { throw problem("a member without a name") }
            try count()
            try members.begin(name, in: self)
            try skipToContent()
            var value = YAMLValue.null
            if peek == UInt8(ascii: ":") {
                position += 1
                try skipToContent()
                if ![UInt8(ascii: ","), UInt8(ascii: "}")].contains(peek) { value = try flowElement() }
            }
            members.end(value)
            try separate(before: UInt8(ascii: "}"))
        }
        return .mapping(members.all)
    }

    private mutating func flowElement() throws(YAMLError) -> YAMLValue {
        let value: YAMLValue
        switch peek {
        case UInt8(ascii: "["), UInt8(ascii: "{"): value = try flowValue()
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            value = .scalar(try quoted(), isPlain: false)
        case UInt8(ascii: ","): throw problem("nothing between two commas")
        default:
            try refuseIndicator()
            value = Self.resolved(try plain(within: nil))
        }
        try skipToContent()
        return value
    }

    /// Passes over the bracket, if that is next.
    private mutating func endsFlow(with bracket: UInt8) throws(YAMLError) -> Bool {
        try skipToContent()
        if isAtEnd { throw problem("a bracket is not closed") }
        guard peek == bracket else { return false }
        position += 1
        return true
    }

    private mutating func separate(before bracket: UInt8) throws(YAMLError) {
        if peek == UInt8(ascii: ",") {
            position += 1
        } else if peek != bracket {
            throw problem(isAtEnd ? "a bracket is not closed" : "expected a comma or \"\(Character(UnicodeScalar(bracket)))\"")
        }
    }

    // MARK: Plain

    /// Refuses what a plain scalar cannot begin with, by what it would be.
    func refuseIndicator() throws(YAMLError) {
        switch peek {
        case UInt8(ascii: "&"): throw problem("an anchor (&) is not read")
        case UInt8(ascii: "*"): throw problem("an alias (*) is not read")
        case UInt8(ascii: "!"): throw problem("a tag (!) is not read")
        case UInt8(ascii: "|"), UInt8(ascii: ">"): throw problem("a block scalar (| or >) is not read; write it in quotes")
        case UInt8(ascii: "?") where Self.isBreak(second): throw problem("a key that is no scalar (?) is not read")
        case UInt8(ascii: "%"), UInt8(ascii: "@"), UInt8(ascii: "`"), UInt8(ascii: "#"), UInt8(ascii: ","), UInt8(ascii: "]"),
            UInt8(ascii: "}"):
            throw problem("a value cannot begin with \"\(Character(UnicodeScalar(peek)))\"")
        case UInt8(ascii: ":") where Self.isBreak(second): throw problem("a member without a name")
        case UInt8(ascii: "-") where Self.isBreak(second): throw problem("an element (-) cannot stand here")
        default: return
        }
    }

    /// The part of a plain scalar that is on this line, without white space behind it. - Spec: YAML 1.2.2, 7.3.3.
    mutating func plainOnLine(inFlow: Bool) -> String {
        let start = position
        var wordEnd = position
        while !isAtEnd, peek != 0x0a {
            let byte = peek
            if byte == UInt8(ascii: ":"), Self.isBreak(second) || (inFlow && Self.isFlowIndicator(second)) { break }
            if byte == UInt8(ascii: "#"), position > start, Self.isWhite(bytes[position - 1]) { break }
            if inFlow, Self.isFlowIndicator(byte) { break }
            position += 1
            if !Self.isWhite(byte) { wordEnd = position }
        }
        position = wordEnd
        return String(decoding: bytes[start..<wordEnd], as: UTF8.self)
    }

    /// A plain scalar, whose lines are joined by spaces.
    /// - Parameter indent: the column that its further lines are behind; nil in brackets.
    mutating func plain(within indent: Int?) throws(YAMLError) -> String {
        var text = plainOnLine(inFlow: indent == nil)
        while true {
            let before = self
            // A comment ends the scalar.
            while Self.isWhite(peek) { position += 1 }
            var breaks = 0
            while peek == 0x0a {
                takeLineFeed()
                breaks += 1
                while Self.isWhite(peek) { position += 1 }
            }
            let continues = breaks > 0 && !isAtEnd && peek != UInt8(ascii: "#") && indent.map { column > $0 } ?? !endsPlain
            guard continues else {
                self = before
                return text
            }
            let next = plainOnLine(inFlow: indent == nil)
            if peek == UInt8(ascii: ":"), Self.isBreak(second) {
                throw problem("a member that is indented more than those above it, or a second \": \" in one value")
            }
            text += breaks == 1 ? " " : String(repeating: "\n", count: breaks - 1)
            text += next
        }
    }

    /// Whether what is next in brackets is no more of a plain scalar.
    private var endsPlain: Bool { Self.isFlowIndicator(peek) || (peek == UInt8(ascii: ":") && Self.isBreak(second)) }

    private static func isFlowIndicator(_ byte: UInt8) -> Bool { ",[]{}".utf8.contains(byte) }

    // MARK: In quotes

    /// A scalar whose opening quote is next; its lines are folded. - Spec: YAML 1.2.2, 7.3.1 and 7.3.2.
    mutating func quoted() throws(YAMLError) -> String {
        let quote = peek
        let begin = line
        var text: [UInt8] = []
        // What an escape has said, white space too, no line's end takes away.
        var kept = 0
        position += 1
        while !isAtEnd {
            let byte = peek
            switch byte {
            case UInt8(ascii: "'") where quote == byte && second == byte:
                text.append(byte)
                position += 2
            case quote:
                position += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\") where quote == UInt8(ascii: "\""):
                try unescape(into: &text)
                kept = text.count
            case 0x0a: fold(into: &text, keeping: kept)
            default:
                text.append(byte)
                position += 1
            }
        }
        throw YAMLError(line: begin, reason: "a quote is not closed")
    }

    /// A line's end in quotes: one is a space, more are one less.
    private mutating func fold(into text: inout [UInt8], keeping kept: Int) {
        while text.count > kept, let last = text.last, Self.isWhite(last) { text.removeLast() }
        var breaks = 0
        while peek == 0x0a {
            takeLineFeed()
            breaks += 1
            while Self.isWhite(peek) { position += 1 }
        }
        text += breaks == 1 ? [0x20] : [UInt8](repeating: 0x0a, count: breaks - 1)
    }

    private mutating func unescape(into text: inout [UInt8]) throws(YAMLError) {
        let letter = second
        position += 2
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), 0x20, 0x09: text.append(letter)
        case UInt8(ascii: "a"): text.append(0x07)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "v"): text.append(0x0b)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "e"): text.append(0x1b)
        case UInt8(ascii: "N"): text += Array("\u{85}".utf8)
        case UInt8(ascii: "_"): text += Array("\u{a0}".utf8)
        case UInt8(ascii: "L"): text += Array("\u{2028}".utf8)
        case UInt8(ascii: "P"): text += Array("\u{2029}".utf8)
        case UInt8(ascii: "x"): text += try escapedScalar(digits: 2)
        case UInt8(ascii: "u"): text += try escapedScalar(digits: 4)
        case UInt8(ascii: "U"): text += try escapedScalar(digits: 8)
        case 0x0a:
            // The line goes on as if it had not ended.
            position -= 1
            takeLineFeed()
            while Self.isWhite(peek) { position += 1 }
        default: throw problem("an unknown escape in quotes")
        }
    }

    private mutating func escapedScalar(digits: Int) throws(YAMLError) -> [UInt8] {
        let text = bytes[position..<min(position + digits, end)]
        let isWhole = text.count == digits && text.allSatisfy { UnicodeScalar($0).properties.isASCIIHexDigit }
        guard isWhole, let value = UInt32(String(decoding: text, as: UTF8.self), radix: 16), let scalar = UnicodeScalar(value), value != 0
        else {
            throw problem("an escape in quotes that is no character")
        }
        position += digits
        return Array(String(Character(scalar)).utf8)
    }
}
