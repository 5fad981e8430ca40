internal import CoreTypes
internal import EngineAPI

/// The words of a Dockerfile's instruction: quotes and `\` taken away, `$NAME` and `${NAME}` put in from variables, as Docker's own reader of
/// Dockerfiles does it, which is not all that a shell does.
/// - Source: docs.docker.com, Dockerfile reference, "Environment replacement"; github.com/moby/buildkit, frontend/dockerfile/shell.
struct InstructionWords {
    private let environment: [String]
    private var rest = Substring().unicodeScalars
    /// Bytes that variables have added, over all words of the instruction.
    private var addedBytes = 0
    /// Substitutions within each other; each is a call within a call.
    private static let depthLimit = 16
    private var depth = 0

    /// - Parameter environment: `NAME=value`, what the instructions before have made of it.
    init(environment: [String]) { self.environment = environment }

    /// Cuts a line at white space outside of quotes. The words keep their quotes and backslashes.
    static func split(_ line: String) -> [String] {
        var words: [String] = []
        var word = String.UnicodeScalarView()
        var quote: Unicode.Scalar?
        var rest = line.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            if quote == nil && scalar.properties.isWhitespace {
                if !word.isEmpty { words.append(String(word)) }
                word = String.UnicodeScalarView()
                continue
            }
            word.append(scalar)
            if scalar == "\\" && quote != "'" {
                if let next = rest.popFirst() { word.append(next) }
            } else if scalar == quote {
                quote = nil
            } else if quote == nil && (scalar == "'" || scalar == "\"") {
                quote = scalar
            }
        }
        if !word.isEmpty { words.append(String(word)) }
        return words
    }

    /// What a text stands for, white space and all.
    mutating func expand(_ text: String) throws(EngineError) -> String {
        rest = text[...].unicodeScalars
        return String(try expand(upTo: nil))
    }

    /// - Parameter end: what ends the text, and is taken with it; nil for the end itself.
    private mutating func expand(upTo end: Unicode.Scalar?) throws(EngineError) -> String.UnicodeScalarView {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw EngineError(.invalidParameter, "substitutions within substitutions") }
        var result = String.UnicodeScalarView()
        while let scalar = rest.popFirst() {
            switch scalar {
            case end: return result
            case "'": result += try singleQuoted()
            case "\"": result += try doubleQuoted()
            case "$": result += try variable()
            case "\\": if let next = rest.popFirst() { result.append(next) }
            default: result.append(scalar)
            }
        }
        if let end { throw EngineError(.invalidParameter, "syntax error: missing '\(end)'") }
        return result
    }

    private mutating func singleQuoted() throws(EngineError) -> Substring.UnicodeScalarView {
        let content = rest.prefix { $0 != "'" }
        rest = rest.dropFirst(content.count)
        if rest.popFirst() == nil { throw Self.unclosed("single") }
        return content
    }

    private mutating func doubleQuoted() throws(EngineError) -> String.UnicodeScalarView {
        var result = String.UnicodeScalarView()
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\"": return result
            case "$": result += try variable()
            case "\\":
                // Any other backslash stands for itself.
                if let next = rest.first, "\"$\\".unicodeScalars.contains(next) {
                    result.append(next)
                    rest.removeFirst()
                } else {
                    result.append(scalar)
                }
            default: result.append(scalar)
            }
        }
        throw Self.unclosed("double")
    }

    private static func unclosed(_ kind: String) -> EngineError {
        EngineError(.invalidParameter, "unexpected end of statement while looking for matching \(kind)-quote")
    }

    // MARK: Variables

    /// What stands behind a dollar sign.
    private mutating func variable() throws(EngineError) -> String.UnicodeScalarView {
        let value = try rest.first == "{" ? braced() : plain()
        addedBytes += value.utf8.count
        if addedBytes > ConfigurationChange.limitBytes { throw ConfigurationChange.tooLong("$") }
        return value.unicodeScalars
    }

    private mutating func plain() -> String {
        let name = name()
        return name.isEmpty ? "$" : value(of: name) ?? ""
    }

    private func value(of name: String) -> String? {
        environment.last { ImageDefaults.variableName($0) == name }.map { String($0.dropFirst(name.count + 1)) }
    }

    /// A name, the number of an argument or a shell's parameter such as `$@`, which no instruction has.
    private mutating func name() -> String {
        var name = rest.prefix { $0.properties.numericType == .decimal }
        if name.isEmpty { name = rest.prefix { $0 == "_" || $0.properties.isAlphabetic || $0.properties.numericType == .decimal } }
        if name.isEmpty, let first = rest.first, "@*#?-$!".unicodeScalars.contains(first) { name = rest.prefix(1) }
        rest = rest.dropFirst(name.count)
        return String(name)
    }

    /// `{NAME}`, `{NAME:-word}`, `{NAME:+word}` and `{NAME:?word}`; without the colon an empty value is one.
    private mutating func braced() throws(EngineError) -> String {
        rest.removeFirst()
        guard let first = rest.first else { throw EngineError(.invalidParameter, "syntax error: missing '}'") }
        if "{}:".unicodeScalars.contains(first) { throw EngineError(.invalidParameter, "syntax error: bad substitution") }
        let name = name()
        let found = value(of: name)
        if rest.first == "}" {
            rest.removeFirst()
            return found ?? ""
        }
        let hasColon = rest.first == ":"
        if hasColon { rest.removeFirst() }
        guard let modifier = rest.popFirst() else { throw EngineError(.invalidParameter, "syntax error: missing '}'") }
        guard "-+?".unicodeScalars.contains(modifier) else {
            throw EngineError(.invalidParameter, "unsupported modifier (\(hasColon ? ":" : "")\(modifier)) in substitution")
        }
        let word = String(try expand(upTo: "}"))
        let isSet = hasColon ? !(found ?? "").isEmpty : found != nil
        switch modifier {
        case "-": return isSet ? found ?? "" : word
        case "+": return isSet ? word : ""
        default:
            if isSet { return found ?? "" }
            let usual = found == nil ? "is not allowed to be unset" : "is not allowed to be empty"
            throw EngineError(.invalidParameter, "\(name): \(word.isEmpty ? usual : word)")
        }
    }
}
