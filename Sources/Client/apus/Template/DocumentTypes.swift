internal import Templates

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
