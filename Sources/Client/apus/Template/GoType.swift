/// A type as Go's templates see it: what a value may be, and what it is called.
package indirect enum GoType: Sendable, Equatable {
    /// `interface {}`: what the JSON itself says.
    case any
    case bool
    /// `int`, `int64`, … or a name for one of them.
    case integer(String)
    case unsigned(String)
    case float
    /// `string`, or a name for it.
    case string(String)
    case duration
    case time
    case pointer(GoType)
    case slice(GoType, name: String?)
    case map(GoType, name: String?)
    case structure(GoStructure)

    /// What `%T` prints.
    var name: String {
        switch self {
        case .any: "interface {}"
        case .bool: "bool"
        case .integer(let name), .unsigned(let name), .string(let name): name
        case .float: "float64"
        case .duration: "time.Duration"
        case .time: "time.Time"
        case .pointer(let pointee): "*" + pointee.name
        case .slice(let element, let name): name ?? "[]" + element.name
        case .map(let element, let name): name ?? "map[string]" + element.name
        case .structure(let structure): structure.name
        }
    }
}

extension GoType {
    /// Whether it is a map by ports: for Go their type is no string, and a string no key.
    var hasPortsAsKeys: Bool { if case .map(_, let name?) = self { name.hasPrefix("nat.Port") } else { false } }
}

/// A structure's name and its fields in their order.
package struct GoStructure: Sendable, Equatable {
    let name: String
    let fields: [Field]

    struct Field: Sendable, Equatable {
        let name: String
        /// The key in JSON; nil of a part whose own fields stand in the JSON as the structure's.
        let key: String?
        let type: GoType
        /// Whether the JSON goes without it when it is empty.
        let isOptional: Bool
    }
}

extension GoType {
    /// The documents' types, each read once, when the first of them is shown.
    static let container = document("container.InspectResponse")
    static let image = document("image.InspectResponse")
    static let network = document("network.Inspect")
    static let volume = document("volume.Volume")
    static let event = document("events.Message")
    static let information = document("system.dockerInfo")
    static let version = document("system.versionInfo")

    /// The type of a document, by the name that it has in `documentStructures`.
    private static func document(_ name: String) -> GoType {
        var reader = TypeReader()
        return reader.type(name[...])
    }
}

/// Reads types from the lines of `documentStructures`.
private struct TypeReader {
    private var lines: [Substring: Substring] = [:]
    private var known: [Substring: GoType] = [:]

    init() {
        for line in documentStructures.split(separator: "\n") {
            guard let end = line.firstRange(of: ": ") else { continue }
            lines[line[..<end.lowerBound]] = line[end.upperBound...]
        }
    }

    mutating func type(_ text: Substring) -> GoType {
        if let type = known[text] { return type }
        let type = read(text)
        known[text] = type
        return type
    }

    private mutating func read(_ text: Substring) -> GoType {
        if text.hasPrefix("*") { return .pointer(type(text.dropFirst())) }
        if text.hasPrefix("[]") { return .slice(type(text.dropFirst(2)), name: nil) }
        if text == "[2]uint" { return .slice(.unsigned("uint"), name: "[2]uint") }
        if text.hasPrefix("map[string]") { return .map(type(text.dropFirst("map[string]".count)), name: nil) }
        switch text {
        case "bool": return .bool
        case "int", "int64": return .integer(String(text))
        case "uint16", "uint64", "uint8", "uint", "fs.FileMode": return .unsigned(String(text))
        case "time.Time": return .time
        case "time.Duration": return .duration
        case "struct{}": return .structure(GoStructure(name: "struct {}", fields: []))
        case "any": return .any
        default: break
        }
        guard let line = lines[text] else { return text == "string" || text.contains(".") ? .string(String(text)) : .any }
        // Another name for a list or a map.
        if line.hasPrefix("=") {
            switch type(line.dropFirst()) {
            case .slice(let element, _): return .slice(element, name: String(text))
            case .map(let element, _): return .map(element, name: String(text))
            case let other: return other
            }
        }
        var fields: [GoStructure.Field] = []
        for part in line.split(separator: "; ") { fields.append(field(part)) }
        return .structure(GoStructure(name: String(text), fields: fields))
    }

    /// `Name[=key] type[?]`, or the type alone of an embedded part.
    private mutating func field(_ text: Substring) -> GoStructure.Field {
        let words = text.split(separator: " ")
        guard words.count == 2 else {
            let name = words[0].drop { $0 == "*" }.split(separator: ".").last ?? words[0]
            return .init(name: String(name), key: nil, type: type(words[0]), isOptional: false)
        }
        let names = words[0].split(separator: "=")
        let isOptional = words[1].hasSuffix("?")
        return .init(
            name: String(names[0]), key: String(names[names.count - 1]), type: type(isOptional ? words[1].dropLast() : words[1]),
            isOptional: isOptional)
    }
}
