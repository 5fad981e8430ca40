/// A template that cannot be read or carried out, in the words of Go's text/template.
package struct TemplateError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What could not be done with the template.
    package enum Stage: String, Sendable {
        case parse
        case execute
    }

    package let stage: Stage
    /// `template: :1:2: executing "" at <.Nope>: …`.
    package let message: String
    /// As docker's verbs for one object tell it.
    package var description: String { "template parsing error: \(message)" }

    /// An error found while reading the text.
    static func parsing(_ message: String, line: Int = 1, of name: String = "") -> TemplateError {
        TemplateError(stage: .parse, message: "template: \(name):\(line): \(message)")
    }

    /// The same of a template with a name.
    func named(_ name: String) -> TemplateError {
        let prefix = "template: "
        return TemplateError(stage: stage, message: prefix + name + message.dropFirst(prefix.count))
    }
}

/// A piece of a template: text to copy, or the tokens of one `{{…}}`.
enum TemplatePiece: Equatable {
    case text(String)
    case action([Token], line: Int)

    /// One word of an action.
    struct Token: Equatable {
        let kind: Kind
        /// Where errors say that it stands: bytes from the template's beginning.
        let position: Int
        /// As the template has it.
        let text: String
    }

    enum Kind: Equatable {
        /// `.A.B`; the dot itself has no names.
        case field([String])
        /// `$x.A`.
        case variable(String, fields: [String])
        /// `)`, with what follows without a space: `(…).A`.
        case close(fields: [String])
        case word(String)
        case string(String)
        case integer(Int64)
        case float(Double)
        /// One of `( | , := =`.
        case mark(String)
    }
}

/// Cuts a template into texts and actions; `{{-` and `-}}` take the white space beside them along.
func lexTemplate(_ source: String) throws(TemplateError) -> [TemplatePiece] {
    var pieces: [TemplatePiece] = []
    var rest = Substring(source)
    var trimNext = false
    while let open = rest.firstRange(of: "{{") {
        var text = rest[..<open.lowerBound]
        if trimNext { text = text.drop(while: \.isWhitespace) }
        var body = rest[open.upperBound...]
        if body.hasPrefix("-"), body.dropFirst().first?.isWhitespace == true {
            body = body.dropFirst()
            while text.last?.isWhitespace == true { text = text.dropLast() }
        }
        if !text.isEmpty { pieces.append(.text(String(text))) }
        var lexer = ActionLexer(rest: body)
        let line = lexer.line
        let tokens = try lexer.tokens()
        rest = lexer.rest
        trimNext = lexer.trimsAfter
        if let tokens { pieces.append(.action(tokens, line: line)) }
    }
    let tail = trimNext ? rest.drop(while: \.isWhitespace) : rest
    if !tail.isEmpty { pieces.append(.text(String(tail))) }
    return pieces
}

/// Reads the tokens of one action, up to and with its `}}`.
private struct ActionLexer {
    var rest: Substring
    var trimsAfter = false

    /// Which of the template's lines this is, from 1.
    var line: Int { 1 + rest.base[..<rest.startIndex].utf8.count { $0 == UInt8(ascii: "\n") } }

    /// - Returns: nil for a comment.
    mutating func tokens() throws(TemplateError) -> [TemplatePiece.Token]? {
        let body = rest.drop(while: \.isWhitespace)
        if body.hasPrefix("/*") {
            guard let end = body.firstRange(of: "*/") else { throw error("unclosed comment") }
            rest = body[end.upperBound...]
            guard takeEnd() else { throw error("comment ends before closing delimiter") }
            return nil
        }
        var tokens: [TemplatePiece.Token] = []
        while !takeEnd() {
            rest = rest.drop(while: \.isWhitespace)
            let start = rest
            let (kind, offset) = try token()
            let text = rest.base[start.startIndex..<rest.startIndex]
            let position = rest.base.utf8.distance(from: rest.base.startIndex, to: start.startIndex) + offset
            tokens.append(.init(kind: kind, position: position, text: String(text)))
        }
        return tokens
    }

    private mutating func takeEnd() -> Bool {
        let spaces = rest.prefix(while: \.isWhitespace)
        let after = rest.dropFirst(spaces.count)
        if after.hasPrefix("}}") {
            rest = after.dropFirst(2)
            return true
        }
        if !spaces.isEmpty, after.hasPrefix("-}}") {
            rest = after.dropFirst(3)
            trimsAfter = true
            return true
        }
        return false
    }

    private func error(_ message: String) -> TemplateError { .parsing(message, line: line) }

    /// - Returns: the token, and how far behind its beginning errors say that it stands.
    private mutating func token() throws(TemplateError) -> (TemplatePiece.Kind, Int) {
        guard let first = rest.first else { throw error("unclosed action") }
        switch first {
        case "\"": return (.string(try string()), 0)
        case "`": return (.string(try raw()), 0)
        case "'": return (.integer(try rune()), 0)
        case ")":
            rest = rest.dropFirst()
            return (.close(fields: takeFields()), 0)
        case "(", "|", ",", "=":
            rest = rest.dropFirst()
            return (.mark(String(first)), 0)
        case ":":
            guard rest.hasPrefix(":=") else { throw error("expected :=") }
            rest = rest.dropFirst(2)
            return (.mark(":="), 0)
        case ".":
            if rest.dropFirst().first?.isASCIIDigit == true { return (try number(), 0) }
            let names = takeFields()
            if names.isEmpty { rest = rest.dropFirst() }
            // Go names the second link of a chain.
            return (.field(names), names.count > 1 ? names[0].utf8.count + 1 : 0)
        case "$":
            rest = rest.dropFirst()
            return (.variable(takeWord(), fields: takeFields()), 0)
        case _ where first.isASCIIDigit || ((first == "-" || first == "+") && rest.dropFirst().first?.isASCIIDigit == true):
            return (try number(), 0)
        case _ where first.isLetter || first == "_":
            return (.word(takeWord()), 0)
        default:
            throw error("unexpected \"\(first)\" in command")
        }
    }

    private mutating func takeWord() -> String {
        let word = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        rest = rest.dropFirst(word.count)
        return String(word)
    }

    /// The names of a chain `.A.B` that begins right here.
    private mutating func takeFields() -> [String] {
        var names: [String] = []
        while rest.first == ".", let letter = rest.dropFirst().first, letter.isLetter || letter == "_" {
            rest = rest.dropFirst()
            names.append(takeWord())
        }
        return names
    }

    private mutating func number() throws(TemplateError) -> TemplatePiece.Kind {
        var last: Character = " "
        let digits = rest.prefix { character in
            defer { last = character }
            // A sign stands first, or behind the letter of an exponent.
            if character == "-" || character == "+" { return last == " " || "eEpP".contains(last) }
            return character.isASCIIDigit || character.isLetter || character == "." || character == "_"
        }
        rest = rest.dropFirst(digits.count)
        let plain = digits.replacing("_", with: "").lowercased()
        if let integer = Self.integer(plain) { return .integer(integer) }
        if let number = Double(plain), number.isFinite, !plain.contains("n") { return .float(number) }
        throw error("bad number syntax: \"\(digits)\"")
    }

    /// Go's whole numbers: `12`, `0x1f`, `0b11`, `0o17`, `017`.
    private static func integer(_ text: String) -> Int64? {
        let isNegative = text.hasPrefix("-")
        let digits = text.drop { $0 == "-" || $0 == "+" }
        for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8), ("0", 8)] where digits.hasPrefix(prefix) && digits.count > prefix.count {
            return Int64((isNegative ? "-" : "") + digits.dropFirst(prefix.count), radix: radix)
        }
        return Int64(text)
    }

    private mutating func raw() throws(TemplateError) -> String {
        let body = rest.dropFirst()
        guard let end = body.firstIndex(of: "`") else { throw error("unterminated raw quoted string") }
        rest = body[body.index(after: end)...]
        return String(body[..<end])
    }

    private mutating func string() throws(TemplateError) -> String {
        let start = rest
        var bytes: [UInt8] = []
        for part in try quoted("\"", "unterminated quoted string") {
            switch part {
            case .scalar(let scalar): bytes += UTF8.encode(scalar)?.map { $0 } ?? []
            case .byte(let byte): bytes.append(byte)
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw error("the bytes of \(start[..<rest.startIndex]) are no UTF-8")
        }
        return text
    }

    private mutating func rune() throws(TemplateError) -> Int64 {
        let start = rest
        let parts = try quoted("'", "unterminated character constant")
        guard parts.count == 1 else { throw error("malformed character constant: \(start[..<rest.startIndex])") }
        switch parts[0] {
        case .scalar(let scalar): return Int64(scalar.value)
        case .byte(let byte): return Int64(byte)
        }
    }

    private enum QuotedPart {
        case scalar(Unicode.Scalar)
        /// Of `\xff` or `\377`, which may be a part of a character.
        case byte(UInt8)
    }

    private mutating func quoted(_ mark: Character, _ unterminated: String) throws(TemplateError) -> [QuotedPart] {
        var parts: [QuotedPart] = []
        rest = rest.dropFirst()
        while let character = rest.popFirst() {
            switch character {
            case mark: return parts
            case "\n": throw error(unterminated)
            case "\\":
                guard let letter = rest.popFirst(), letter != "\n" else { throw error(unterminated) }
                parts.append(letter == mark ? .scalar(mark == "'" ? "'" : "\"") : try escaped(letter))
            default: parts += character.unicodeScalars.map { .scalar($0) }
            }
        }
        throw error(unterminated)
    }

    /// What a backslash means with this letter and what stands behind it.
    private mutating func escaped(_ letter: Character) throws(TemplateError) -> QuotedPart {
        if let meant = escapes[letter] { return .scalar(meant) }
        let (count, radix): (Int, Int) =
            switch letter {
            case "x": (2, 16)
            case "u": (4, 16)
            case "U": (8, 16)
            default: (3, 8)
            }
        let digits = radix == 8 ? String(letter) + rest.prefix(2) : String(rest.prefix(count))
        // A number may have a sign, a letter's may not.
        guard digits.count == count, digits.allSatisfy(\.isHexDigit), let value = UInt32(digits, radix: radix) else {
            throw error("invalid syntax")
        }
        rest = rest.dropFirst(radix == 8 ? 2 : count)
        if letter != "u" && letter != "U", let byte = UInt8(exactly: value) { return .byte(byte) }
        guard radix == 16, let scalar = Unicode.Scalar(value) else { throw error("invalid syntax") }
        return .scalar(scalar)
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { ("0"..."9").contains(self) }
}

private let escapes: [Character: Unicode.Scalar] = [
    "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "a": "\u{7}", "b": "\u{8}", "f": "\u{c}", "v": "\u{b}",
]
