/// A function of templates: its arguments in, its value out.
typealias TemplateFunction = @Sendable ([TemplateValue]) throws(TemplateError) -> TemplateValue

/// Docker's template functions and those of Go's text/template that make sense for output.
let templateFunctions: [String: TemplateFunction] = textFunctions.merging(valueFunctions) { text, _ in text }

private let textFunctions: [String: TemplateFunction] = [
    "json": { arguments throws(TemplateError) in .text(try only(arguments, of: "json").json) },
    "lower": { arguments throws(TemplateError) in .text(try only(arguments, of: "lower").printed.lowercased()) },
    "upper": { arguments throws(TemplateError) in .text(try only(arguments, of: "upper").printed.uppercased()) },
    "title": { arguments throws(TemplateError) in .text(titled(try only(arguments, of: "title").printed)) },
    "join": { arguments throws(TemplateError) in
        guard arguments.count == 2, case .list(let values) = arguments[0] else { throw wrong("join", "a list and a separator") }
        return .text(values.map(\.printed).joined(separator: arguments[1].printed))
    },
    "split": { arguments throws(TemplateError) in
        guard arguments.count == 2, case .text(let text) = arguments[0], case .text(let mark) = arguments[1] else {
            throw wrong("split", "a string and a separator")
        }
        return .list(separated(text, by: mark).map { .text($0) })
    },
    "pad": { arguments throws(TemplateError) in
        guard arguments.count == 3, case .text(let text) = arguments[0], case .integer(let before) = arguments[1],
            case .integer(let after) = arguments[2], (0...4096).contains(before), (0...4096).contains(after)
        else { throw wrong("pad", "a string and two widths up to 4096") }
        return .text(text.isEmpty ? "" : String(repeating: " ", count: Int(before)) + text + String(repeating: " ", count: Int(after)))
    },
    "truncate": { arguments throws(TemplateError) in
        guard arguments.count == 2, case .text(let text) = arguments[0], case .integer(let length) = arguments[1], length >= 0 else {
            throw wrong("truncate", "a string and a length")
        }
        return .text(String(text.prefix(Int(clamping: length))))
    },
    "print": { arguments in .text(arguments.map(\.printed).joined(separator: " ")) },
    "println": { arguments in .text(arguments.map(\.printed).joined(separator: " ") + "\n") },
    "printf": { arguments throws(TemplateError) in .text(try formatted(arguments)) },
]

private let valueFunctions: [String: TemplateFunction] = [
    "len": { arguments throws(TemplateError) in
        switch try only(arguments, of: "len") {
        case .text(let text): return .integer(Int64(text.utf8.count))
        case .list(let values): return .integer(Int64(values.count))
        case .map(let entries): return .integer(Int64(entries.count))
        case .null, .bool, .integer, .number: throw wrong("len", "a string, list or map")
        }
    },
    "index": { arguments throws(TemplateError) in
        guard var value = arguments.first else { throw wrong("index", "a value and its keys") }
        for key in arguments.dropFirst() { value = try element(of: value, at: key) }
        return value
    },
    "slice": { arguments throws(TemplateError) in try slice(arguments) },
    "not": { arguments throws(TemplateError) in .bool(!(try only(arguments, of: "not").isTrue)) },
    "and": { arguments in arguments.first { !$0.isTrue } ?? arguments.last ?? .bool(true) },
    "or": { arguments in arguments.first { $0.isTrue } ?? arguments.last ?? .bool(false) },
    "eq": { arguments in .bool(arguments.dropFirst().contains { same($0, arguments[0]) }) },
    "ne": { arguments throws(TemplateError) in
        guard arguments.count == 2 else { throw wrong("ne", "two values") }
        return .bool(!same(arguments[0], arguments[1]))
    },
    "lt": { arguments throws(TemplateError) in .bool(try order(arguments, "lt") < 0) },
    "le": { arguments throws(TemplateError) in .bool(try order(arguments, "le") <= 0) },
    "gt": { arguments throws(TemplateError) in .bool(try order(arguments, "gt") > 0) },
    "ge": { arguments throws(TemplateError) in .bool(try order(arguments, "ge") >= 0) },
]

private func wrong(_ function: String, _ wanted: String) -> TemplateError {
    .executing(function, "wrong arguments for \(function): want \(wanted)")
}

private func only(_ arguments: [TemplateValue], of function: String) throws(TemplateError) -> TemplateValue {
    guard arguments.count == 1 else { throw wrong(function, "1 argument, got \(arguments.count)") }
    return arguments[0]
}

private func titled(_ text: String) -> String {
    var previous: Character = " "
    return String(
        text.map { character in
            defer { previous = character }
            return previous.isWhitespace ? Character(character.uppercased()) : character
        })
}

private func separated(_ text: String, by mark: String) -> [String] {
    guard !mark.isEmpty else { return text.map(String.init) }
    var parts: [String] = []
    var rest = Substring(text)
    while let found = rest.firstRange(of: mark) {
        parts.append(String(rest[..<found.lowerBound]))
        rest = rest[found.upperBound...]
    }
    return parts + [String(rest)]
}

private func element(of value: TemplateValue, at key: TemplateValue) throws(TemplateError) -> TemplateValue {
    switch (value, key) {
    case (.list(let values), .integer(let position)):
        guard position >= 0, position < values.count else {
            throw .executing("index", "error calling index: index out of range: \(position)")
        }
        return values[Int(position)]
    case (.map, .text(let name)): return value[key: name] ?? .text("")
    case (.null, _): throw .executing("index", "error calling index: index of untyped nil")
    default: throw .executing("index", "error calling index: can't index item of \(value.printed) with \(key.printed)")
    }
}

private func slice(_ arguments: [TemplateValue]) throws(TemplateError) -> TemplateValue {
    var bounds: [Int] = []
    for argument in arguments.dropFirst() {
        guard case .integer(let bound) = argument, bound >= 0, bound <= Int64(Int32.max) else { throw wrong("slice", "a value and bounds") }
        bounds.append(Int(bound))
    }
    func range(_ count: Int) throws(TemplateError) -> Range<Int> {
        let low = bounds.first ?? 0
        let high = bounds.count > 1 ? bounds[1] : count
        guard low <= high, high <= count else { throw .executing("slice", "error calling slice: index out of range: \(high)") }
        return low..<high
    }
    switch arguments.first {
    case .text(let text)?:
        let bytes = Array(text.utf8)
        return .text(String(decoding: bytes[try range(bytes.count)], as: UTF8.self))
    case .list(let values)?: return .list(Array(values[try range(values.count)]))
    default: throw wrong("slice", "a string or list and bounds")
    }
}

private func same(_ left: TemplateValue, _ right: TemplateValue) -> Bool {
    switch (left, right) {
    case (.integer(let number), .number(let other)), (.number(let other), .integer(let number)): Double(number) == other
    default: left == right
    }
}

/// Negative, zero or positive as the first argument is less than, equal to or greater than the second.
private func order(_ arguments: [TemplateValue], _ function: String) throws(TemplateError) -> Int {
    guard arguments.count == 2 else { throw wrong(function, "two values") }
    switch (arguments[0], arguments[1]) {
    case (.integer(let left), .integer(let right)): return left < right ? -1 : left == right ? 0 : 1
    case (.text(let left), .text(let right)): return left < right ? -1 : left == right ? 0 : 1
    case (.number(let left), .number(let right)): return left < right ? -1 : left == right ? 0 : 1
    case (.integer(let left), .number(let right)): return Double(left) < right ? -1 : Double(left) == right ? 0 : 1
    case (.number(let left), .integer(let right)): return left < Double(right) ? -1 : left == Double(right) ? 0 : 1
    default: throw .executing(function, "error calling \(function): incompatible types for comparison")
    }
}

/// Go's printf for `%s %v %d %q %t %x %%`, with a width and `-`.
private func formatted(_ arguments: [TemplateValue]) throws(TemplateError) -> String {
    guard case .text(let format)? = arguments.first else { throw wrong("printf", "a format and values") }
    var values = arguments.dropFirst()
    var result = ""
    var rest = Substring(format)
    while let character = rest.popFirst() {
        guard character == "%" else {
            result.append(character)
            continue
        }
        let flags = rest.prefix { $0 == "-" || $0.isNumber || $0 == "." }
        let (before, precision) = splitOnce(String(flags), at: ".")
        rest = rest.dropFirst(flags.count)
        guard let verb = rest.popFirst() else { return result + "%!(NOVERB)" }
        if verb == "%" {
            result += "%"
            continue
        }
        guard let value = values.popFirst() else {
            result += "%!\(verb)(MISSING)"
            continue
        }
        let text =
            switch (verb, value) {
            case ("q", _): goQuoted(value.printed)
            case ("x", .integer(let number)): String(number, radix: 16)
            case ("s", _): String(value.printed.prefix(precision.flatMap { Int($0) } ?? .max))
            default: value.printed
            }
        let width = Int(before.filter(\.isNumber)).map { min($0, 4096) } ?? 0
        let padding = String(repeating: " ", count: max(0, width - text.count))
        result += flags.hasPrefix("-") ? text + padding : padding + text
    }
    return result
}
