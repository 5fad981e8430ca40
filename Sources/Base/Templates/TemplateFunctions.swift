/// A function of templates.
struct TemplateFunction: Sendable {
    /// What an argument must be; the raw value is Go's name for it.
    enum Parameter: String, Sendable {
        case any = "interface {}"
        case string
        case integer = "int"
        case strings = "[]string"
    }

    let parameters: [Parameter]
    /// What arguments behind these must be; nil where there may be none.
    let rest: Parameter?
    /// Gets as many arguments as it has parameters, or more where it has a rest.
    let body: @Sendable ([GoValue]) throws(FunctionFailure) -> GoValue

    init(
        _ parameters: [Parameter], rest: Parameter? = nil, _ body: @escaping @Sendable ([GoValue]) throws(FunctionFailure) -> GoValue
    ) {
        self.parameters = parameters
        self.rest = rest
        self.body = body
    }

    func parameter(_ index: Int) -> Parameter { index < parameters.count ? parameters[index] : rest ?? .any }
}

/// What a function says of arguments that it cannot work with.
struct FunctionFailure: Error {
    let message: String
    init(_ message: String) { self.message = message }
}

func isTemplateFunction(_ name: String) -> Bool { templateFunctions[name] != nil }

/// Docker's template functions and those of Go's text/template.
let templateFunctions: [String: TemplateFunction] = dockersFunctions.merging(goFunctions) { docker, _ in docker }

/// In the heading of a table the values are names of columns, which these leave as they are.
let headingFunctions: [String: TemplateFunction] = [
    "json": same([.string]), "split": same([.string, .string]), "join": same([.string, .string]), "title": same([.string]),
    "lower": same([.string]), "upper": same([.string]), "truncate": same([.string, .integer]),
]

private func escaping(_ escape: @escaping @Sendable (String) -> String) -> TemplateFunction {
    TemplateFunction([], rest: .any) { arguments throws(FunctionFailure) in .string(escape(goPrinted(arguments.map(\.pointee)))) }
}

private func same(_ parameters: [TemplateFunction.Parameter]) -> TemplateFunction {
    TemplateFunction(parameters) { arguments throws(FunctionFailure) in arguments[0] }
}

/// The longest text that `pad` adds on a side.
private let widestPadding: Int64 = 1 << 20

private let dockersFunctions: [String: TemplateFunction] = [
    "json": TemplateFunction([.any]) { arguments throws(FunctionFailure) in .string(arguments[0].jsonText) },
    "lower": TemplateFunction([.string]) { arguments throws(FunctionFailure) in .string(lowered(arguments[0].text)) },
    "upper": TemplateFunction([.string]) { arguments throws(FunctionFailure) in .string(raised(arguments[0].text)) },
    "title": TemplateFunction([.string]) { arguments throws(FunctionFailure) in .string(titled(arguments[0].text)) },
    "join": TemplateFunction([.strings, .string]) { arguments throws(FunctionFailure) in
        .string(arguments[0].elements.map(\.text).joined(separator: arguments[1].text))
    },
    "split": TemplateFunction([.string, .string]) { arguments throws(FunctionFailure) in
        let parts = separated(arguments[0].text, by: arguments[1].text)
        return GoValue(.slice(.string("string"), name: nil), .list(parts.map { .string($0) }))
    },
    "pad": TemplateFunction([.string, .integer, .integer]) { arguments throws(FunctionFailure) in
        let (text, before, after) = (arguments[0].text, arguments[1].number, arguments[2].number)
        if text.isEmpty { return arguments[0] }
        if before < 0 || after < 0 { throw FunctionFailure("strings: negative Repeat count") }
        if max(before, after) > widestPadding { throw FunctionFailure("strings: Repeat output length overflow") }
        return .string(String(repeating: " ", count: Int(before)) + text + String(repeating: " ", count: Int(after)))
    },
    "truncate": TemplateFunction([.string, .integer]) { arguments throws(FunctionFailure) in
        let length = arguments[1].number
        if length < 0 { throw FunctionFailure("runtime error: slice bounds out of range [:\(length)]") }
        return .string(String(decoding: arguments[0].text.utf8.prefix(Int(clamping: length)), as: UTF8.self))
    },
]

private let goFunctions: [String: TemplateFunction] = [
    "print": TemplateFunction([], rest: .any) { arguments throws(FunctionFailure) in .string(goPrinted(arguments)) },
    "println": TemplateFunction([], rest: .any) { arguments throws(FunctionFailure) in
        .string(arguments.map { $0.formatted("v") }.joined(separator: " ") + "\n")
    },
    "printf": TemplateFunction([.string], rest: .any) { arguments throws(FunctionFailure) in
        .string(goFormatted(arguments[0].text, Array(arguments.dropFirst())))
    },
    "html": escaping(markupEscaped), "js": escaping(scriptEscaped), "urlquery": escaping(queryEscaped),
    // No document has a function in it.
    "call": TemplateFunction([.any], rest: .any) { arguments throws(FunctionFailure) in
        throw FunctionFailure(arguments[0].isThere ? "type \(arguments[0].type.name)" : "call of nil")
    },
    "len": TemplateFunction([.any]) { arguments throws(FunctionFailure) in .integer(Int64(try length(of: arguments[0]))) },
    "index": TemplateFunction([.any], rest: .any) { arguments throws(FunctionFailure) in
        var value = arguments[0]
        if !value.isThere { throw FunctionFailure("index of untyped nil") }
        for key in arguments.dropFirst() { value = try element(of: value, at: key) }
        return value
    },
    "slice": TemplateFunction([.any], rest: .any) { arguments throws(FunctionFailure) in
        try slice(arguments[0], Array(arguments.dropFirst()))
    },
    "not": TemplateFunction([.any]) { arguments throws(FunctionFailure) in .bool(!arguments[0].isTrue) },
    "and": TemplateFunction([.any], rest: .any) { arguments throws(FunctionFailure) in arguments[arguments.count - 1] },
    "or": TemplateFunction([.any], rest: .any) { arguments throws(FunctionFailure) in arguments[arguments.count - 1] },
    "eq": TemplateFunction([.any], rest: .any) { arguments throws(FunctionFailure) in
        if arguments.count == 1 { throw FunctionFailure("missing argument for comparison") }
        for other in arguments.dropFirst() where try areEqual(arguments[0], other) { return .bool(true) }
        return .bool(false)
    },
    "ne": TemplateFunction([.any, .any]) { arguments throws(FunctionFailure) in .bool(try !areEqual(arguments[0], arguments[1])) },
    "lt": TemplateFunction([.any, .any]) { arguments throws(FunctionFailure) in .bool(try isLess(arguments[0], arguments[1])) },
    "le": TemplateFunction([.any, .any]) { arguments throws(FunctionFailure) in
        if try isLess(arguments[0], arguments[1]) { return .bool(true) }
        return .bool(try areEqual(arguments[0], arguments[1]))
    },
    "gt": TemplateFunction([.any, .any]) { arguments throws(FunctionFailure) in
        if try isLess(arguments[0], arguments[1]) { return .bool(false) }
        return .bool(try !areEqual(arguments[0], arguments[1]))
    },
    "ge": TemplateFunction([.any, .any]) { arguments throws(FunctionFailure) in .bool(try !isLess(arguments[0], arguments[1])) },
]

extension GoValue {
    /// Whether there is a value at all: no missing key, no nil interface.
    var isThere: Bool { content != .absent && !(content == .null && type == .any) }
    var isString: Bool { if case .string = content { type != .time } else { false } }
    var isInteger: Bool { if case .integer = content { true } else { false } }
    var isStrings: Bool {
        switch (type, content) {
        case (.slice(.string, _), .null): true
        case (_, .list(let values)): values.allSatisfy(\.isString)
        default: false
        }
    }

    fileprivate var text: String { if case .string(let text) = content { text } else { "" } }
    fileprivate var number: Int64 { if case .integer(let number) = content { number } else { 0 } }
    fileprivate var elements: [GoValue] { if case .list(let values) = content { values } else { [] } }
}

/// Go turns each letter into one: those whose capital is several, as that of `ß`, stay what they are.
private func titled(_ text: String) -> String {
    var isInside = false
    var titled = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        titled.append(isInside ? scalar : scalar.properties.titlecaseMapping.onlyScalar ?? scalar)
        isInside = scalar.isPartOfWord
    }
    return String(titled)
}

private func raised(_ text: String) -> String {
    var raised = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        // Of `ᾳ` the capital is two letters, and yet there is one.
        raised.append(scalar.properties.uppercaseMapping.onlyScalar ?? scalar.properties.titlecaseMapping.onlyScalar ?? scalar)
    }
    return String(raised)
}

private func lowered(_ text: String) -> String {
    var lowered = String.UnicodeScalarView()
    // Of `İ` alone it is more: with a mark behind, that Go leaves out.
    for scalar in text.unicodeScalars { lowered.append(scalar.properties.lowercaseMapping.unicodeScalars.first ?? scalar) }
    return String(lowered)
}

extension String {
    fileprivate var onlyScalar: Unicode.Scalar? { unicodeScalars.count == 1 ? unicodeScalars.first : nil }
}

extension Unicode.Scalar {
    /// Whether a letter behind it stands within a word, as Go has it.
    fileprivate var isPartOfWord: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber: true
        default: isASCII ? self == "_" : !properties.isWhitespace
        }
    }
}

private func separated(_ text: String, by mark: String) -> [String] {
    guard !mark.isEmpty else { return text.unicodeScalars.map { String($0) } }
    return text.split(separator: mark, omittingEmptySubsequences: false).map(String.init)
}

private func length(of value: GoValue) throws(FunctionFailure) -> Int {
    guard value.isThere else { throw FunctionFailure("len of untyped nil") }
    switch value.pointee.content {
    case .string(let text) where value.type != .time: return text.utf8.count
    case .list(let values): return values.count
    case .map(let members): return members.count
    case .null:
        if case .pointer = value.type { throw FunctionFailure("len of nil pointer") }
        return 0
    default: throw FunctionFailure("len of type \(value.pointee.type.name)")
    }
}

private func element(of value: GoValue, at key: GoValue) throws(FunctionFailure) -> GoValue {
    let item = value.pointee
    switch (item.type, item.content) {
    case (.pointer, .null): throw FunctionFailure("index of nil pointer")
    case (.map(let element, _), _):
        let wanted = item.type.hasPortsAsKeys ? "nat.Port" : "string"
        guard key.isThere else { throw FunctionFailure("value is nil; should be of type \(wanted)") }
        guard case .string(let name) = key.content, key.type.name == wanted else {
            throw FunctionFailure("value has type \(key.type.name); should be \(wanted)")
        }
        return item[key: name] ?? GoValue(nil, as: element)
    case (.slice, _), (.string, _):
        let place = try position(key)
        let (kind, count) = item.isString ? ("string", item.text.utf8.count) : ("slice", item.elements.count)
        // Go looks at the bounds twice, and the first time one is let through.
        if place == count { throw FunctionFailure("reflect: \(kind) index out of range") }
        if case .string(let text) = item.content, place >= 0, place < text.utf8.count {
            return GoValue(.unsigned("uint8"), .unsigned(UInt64(Array(text.utf8)[Int(place)])))
        }
        guard case .list(let values) = item.content, place >= 0, place < values.count else {
            throw FunctionFailure("index out of range: \(place)")
        }
        return values[Int(place)]
    case (.any, _): throw FunctionFailure("index of untyped nil")
    default: throw FunctionFailure("can't index item of type \(item.type.name)")
    }
}

private func position(_ key: GoValue) throws(FunctionFailure) -> Int64 {
    switch key.content {
    case .integer(let number): return number
    case .unsigned(let number): return Int64(clamping: number)
    default:
        throw FunctionFailure("cannot index slice/array with \(key.isThere ? "type \(key.type.name)" : "nil")")
    }
}

private func slice(_ value: GoValue, _ bounds: [GoValue]) throws(FunctionFailure) -> GoValue {
    guard value.isThere else { throw FunctionFailure("slice of untyped nil") }
    if bounds.count > 3 { throw FunctionFailure("too many slice indexes: \(bounds.count)") }
    let item = value.pointee
    let count: Int
    switch (item.type, item.content) {
    case (.string, .string(let text)):
        if bounds.count == 3 { throw FunctionFailure("cannot 3-index slice a string") }
        count = text.utf8.count
    case (.slice, _): count = item.elements.count
    default: throw FunctionFailure("can't slice item of type \(item.type.name)")
    }
    var places = [0, count]
    for (index, bound) in bounds.enumerated() {
        let place = try position(bound)
        guard place >= 0, place <= count else { throw FunctionFailure("index out of range: \(place)") }
        // The third bounds a capacity, which nothing sees.
        if index < 2 { places[index] = Int(place) }
    }
    guard places[0] <= places[1] else { throw FunctionFailure("invalid slice index: \(places[0]) > \(places[1])") }
    if case .string(let text) = item.content {
        return .string(String(decoding: Array(text.utf8)[places[0]..<places[1]], as: UTF8.self))
    }
    return GoValue(item.type, .list(Array(item.elements[places[0]..<places[1]])))
}
