/// A template of Go's text/template, read once and carried out for each object that is printed.
package struct Template: Sendable {
    private let nodes: [TemplateNode]

    /// Reads a template.
    /// - Throws: `TemplateError` in the words of docker's CLI.
    package init(_ source: String) throws(TemplateError) {
        nodes = try parseTemplate(source)
    }

    /// Carries the template out with `.` and `$` standing for `value`.
    /// - Parameter isHeading: whether the values are headings of columns: `.Label "x"` is then headed by its name.
    package func render(_ value: TemplateValue, isHeading: Bool = false) throws(TemplateError) -> String {
        var renderer = Renderer(root: value, isHeading: isHeading)
        try renderer.render(nodes, dot: value)
        return renderer.output
    }
}

/// The most text that one object may render to.
private let longestOutput = 16 << 20

private struct Renderer {
    let root: TemplateValue
    let isHeading: Bool
    var output = ""
    private var variables: [(name: String, value: TemplateValue)] = []

    init(root: TemplateValue, isHeading: Bool) {
        self.root = root
        self.isHeading = isHeading
    }

    mutating func render(_ nodes: [TemplateNode], dot: TemplateValue) throws(TemplateError) {
        let outer = variables.count
        for node in nodes { try render(node, dot: dot) }
        variables.removeLast(variables.count - outer)
    }

    private mutating func render(_ node: TemplateNode, dot: TemplateValue) throws(TemplateError) {
        switch node {
        case .text(let text): try write(text)
        case .output(let pipeline): try write(try value(of: pipeline, dot: dot).printed)
        case .assign(let name, let pipeline): assign(name, try value(of: pipeline, dot: dot))
        case .branch(let branches):
            for branch in branches {
                guard let condition = branch.condition else { return try render(branch.body, dot: dot) }
                if try value(of: condition, dot: dot).isTrue { return try render(branch.body, dot: dot) }
            }
        case .with(let pipeline, let body, let otherwise):
            let value = try value(of: pipeline, dot: dot)
            if value.isTrue { try render(body, dot: value) } else { try render(otherwise, dot: dot) }
        case .range(let names, let pipeline, let body, let otherwise):
            let elements = try elements(of: try value(of: pipeline, dot: dot))
            if elements.isEmpty { try render(otherwise, dot: dot) }
            for (key, element) in elements {
                let outer = variables.count
                if names.count > 1 { variables.append((names[0], key)) }
                if let last = names.last { variables.append((last, element)) }
                try render(body, dot: element)
                variables.removeLast(variables.count - outer)
            }
        }
    }

    private mutating func write(_ text: String) throws(TemplateError) {
        output += text
        if output.utf8.count > longestOutput { throw .executing("output", "more than \(longestOutput) bytes") }
    }

    private mutating func assign(_ name: String, _ value: TemplateValue) {
        if let position = variables.lastIndex(where: { $0.name == name }) {
            variables[position].value = value
        } else {
            variables.append((name, value))
        }
    }

    private func elements(of value: TemplateValue) throws(TemplateError) -> [(TemplateValue, TemplateValue)] {
        switch value {
        case .list(let values): return values.enumerated().map { (.integer(Int64($0.offset)), $0.element) }
        case .map(let entries): return entries.sorted { $0.key < $1.key }.map { (.text($0.key), $0.value) }
        case .null: return []
        case .bool, .integer, .number, .text: throw .executing("range", "range can't iterate over \(value.printed)")
        }
    }

    private func value(of pipeline: Pipeline, dot: TemplateValue) throws(TemplateError) -> TemplateValue {
        var piped: TemplateValue?
        for command in pipeline.commands {
            var arguments: [TemplateValue] = []
            for operand in command.dropFirst() { arguments.append(try value(of: operand, dot: dot)) }
            if let piped { arguments.append(piped) }
            piped = try result(of: command[0], arguments: arguments, dot: dot)
        }
        return piped ?? .null
    }

    private func result(of operand: Operand, arguments: [TemplateValue], dot: TemplateValue) throws(TemplateError) -> TemplateValue {
        if case .function(let name) = operand, let function = templateFunctions[name] { return try function(arguments) }
        if case .field(["Label"], _) = operand, arguments.count == 1 {
            if isHeading { return arguments[0] }
            return dot[key: "Labels"].flatMap { label(arguments[0].printed, in: $0) } ?? .text("")
        }
        if !arguments.isEmpty { throw .executing("\(operand)", "can't give argument to non-function") }
        return try value(of: operand, dot: dot)
    }

    private func value(of operand: Operand, dot: TemplateValue) throws(TemplateError) -> TemplateValue {
        switch operand {
        case .constant(let value): return value
        case .function: return try result(of: operand, arguments: [], dot: dot)
        case .field(let names, let column): return try follow(names, from: dot, column: column)
        case .variable(let name, let fields):
            if name.isEmpty { return try follow(fields, from: root) }
            guard let variable = variables.last(where: { $0.name == name }) else {
                throw TemplateError.parsing("undefined variable \"$\(name)\"")
            }
            return try follow(fields, from: variable.value)
        case .group(let pipeline, let fields): return try follow(fields, from: try value(of: pipeline, dot: dot))
        }
    }

    private func follow(_ names: [String], from start: TemplateValue, column: Int? = nil) throws(TemplateError) -> TemplateValue {
        var value = start
        for (position, name) in names.enumerated() {
            guard let next = value[field: name] ?? Self.absent(name, in: value, under: position > 0 ? names[position - 1] : "") else {
                let path = names.map { ".\($0)" }.joined()
                if value == .null { throw .executing(path, column: column, "nil pointer evaluating interface {}.\(name)") }
                throw .executing(path, column: column, "map has no entry for key \"\(name)\"")
            }
            value = next
        }
        return value
    }

    /// What Go's types have and a document leaves out: the health of a container without a check, and an attribute that an event has not.
    private static func absent(_ name: String, in value: TemplateValue, under parent: String) -> TemplateValue? {
        guard case .map = value else { return nil }
        return ["Health", "Healthcheck"].contains(name) || parent == "Attributes" ? .null : nil
    }

    /// A label's value from the `a=b,c=d` that a list row shows.
    private func label(_ name: String, in labels: TemplateValue) -> TemplateValue? {
        for pair in labels.printed.split(separator: ",") where pair.hasPrefix(name + "=") {
            return .text(String(pair.dropFirst(name.count + 1)))
        }
        return nil
    }
}
