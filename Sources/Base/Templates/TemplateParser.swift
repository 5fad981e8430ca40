/// How deep blocks and parentheses may nest.
private let deepestNesting = 64

/// A template and those that are defined in it.
struct ParsedTemplate: Sendable {
    var nodes: [TemplateNode]
    var definitions: [String: [TemplateNode]]
}

/// Reads a template of Go's text/template.
func parseTemplate(_ source: String) throws(TemplateError) -> ParsedTemplate {
    var parser = TemplateParser(pieces: try lexTemplate(source))
    let nodes = try parser.block(depth: 0)
    if let keyword = parser.keyword { throw parser.error("unexpected {{\(keyword)}}") }
    return ParsedTemplate(nodes: nodes, definitions: parser.definitions)
}

private struct TemplateParser {
    let pieces: [TemplatePiece]
    var definitions: [String: [TemplateNode]] = [:]
    private var position = 0
    private var line = 1
    /// The variables that are known here.
    private var variables: [String] = [""]
    private var ranges = 0

    init(pieces: [TemplatePiece]) { self.pieces = pieces }

    /// The first word of the action at hand.
    var keyword: String? {
        guard position < pieces.count, case .action(let tokens, _) = pieces[position], case .word(let word)? = tokens.first?.kind else {
            return nil
        }
        return word
    }

    func error(_ message: String) -> TemplateError { .parsing(message, line: line) }

    /// Nodes up to the end, or to an `else` or `end`, which is left in place.
    mutating func block(depth: Int) throws(TemplateError) -> [TemplateNode] {
        guard depth <= deepestNesting else { throw error("blocks nest deeper than \(deepestNesting)") }
        let outer = variables.count
        defer { variables.removeLast(variables.count - outer) }
        var nodes: [TemplateNode] = []
        while position < pieces.count {
            switch pieces[position] {
            case .text(let text):
                position += 1
                nodes.append(.text(text))
            case .action(let tokens, let line):
                self.line = line
                if try isDelimiter(tokens) { return nodes }
                position += 1
                if let node = try action(tokens, depth: depth) { nodes.append(node) }
            }
        }
        return nodes
    }

    /// Whether a block ends here, with an `end` or an `else`.
    private func isDelimiter(_ tokens: [TemplatePiece.Token]) throws(TemplateError) -> Bool {
        guard let keyword, keyword == "end" || keyword == "else" else { return false }
        guard tokens.count > 1 else { return true }
        let begins = tokens[1].kind == .word("if") || tokens[1].kind == .word("with")
        if keyword == "else" && begins { return true }
        throw error("unexpected \(tokens[1].quoted) in \(keyword)")
    }

    private mutating func action(_ tokens: [TemplatePiece.Token], depth: Int) throws(TemplateError) -> TemplateNode? {
        guard case .word(let word)? = tokens.first?.kind else { return .output(try pipeline(tokens, of: "command")) }
        let rest = Array(tokens.dropFirst())
        switch word {
        case "if", "with": return .branch(isWith: word == "with", try branches(word, rest, depth: depth))
        case "range": return try range(rest, depth: depth)
        case "break", "continue":
            if let extra = rest.first { throw error("unexpected \(extra.quoted) in {{\(word)}}") }
            if ranges == 0 { throw error("{{\(word)}} outside {{range}}") }
            return .leave(word == "break" ? .range : .turn)
        case "template":
            let name = try name(rest.first, in: "template clause")
            let argument = rest.count > 1 ? try pipeline(Array(rest.dropFirst()), of: "template clause") : nil
            return .template(name: name, argument, place: place(of: rest[0], among: tokens))
        case "define" where depth == 0:
            let name = try name(rest.first, in: "define clause")
            if rest.count > 1 { throw error("unexpected \(rest[1].text) in define clause") }
            try define(name, as: word, depth: depth)
            return nil
        case "block":
            let name = try name(rest.first, in: "block clause")
            let argument = try pipeline(Array(rest.dropFirst()), of: "block clause")
            try define(name, as: word, depth: depth)
            return .template(name: name, argument, place: place(of: rest[0], among: tokens))
        case "define": throw error("unexpected <define> in command")
        default: return .output(try pipeline(tokens, of: "command"))
        }
    }

    private func name(_ token: TemplatePiece.Token?, in clause: String) throws(TemplateError) -> String {
        guard case .string(let name)? = token?.kind else { throw error("unexpected \"\(token?.text ?? "}}")\" in \(clause)") }
        return name
    }

    private func place(of token: TemplatePiece.Token, among tokens: [TemplatePiece.Token]) -> TemplatePlace {
        TemplatePlace(position: token.position, text: "{{\(tokens.map(\.text).joined(separator: " "))}}")
    }

    /// What a template of its own sees: no variables and no range of the one around it.
    private mutating func define(_ name: String, as word: String, depth: Int) throws(TemplateError) {
        let outer = (variables, ranges)
        (variables, ranges) = ([""], 0)
        let body = try block(depth: depth + 1)
        (variables, ranges) = outer
        try end(of: word)
        definitions[name] = body
    }

    // MARK: - Blocks

    private mutating func branches(
        _ word: String, _ condition: [TemplatePiece.Token], depth: Int
    ) throws(TemplateError) -> [TemplateNode.Branch] {
        let outer = variables.count
        defer { variables.removeLast(variables.count - outer) }
        var branches: [TemplateNode.Branch] = []
        var condition = condition
        while true {
            let value = try pipeline(condition, of: word)
            branches.append(.init(condition: value, body: try block(depth: depth + 1)))
            let tokens = try delimiter()
            if tokens[0].kind == .word("end") { return branches }
            if tokens.count == 1 {
                branches.append(.init(condition: nil, body: try block(depth: depth + 1)))
                try end()
                return branches
            }
            guard tokens[1].kind == .word(word) else { throw error("unexpected \(tokens[1].quoted) in input") }
            condition = Array(tokens.dropFirst(2))
        }
    }

    private mutating func range(_ tokens: [TemplatePiece.Token], depth: Int) throws(TemplateError) -> TemplateNode {
        let outer = variables.count
        defer { variables.removeLast(variables.count - outer) }
        let values = try pipeline(tokens, of: "range", mostVariables: 2)
        ranges += 1
        let body = try block(depth: depth + 1)
        ranges -= 1
        let delimiter = try delimiter()
        if delimiter[0].kind == .word("end") { return .range(values, body: body, otherwise: []) }
        if delimiter.count > 1 { throw error("unexpected \(delimiter[1].quoted) in input") }
        let otherwise = try block(depth: depth + 1)
        try end()
        return .range(values, body: body, otherwise: otherwise)
    }

    /// The `else` or `end` that a block has stopped at.
    private mutating func delimiter() throws(TemplateError) -> [TemplatePiece.Token] {
        guard position < pieces.count, case .action(let tokens, _) = pieces[position] else { throw error("unexpected EOF") }
        position += 1
        return tokens
    }

    /// - Parameter clause: what is defined; nil for what has had its `else`.
    private mutating func end(of clause: String? = nil) throws(TemplateError) {
        let tokens = try delimiter()
        guard tokens[0].kind == .word("end") else {
            throw error(clause.map { "unexpected {{else}} in \($0) clause" } ?? "expected end; found {{else}}")
        }
    }

    // MARK: - Pipelines

    /// Reads a pipeline with the variables that it sets; those that are new are known from here on.
    private mutating func pipeline(
        _ tokens: [TemplatePiece.Token], of clause: String, mostVariables: Int = 1
    ) throws(TemplateError) -> Pipeline {
        var names: [String] = []
        var declares = false
        var body = tokens[...]
        if let mark = tokens.firstIndex(where: { $0.kind == .mark(":=") || $0.kind == .mark("=") }) {
            for (index, token) in tokens[..<mark].enumerated() {
                switch token.kind {
                case .variable(let name, fields: []) where index % 2 == 0: names.append(name)
                case .mark(",") where index % 2 == 1: continue
                default: throw error("unexpected \(token.text) in \(clause)")
                }
            }
            if names.isEmpty || names.count > mostVariables { throw error("too many declarations in \(clause)") }
            declares = tokens[mark].kind == .mark(":=")
            body = tokens[(mark + 1)...]
        }
        var reader = PipelineReader(tokens: Array(body), variables: variables, line: line)
        var pipeline = try reader.pipeline(depth: 0, of: clause)
        if reader.position < body.count { throw error("unexpected right paren") }
        (pipeline.variables, pipeline.declares) = (names, declares)
        if declares { variables += names }
        return pipeline
    }
}

extension TemplatePiece.Token {
    /// As Go's errors name it.
    fileprivate var quoted: String {
        switch kind {
        case .word(let word) where keywords.contains(word): "<\(word)>"
        case .field([]): "<.>"
        case .field(let names): abridged("." + names[0])
        case .variable(let name, _): abridged("$" + name)
        case .close: abridged(")")
        default: abridged(text)
        }
    }

    private func abridged(_ text: String) -> String { goQuoted(String(text.prefix(10))) + (text.utf8.count > 10 ? "..." : "") }
}

private let keywords: Set<String> = [
    "block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with",
]

private struct PipelineReader {
    let tokens: [TemplatePiece.Token]
    let variables: [String]
    let line: Int
    var position = 0

    private func error(_ message: String) -> TemplateError { .parsing(message, line: line) }

    mutating func pipeline(depth: Int, of clause: String) throws(TemplateError) -> Pipeline {
        guard depth <= deepestNesting else { throw error("parentheses nest deeper than \(deepestNesting)") }
        var pipeline = Pipeline()
        var operands: [Operand] = []
        while position < tokens.count {
            if case .close = tokens[position].kind { break }
            if tokens[position].kind == .mark("|") {
                position += 1
                if operands.isEmpty { throw error("missing value for \(clause)") }
                pipeline.commands.append(Command(operands: operands))
                operands = []
                if position == tokens.count { throw error("missing value for \(clause)") }
            } else {
                operands.append(try operand(depth: depth))
            }
        }
        if operands.isEmpty { throw error("missing value for \(depth == 0 ? clause : "parenthesized pipeline")") }
        pipeline.commands.append(Command(operands: operands))
        for (index, command) in pipeline.commands.enumerated().dropFirst() where !command.operands[0].isExecutable {
            throw error("non executable command in pipeline stage \(index + 1)")
        }
        return pipeline
    }

    private mutating func operand(depth: Int) throws(TemplateError) -> Operand {
        let token = tokens[position]
        position += 1
        let kind: Operand.Kind
        switch token.kind {
        case .field(let names): kind = .field(names)
        case .variable(let name, let fields):
            guard variables.contains(name) else { throw error("undefined variable \"$\(name)\"") }
            kind = .variable(name, fields: fields)
        case .string(let text): kind = .constant(.string(text))
        case .integer(let value): kind = .constant(.integer(value))
        case .float(let value): kind = .constant(.float(value))
        case .word("true"): kind = .constant(.bool(true))
        case .word("false"): kind = .constant(.bool(false))
        case .word("nil"): kind = .null
        case .word(let name):
            guard isTemplateFunction(name) else { throw error("function \"\(name)\" not defined") }
            kind = .function(name)
        case .mark("("): return try group(token, depth: depth)
        case .close: throw error("unexpected right paren")
        case .mark(let mark): throw error("unexpected \"\(mark)\" in operand")
        }
        return Operand(kind: kind, place: TemplatePlace(position: token.position, text: token.text))
    }

    private mutating func group(_ open: TemplatePiece.Token, depth: Int) throws(TemplateError) -> Operand {
        let start = position
        let inner = try pipeline(depth: depth + 1, of: "parenthesized pipeline")
        guard position < tokens.count, case .close(let fields) = tokens[position].kind else { throw error("unclosed left paren") }
        let words = tokens[start..<position].map(\.text).joined(separator: " ")
        let close = tokens[position].text
        position += 1
        let text = "(" + words.replacing("( ", with: "(").replacing(" )", with: ")") + close
        return Operand(kind: .group(inner, fields: fields), place: TemplatePlace(position: open.position, text: text))
    }
}
