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
    static func parsing(_ message: String) -> TemplateError {
        TemplateError(stage: .parse, message: "template: :1: \(message)")
    }

    /// An error found while carrying an action out.
    /// - Parameter column: where the action stands, in bytes from the template's beginning; nil where that is not known.
    static func executing(_ action: String, column: Int? = nil, _ message: String) -> TemplateError {
        let place = column.map { ":\($0)" } ?? ""
        return TemplateError(stage: .execute, message: "template: :1\(place): executing \"\" at <\(action)>: \(message)")
    }
}

/// A piece of a template: text to copy, or the tokens of one `{{…}}`.
enum TemplatePiece: Equatable {
    case text(String)
    case action([Token])

    enum Token: Equatable {
        /// `.A.B`, and the column that errors of it name; the dot itself has no names.
        case field([String], column: Int)
        /// `$x.A`.
        case variable(String, fields: [String])
        /// `)`, with what follows without a space: `(…).A`.
        case close(fields: [String])
        case word(String)
        case text(String)
        case integer(Int64)
        case number(Double)
        /// One of `( | , := =`.
        case mark(String)
    }
}

/// The longest template that is read: nobody types more.
private let longestTemplate = 65_536

/// Cuts a template into texts and actions; `{{-` and `-}}` take the white space beside them along.
func lexTemplate(_ source: String) throws(TemplateError) -> [TemplatePiece] {
    guard source.utf8.count <= longestTemplate else { throw .parsing("longer than \(longestTemplate) bytes") }
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
        let tokens = try lexer.tokens()
        rest = lexer.rest
        trimNext = lexer.trimsAfter
        if let tokens { pieces.append(.action(tokens)) }
    }
    let tail = trimNext ? rest.drop(while: \.isWhitespace) : rest
    if !tail.isEmpty { pieces.append(.text(String(tail))) }
    return pieces
}

/// Reads the tokens of one action, up to and with its `}}`.
private struct ActionLexer {
    var rest: Substring
    var trimsAfter = false

    /// - Returns: nil for a comment.
    mutating func tokens() throws(TemplateError) -> [TemplatePiece.Token]? {
        let body = rest.drop(while: \.isWhitespace)
        if body.hasPrefix("/*") {
            guard let end = body.firstRange(of: "*/") else { throw .parsing("unclosed comment") }
            rest = body[end.upperBound...]
            guard takeEnd() else { throw .parsing("comment ends before closing delimiter") }
            return nil
        }
        var tokens: [TemplatePiece.Token] = []
        while !takeEnd() {
            rest = rest.drop(while: \.isWhitespace)
            if takeEnd() { break }
            tokens.append(try token())
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

    private mutating func token() throws(TemplateError) -> TemplatePiece.Token {
        guard let first = rest.first else { throw .parsing("unclosed action") }
        switch first {
        case "\"": return .text(try quoted())
        case "`": return .text(try raw())
        case ")":
            rest = rest.dropFirst()
            return .close(fields: takeFields())
        case "(", "|", ",", "=":
            rest = rest.dropFirst()
            return .mark(String(first))
        case ":":
            guard rest.hasPrefix(":=") else { throw .parsing("expected :=") }
            rest = rest.dropFirst(2)
            return .mark(":=")
        case ".":
            // Go names the second link of a chain.
            let start = column
            let names = takeFields()
            if names.isEmpty { rest = rest.dropFirst() }
            return .field(names, column: names.count > 1 ? start + names[0].utf8.count + 1 : start)
        case "$":
            rest = rest.dropFirst()
            return .variable(takeWord(), fields: takeFields())
        case _ where first.isNumber || ((first == "-" || first == "+") && rest.dropFirst().first?.isNumber == true):
            return try number()
        case _ where first.isLetter || first == "_":
            return .word(takeWord())
        default:
            throw .parsing("unexpected \"\(first)\" in command")
        }
    }

    private var column: Int { rest.base.utf8.distance(from: rest.base.startIndex, to: rest.startIndex) }

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

    private mutating func number() throws(TemplateError) -> TemplatePiece.Token {
        let digits = rest.prefix { $0.isNumber || $0.isLetter || $0 == "." || $0 == "-" || $0 == "+" }
        rest = rest.dropFirst(digits.count)
        if let integer = Int64(digits) { return .integer(integer) }
        if let number = Double(digits) { return .number(number) }
        throw .parsing("bad number syntax: \"\(digits)\"")
    }

    private mutating func raw() throws(TemplateError) -> String {
        let body = rest.dropFirst()
        guard let end = body.firstIndex(of: "`") else { throw .parsing("unterminated raw quoted string") }
        rest = body[body.index(after: end)...]
        return String(body[..<end])
    }

    private mutating func quoted() throws(TemplateError) -> String {
        var text = ""
        rest = rest.dropFirst()
        while let character = rest.popFirst() {
            switch character {
            case "\"": return text
            case "\n": throw .parsing("unterminated quoted string")
            case "\\":
                guard let escaped = rest.popFirst(), let meant = escapes[escaped] else { throw .parsing("invalid escape") }
                text.append(meant)
            default: text.append(character)
            }
        }
        throw .parsing("unterminated quoted string")
    }
}

private let escapes: [Character: Character] = ["n": "\n", "t": "\t", "r": "\r", "\\": "\\", "\"": "\"", "'": "'"]
