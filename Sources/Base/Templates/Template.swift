/// A template of Go's text/template, read once and carried out for each object that is printed.
package struct Template: Sendable {
    /// The most that a template may be, do and come to.
    package struct Limits: Sendable {
        let byteCount: Int
        let stepCount: Int
        let outputByteCount: Int

        /// Of a user's own, whose client carries it out.
        package static let ofUser = Limits(byteCount: 65_536, stepCount: .max, outputByteCount: mostOutput)
        /// Of somebody else's, who is not to have this process work for long.
        package static let ofStranger = Limits(byteCount: 4096, stepCount: 1000, outputByteCount: 65_536)
    }

    private let source: String
    private let name: String
    private let limits: Limits
    private let parsed: ParsedTemplate

    /// Reads a template.
    /// - Parameter name: as errors show it.
    /// - Throws: `TemplateError` in the words of docker's CLI.
    package init(_ source: String, name: String = "", limits: Limits = .ofUser) throws(TemplateError) {
        self.source = source
        self.name = name
        self.limits = limits
        guard source.utf8.count <= limits.byteCount else { throw .parsing("longer than \(limits.byteCount) bytes", of: name) }
        do throws(TemplateError) { parsed = try parseTemplate(source) } catch { throw error.named(name) }
    }

    /// Carries the template out for one row of a list.
    /// - Parameter typeName: what errors call the row, `formatter.imageContext`.
    /// - Parameter isHeading: whether the values are headings of columns: `.Label "x"` is then headed by its name, and functions leave
    ///   them as they are.
    package func render(row: TemplateValue, of typeName: String, isHeading: Bool = false) throws(TemplateError) -> String {
        try renderer(GoValue(row: row, typeName: typeName), isHeading: isHeading).run()
    }

    /// Carries the template out for a document. What its type has not is looked for in the JSON, as docker does: a missing key is then an
    /// error.
    /// - Parameter type: nil for one that has none.
    package func render(document: TemplateValue, as type: GoType? = nil) throws(TemplateError) -> String {
        if let type, let text = try? renderer(GoValue(document, as: type)).run() { return text }
        return try renderer(GoValue(untyped: document, numbersAreText: type != nil), refusesMissingKeys: true).run()
    }

    /// The same for a document that docker knows by its type alone: what is in neither is told as the type's want.
    package func render(document: TemplateValue, knownAs type: GoType) throws(TemplateError) -> String {
        do throws(TemplateError) { return try renderer(GoValue(document, as: type)).run() } catch {
            if let text = try? render(document: document, as: type) { return text }
            throw error
        }
    }

    /// The same as far as it goes: docker prints what comes before a fault.
    package func renderAsFar(document: TemplateValue, knownAs type: GoType) -> (text: String, fault: TemplateError?) {
        let typed = renderer(GoValue(document, as: type)).runAsFar()
        if typed.fault != nil, let text = try? render(document: document, as: type) { return (text, nil) }
        return typed
    }

    /// Carries the template out for a value that has what its type says, and nothing else.
    package func render(_ value: TemplateValue, strictlyAs type: GoType) throws(TemplateError) -> String {
        try renderer(GoValue(value, as: type)).run()
    }

    private func renderer(_ root: GoValue, isHeading: Bool = false, refusesMissingKeys: Bool = false) -> Renderer {
        Renderer(
            template: parsed, source: source, title: name, limits: limits, isHeading: isHeading, refusesMissingKeys: refusesMissingKeys,
            root: root)
    }
}

/// The most text that one object may render to.
let mostOutput = 16 << 20
/// How deep templates may call each other: each one's stack is that of the process.
private let deepestTemplates = 100

private struct Renderer {
    let template: ParsedTemplate
    let source: String
    let title: String
    let limits: Template.Limits
    let isHeading: Bool
    let refusesMissingKeys: Bool
    private let root: GoValue
    private var output = ""
    private var stepCount = 0
    private var name: String
    private var depth = 0
    private var variables: [(name: String, value: GoValue)]

    init(
        template: ParsedTemplate, source: String, title: String, limits: Template.Limits, isHeading: Bool, refusesMissingKeys: Bool,
        root: GoValue
    ) {
        self.template = template
        self.source = source
        self.title = title
        self.limits = limits
        self.isHeading = isHeading
        self.refusesMissingKeys = refusesMissingKeys
        self.root = root
        name = title
        variables = [("", root)]
    }

    consuming func run() throws(TemplateError) -> String {
        _ = try render(template.nodes, dot: root)
        return output
    }

    /// - Returns: what was rendered, and what ended it early.
    consuming func runAsFar() -> (text: String, fault: TemplateError?) {
        do throws(TemplateError) { _ = try render(template.nodes, dot: root) } catch { return (output, error) }
        return (output, nil)
    }

    private func failure(_ place: TemplatePlace, _ message: String) -> TemplateError {
        let before = source.utf8.prefix(place.position)
        let newline = UInt8(ascii: "\n")
        let column = before.lastIndex(of: newline).map { before.distance(from: $0, to: before.endIndex) - 1 } ?? before.count
        let line = 1 + before.count { $0 == newline }
        let what = "template: \(title):\(line):\(column): executing \(goQuoted(name)) at <\(place.text)>: \(message)"
        return TemplateError(stage: .execute, message: what)
    }

    // MARK: - Nodes

    /// - Returns: how the turn of the range around it ends early, if it does.
    private mutating func render(_ nodes: [TemplateNode], dot: GoValue) throws(TemplateError) -> TemplateNode.Leave? {
        let outer = variables.count
        defer { variables.removeLast(variables.count - outer) }
        for node in nodes {
            if let leave = try render(node, dot: dot) { return leave }
        }
        return nil
    }

    private mutating func render(_ node: TemplateNode, dot: GoValue) throws(TemplateError) -> TemplateNode.Leave? {
        try step()
        switch node {
        case .text(let text): try write(text)
        case .output(let pipeline):
            let value = try value(of: pipeline, dot: dot)
            if pipeline.variables.isEmpty { try write(value.printed) } else { try set(pipeline, [value]) }
        case .branch(let isWith, let branches): return try render(branches, isWith: isWith, dot: dot)
        case .range(let pipeline, let body, let otherwise): return try range(pipeline, body, otherwise, dot: dot)
        case .template(let name, let argument, let place): try call(name, argument, place, dot: dot)
        case .leave(let leave): return leave
        }
        return nil
    }

    private mutating func render(
        _ branches: [TemplateNode.Branch], isWith: Bool, dot: GoValue
    ) throws(TemplateError) -> TemplateNode.Leave? {
        let outer = variables.count
        defer { variables.removeLast(variables.count - outer) }
        for branch in branches {
            guard let condition = branch.condition else { return try render(branch.body, dot: dot) }
            let value = try value(of: condition, dot: dot)
            try set(condition, [value])
            if value.isTrue { return try render(branch.body, dot: isWith ? value : dot) }
        }
        return nil
    }

    private mutating func range(
        _ pipeline: Pipeline, _ body: [TemplateNode], _ otherwise: [TemplateNode], dot: GoValue
    ) throws(TemplateError) -> TemplateNode.Leave? {
        let place = pipeline.place
        let values = try value(of: pipeline, dot: dot).pointee
        var isEmpty = true
        /// - Returns: whether the range is left.
        func turn(_ key: GoValue, _ element: GoValue) throws(TemplateError) -> Bool {
            isEmpty = false
            try step()
            let outer = variables.count
            defer { variables.removeLast(variables.count - outer) }
            try set(pipeline, pipeline.variables.count == 2 ? [key, element] : [element])
            return try render(body, dot: element) == .range
        }
        switch values.content {
        case .list(let elements):
            for (index, element) in elements.enumerated() where try turn(.integer(Int64(index)), element) { break }
        case .map(let members):
            for member in members where try turn(.string(member.key), member.value) { break }
        case .integer(let count):
            if pipeline.variables.count > 1 {
                throw failure(place, "can't use \(values.printed) to iterate over more than one variable")
            }
            var number: Int64 = 0
            while number < count, try !turn(.integer(number), GoValue(values.type, .integer(number))) { number += 1 }
        case .absent: break
        case .null where values.type.isCollection: break
        default: throw failure(place, "range can't iterate over \(values.printed)")
        }
        return isEmpty ? try render(otherwise, dot: dot) : nil
    }

    private mutating func call(
        _ callee: String, _ argument: Pipeline?, _ place: TemplatePlace, dot: GoValue
    ) throws(TemplateError) {
        guard let nodes = template.definitions[callee] else { throw failure(place, "template \(goQuoted(callee)) not defined") }
        guard depth < deepestTemplates else { throw failure(place, "exceeded maximum template depth (\(deepestTemplates))") }
        var value = GoValue.absent
        if let argument { value = try self.value(of: argument, dot: dot) }
        let outer = (name, variables)
        (name, variables) = (callee, [("", value)])
        depth += 1
        _ = try render(nodes, dot: value)
        depth -= 1
        (name, variables) = outer
    }

    private mutating func write(_ text: String) throws(TemplateError) {
        output += text
        if output.utf8.count > limits.outputByteCount {
            throw TemplateError(stage: .execute, message: "template: \(title): more than \(limits.outputByteCount) bytes of output")
        }
    }

    private mutating func step() throws(TemplateError) {
        guard stepCount < limits.stepCount else {
            throw TemplateError(stage: .execute, message: "template: \(title): more than \(limits.stepCount) steps")
        }
        stepCount += 1
    }

    private mutating func set(_ pipeline: Pipeline, _ values: [GoValue]) throws(TemplateError) {
        for (name, value) in zip(pipeline.variables, values) {
            if pipeline.declares {
                variables.append((name, value))
            } else if let position = variables.lastIndex(where: { $0.name == name }) {
                variables[position].value = value
            } else {
                throw failure(pipeline.place, "undefined variable: $\(name)")
            }
        }
    }

    // MARK: - Values

    private func value(of pipeline: Pipeline, dot: GoValue) throws(TemplateError) -> GoValue {
        var piped: GoValue?
        for command in pipeline.commands { piped = try result(of: command, piped: piped, dot: dot).asResult }
        return piped ?? .absent
    }

    private func result(of command: Command, piped: GoValue?, dot: GoValue) throws(TemplateError) -> GoValue {
        let first = command.operands[0]
        if case .function(let name) = first.kind { return try call(name, command, piped: piped, dot: dot) }
        let count = command.operands.count - 1 + (piped == nil ? 0 : 1)
        switch first.kind {
        case .null: throw failure(first.place, "nil is not a command")
        case .field(["Label"]) where dot[field: "Labels"] != nil:
            guard count == 1 else { throw failure(first.place, "wrong number of args for Label: want 1 got \(count)") }
            let label: GoValue
            if let piped { label = piped } else { label = try argument(command.operands[1], as: .string, dot: dot) }
            return isHeading ? label : .string(Self.label(label.printed, of: dot))
        case .field(let names) where count > 0 && !names.isEmpty, .variable(_, let names) where count > 0 && !names.isEmpty:
            throw failure(first.place, "\(names[names.count - 1]) is not a method but has arguments")
        default:
            if count > 0 { throw failure(first.place, "can't give argument to non-function \(first.place.text)") }
            return try value(of: first, dot: dot)
        }
    }

    private func value(of operand: Operand, dot: GoValue) throws(TemplateError) -> GoValue {
        switch operand.kind {
        case .constant(let value): return value
        case .null: return .null
        case .function: return try result(of: Command(operands: [operand]), piped: nil, dot: dot)
        case .field(let names): return try follow(names, from: dot, operand.place)
        case .variable(let name, let fields):
            let value = variables.last { $0.name == name }?.value ?? .absent
            return try follow(fields, from: value, operand.place)
        case .group(let pipeline, let fields): return try follow(fields, from: try value(of: pipeline, dot: dot), operand.place)
        }
    }

    private func follow(_ names: [String], from start: GoValue, _ place: TemplatePlace) throws(TemplateError) -> GoValue {
        var value = start
        for name in names {
            let receiver = value.pointee
            switch (receiver.type, receiver.content) {
            case (_, .absent):
                if refusesMissingKeys { throw failure(place, "nil data; no entry for key \(goQuoted(name))") }
            case (.pointer, .null), (.any, .null):
                throw failure(place, "nil pointer evaluating \(value.type.name).\(name)")
            case (.map, _) where !receiver.type.hasPortsAsKeys:
                if receiver[key: name] == nil && refusesMissingKeys { throw failure(place, "map has no entry for key \(goQuoted(name))") }
                value = receiver[key: name] ?? .absent
            default:
                guard let field = receiver[field: name] else {
                    let type = refusesMissingKeys ? GoType.any.name : value.type.name
                    throw failure(place, "can't evaluate field \(name) in type \(type)")
                }
                value = field
            }
        }
        return value
    }

    /// A label's value from the `a=b,c=d` that a list row shows.
    private static func label(_ name: String, of row: GoValue) -> String {
        let labels = row[field: "Labels"]?.printed ?? ""
        let pair = labels.split(separator: ",").first { $0.hasPrefix(name + "=") }
        return pair.map { String($0.dropFirst(name.count + 1)) } ?? ""
    }

    // MARK: - Functions

    private func call(_ name: String, _ command: Command, piped: GoValue?, dot: GoValue) throws(TemplateError) -> GoValue {
        let place = command.operands[0].place
        let operands = command.operands.dropFirst()
        let count = operands.count + (piped == nil ? 0 : 1)
        guard let function = isHeading ? headingFunctions[name] ?? templateFunctions[name] : templateFunctions[name] else { return .absent }
        guard count >= function.parameters.count, function.rest != nil || count == function.parameters.count else {
            let wanted = (function.rest == nil ? "" : "at least ") + String(function.parameters.count)
            throw failure(place, "wrong number of args for \(name): want \(wanted) got \(count)")
        }
        // These two look no further than they have to.
        let decisive: Bool? = name == "and" ? false : name == "or" ? true : nil
        var arguments: [GoValue] = []
        for operand in operands {
            let value = try argument(operand, as: function.parameter(arguments.count), dot: dot)
            arguments.append(value)
            if value.isTrue == decisive { return value }
        }
        if let piped { arguments.append(try checked(piped, as: function.parameter(arguments.count), place)) }
        let whole = TemplatePlace(position: place.position, text: command.text)
        let result: GoValue
        do throws(FunctionFailure) { result = try function.body(arguments) } catch {
            let isCall = name == "call" && arguments[0].isThere
            let what = (isCall ? "non-function \(operands.first?.place.text ?? "") of " : "") + error.message
            throw failure(whole, "error calling \(name): \(what)")
        }
        // What is never written can double at each step.
        if case .string(let text) = result.content, text.utf8.count > limits.outputByteCount {
            throw failure(whole, "more than \(limits.outputByteCount) bytes")
        }
        return result
    }

    private func argument(
        _ operand: Operand, as parameter: TemplateFunction.Parameter, dot: GoValue
    ) throws(TemplateError) -> GoValue {
        let value = try value(of: operand, dot: dot)
        switch (operand.kind, parameter) {
        case (.null, .string), (.null, .strings), (.null, .integer):
            throw failure(operand.place, "cannot assign nil to \(parameter.rawValue)")
        case (.constant, .string) where !value.isString: throw failure(operand.place, "expected string; found \(operand.place.text)")
        case (.constant, .integer) where !value.isInteger: throw failure(operand.place, "expected integer; found \(operand.place.text)")
        default: return try checked(value, as: parameter, operand.place)
        }
    }

    private func checked(
        _ value: GoValue, as parameter: TemplateFunction.Parameter, _ place: TemplatePlace
    ) throws(TemplateError) -> GoValue {
        let fits =
            switch parameter {
            case .any: true
            // A number of JSON is a type of its own.
            case .string: value.pointee.isString && value.type.name != "json.Number"
            case .integer: value.pointee.isInteger
            case .strings: value.isStrings
            }
        if fits { return parameter == .any ? (value.content == .absent ? .null : value) : value.pointee }
        guard value.isThere else { throw failure(place, "invalid value; expected \(parameter.rawValue)") }
        throw failure(place, "wrong type for value; expected \(parameter.rawValue); got \(value.type.name)")
    }
}

extension Pipeline {
    /// As errors show it.
    fileprivate var place: TemplatePlace {
        TemplatePlace(position: commands[0].operands[0].place.position, text: commands.map(\.text).joined(separator: " | "))
    }
}

extension GoType {
    fileprivate var isCollection: Bool {
        switch self {
        case .slice, .map, .any: true
        default: false
        }
    }
}
