/// The tree of a template.
indirect enum TemplateNode: Sendable {
    case text(String)
    case output(Pipeline)
    case assign(name: String, Pipeline)
    /// Tried in order; the last one's condition is nil for `else`.
    case branch([(condition: Pipeline?, body: [TemplateNode])])
    case with(Pipeline, body: [TemplateNode], otherwise: [TemplateNode])
    case range(variables: [String], Pipeline, body: [TemplateNode], otherwise: [TemplateNode])
}

/// Commands whose results flow into the next one's last argument.
struct Pipeline: Sendable {
    let commands: [[Operand]]
}

/// One word of a command.
indirect enum Operand: Sendable {
    case constant(TemplateValue)
    case function(String)
    /// `.A.B`, and where it stands; the dot itself has no fields.
    case field([String], column: Int)
    /// `$x.A`; the root variable's name is empty.
    case variable(String, fields: [String])
    case group(Pipeline, fields: [String])
}

/// How deep blocks and parentheses may nest.
private let deepestNesting = 64

/// Reads a template of Go's text/template: fields, variables, pipelines, `if`, `else if`, `with`, `range`, `end`.
func parseTemplate(_ source: String) throws(TemplateError) -> [TemplateNode] {
    var parser = TemplateParser(pieces: try lexTemplate(source))
    let nodes = try parser.block(depth: 0)
    if parser.position < parser.pieces.count { throw .parsing("unexpected {{\(parser.keyword ?? "")}}") }
    return nodes
}

private struct TemplateParser {
    let pieces: [TemplatePiece]
    var position = 0

    /// The first word of the action at hand.
    var keyword: String? {
        guard position < pieces.count, case .action(let tokens) = pieces[position], case .word(let word)? = tokens.first else { return nil }
        return word
    }

    /// Nodes up to the end, or to an `else` or `end`, which is left in place.
    mutating func block(depth: Int) throws(TemplateError) -> [TemplateNode] {
        guard depth <= deepestNesting else { throw .parsing("blocks nest deeper than \(deepestNesting)") }
        var nodes: [TemplateNode] = []
        while position < pieces.count {
            switch pieces[position] {
            case .text(let text):
                position += 1
                nodes.append(.text(text))
            case .action(let tokens):
                if keyword == "end" || keyword == "else" { return nodes }
                position += 1
                nodes.append(try action(tokens, depth: depth))
            }
        }
        return nodes
    }

    private mutating func action(_ tokens: [TemplatePiece.Token], depth: Int) throws(TemplateError) -> TemplateNode {
        guard case .word(let word)? = tokens.first else { return try outputOrAssignment(tokens) }
        let rest = Array(tokens.dropFirst())
        switch word {
        case "if", "with", "range":
            if rest.isEmpty { throw .parsing("missing value for \(word)") }
            return try blockAction(word, rest, depth: depth)
        case "define", "template", "block", "break", "continue": throw .parsing("{{\(word)}} is not supported")
        default: return .output(try pipeline(tokens))
        }
    }

    private mutating func blockAction(
        _ word: String, _ rest: [TemplatePiece.Token], depth: Int
    ) throws(TemplateError) -> TemplateNode {
        switch word {
        case "if": return .branch(try branches(rest, depth: depth))
        case "with":
            let value = try pipeline(rest)
            let body = try block(depth: depth + 1)
            return .with(value, body: body, otherwise: try otherwise(depth: depth))
        default:
            let (variables, values) = try rangeHeader(rest)
            let body = try block(depth: depth + 1)
            return .range(variables: variables, values, body: body, otherwise: try otherwise(depth: depth))
        }
    }

    private func outputOrAssignment(_ tokens: [TemplatePiece.Token]) throws(TemplateError) -> TemplateNode {
        if case .variable(let name, fields: [])? = tokens.first, tokens.count > 2, tokens[1] == .mark(":=") || tokens[1] == .mark("=") {
            return .assign(name: name, try pipeline(Array(tokens.dropFirst(2))))
        }
        return .output(try pipeline(tokens))
    }

    private mutating func branches(
        _ condition: [TemplatePiece.Token], depth: Int
    ) throws(TemplateError) -> [(condition: Pipeline?, body: [TemplateNode])] {
        var branches: [(condition: Pipeline?, body: [TemplateNode])] = [(try pipeline(condition), try block(depth: depth + 1))]
        while case .action(let tokens)? = next() {
            if tokens == [.word("end")] { return branches }
            if tokens == [.word("else")] {
                branches.append((nil, try block(depth: depth + 1)))
            } else if tokens.count > 2, tokens[1] == .word("if") {
                branches.append((try pipeline(Array(tokens.dropFirst(2))), try block(depth: depth + 1)))
            } else {
                break
            }
        }
        throw .parsing("unexpected EOF")
    }

    private mutating func otherwise(depth: Int) throws(TemplateError) -> [TemplateNode] {
        guard case .action(let tokens)? = next() else { throw .parsing("unexpected EOF") }
        if tokens == [.word("end")] { return [] }
        let nodes = try block(depth: depth + 1)
        guard case .action([.word("end")])? = next() else { throw .parsing("unexpected EOF") }
        return nodes
    }

    private mutating func next() -> TemplatePiece? {
        guard position < pieces.count else { return nil }
        position += 1
        return pieces[position - 1]
    }

    private func rangeHeader(_ tokens: [TemplatePiece.Token]) throws(TemplateError) -> ([String], Pipeline) {
        guard let declare = tokens.firstIndex(of: .mark(":=")) else { return ([], try pipeline(tokens)) }
        var names: [String] = []
        for token in tokens[..<declare] {
            switch token {
            case .variable(let name, fields: []): names.append(name)
            case .mark(","): continue
            default: throw .parsing("range can only initialize variables")
            }
        }
        return (names, try pipeline(Array(tokens[(declare + 1)...])))
    }

    private func pipeline(_ tokens: [TemplatePiece.Token]) throws(TemplateError) -> Pipeline {
        var reader = PipelineReader(tokens: tokens)
        let pipeline = try reader.pipeline(depth: 0)
        if reader.position < tokens.count { throw .parsing("unexpected right paren") }
        return pipeline
    }
}

private struct PipelineReader {
    let tokens: [TemplatePiece.Token]
    var position = 0

    mutating func pipeline(depth: Int) throws(TemplateError) -> Pipeline {
        guard depth <= deepestNesting else { throw .parsing("parentheses nest deeper than \(deepestNesting)") }
        var commands: [[Operand]] = []
        var command: [Operand] = []
        while position < tokens.count {
            if case .close = tokens[position] { break }
            if tokens[position] == .mark("|") {
                position += 1
                if command.isEmpty { throw .parsing("missing value for command") }
                commands.append(command)
                command = []
            } else {
                command.append(try operand(depth: depth))
            }
        }
        if command.isEmpty { throw .parsing("missing value for command") }
        return Pipeline(commands: commands + [command])
    }

    private mutating func operand(depth: Int) throws(TemplateError) -> Operand {
        let token = tokens[position]
        position += 1
        switch token {
        case .field(let names, let column): return .field(names, column: column)
        case .variable(let name, let fields): return .variable(name, fields: fields)
        case .text(let text): return .constant(.text(text))
        case .integer(let value): return .constant(.integer(value))
        case .number(let value): return .constant(.number(value))
        case .word("true"): return .constant(.bool(true))
        case .word("false"): return .constant(.bool(false))
        case .word("nil"): return .constant(.null)
        case .word(let name):
            guard templateFunctions[name] != nil else { throw .parsing("function \"\(name)\" not defined") }
            return .function(name)
        case .mark("("):
            let inner = try pipeline(depth: depth + 1)
            guard position < tokens.count, case .close(let fields) = tokens[position] else { throw .parsing("unclosed left paren") }
            position += 1
            return .group(inner, fields: fields)
        case .close: throw .parsing("unexpected right paren")
        case .mark(let mark): throw .parsing("unexpected \"\(mark)\" in operand")
        }
    }
}
