/// What a template looks at: a JSON document with its keys in their order.
package enum TemplateValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// A whole number that is too large for the others to hold exactly: its decimal digits, with a sign where it is negative.
    case digits(String)
    case number(Double)
    case text(String)
    case list([TemplateValue])
    case map([Entry])

    package struct Entry: Sendable, Equatable {
        package let key: String
        package let value: TemplateValue

        package init(_ key: String, _ value: TemplateValue) {
            self.key = key
            self.value = value
        }
    }

    /// So many digits of a whole number are kept as they are.
    private static let digitLimit = 38

    /// A whole number in decimal digits that `integer` has no room for; nil for any other text.
    package init?(wholeNumber text: String) {
        let digits = text.utf8.drop { $0 == UInt8(ascii: "-") }
        guard Int64(text) == nil, !digits.isEmpty, digits.count <= Self.digitLimit, text.utf8.count - digits.count <= 1,
            digits.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        self = .digits(text)
    }

    /// The value behind a key; nil where this is no map or has no such key.
    package subscript(key key: String) -> TemplateValue? {
        guard case .map(let entries) = self else { return nil }
        return entries.first { $0.key == key }?.value
    }

    /// The value behind a field's name. Docker's templates see Go's names, which differ from those of its JSON by the case
    /// of abbreviations: `.ID` is `Id`, `.APIVersion` is `ApiVersion`. A key that is spelled exactly so comes first.
    package subscript(field name: String) -> TemplateValue? {
        if let value = self[key: name] { return value }
        guard case .map(let entries) = self else { return nil }
        let lower = name.lowercased()
        return entries.first { $0.key.lowercased() == lower }?.value
    }

    /// The elements of a list; none where this is no list.
    package var elements: [TemplateValue] {
        if case .list(let values) = self { values } else { [] }
    }

    /// Go's idea of truth: not false, zero, empty or null.
    package var isTrue: Bool {
        switch self {
        case .null: false
        case .bool(let value): value
        case .integer(let value): value != 0
        case .digits: true
        case .number(let value): value != 0
        case .text(let value): !value.isEmpty
        case .list(let values): !values.isEmpty
        case .map(let entries): !entries.isEmpty
        }
    }

    /// The value as Go's fmt prints it with `%v`: `[a b]`, `map[key:value]`.
    package var printed: String {
        switch self {
        case .null: "<no value>"
        case .bool(let value): String(value)
        case .integer(let value): String(value)
        case .digits(let value): value
        case .number(let value): value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
        case .text(let value): value
        case .list(let values): "[" + values.map(\.printed).joined(separator: " ") + "]"
        case .map(let entries):
            "map[" + entries.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value.printed)" }.joined(separator: " ") + "]"
        }
    }
}

extension TemplateValue {
    /// The value as JSON on one line, as Go's encoder writes it.
    package var json: String { jsonLines(indent: nil, depth: 0) }

    /// The value as JSON over several lines, four spaces a level, as `inspect` prints it.
    package var indentedJSON: String { jsonLines(indent: "    ", depth: 0) }

    /// The value as JSON over several lines.
    package func json(indentedBy indent: String) -> String { jsonLines(indent: indent, depth: 0) }

    /// The value as JSON on one line with `<`, `>` and `&` escaped, as docker's list verbs print a row.
    package var markupSafeJSON: String {
        // These three stand in strings only, where an escape means the same.
        json.replacing("<", with: "\\u003c").replacing(">", with: "\\u003e").replacing("&", with: "\\u0026")
    }

    private func jsonLines(indent: String?, depth: Int) -> String {
        switch self {
        case .null: return "null"
        case .bool, .integer, .digits: return printed
        case .number(let value): return value.isFinite ? printed : "null"
        case .text(let value): return quotedJSON(value)
        case .list(let values):
            return enclosed("[", values.map { $0.jsonLines(indent: indent, depth: depth + 1) }, "]", indent, depth)
        case .map(let entries):
            let colon = indent == nil ? ":" : ": "
            let members = entries.map { quotedJSON($0.key) + colon + $0.value.jsonLines(indent: indent, depth: depth + 1) }
            return enclosed("{", members, "}", indent, depth)
        }
    }

    private func enclosed(_ open: String, _ parts: [String], _ close: String, _ indent: String?, _ depth: Int) -> String {
        guard let indent, !parts.isEmpty else { return open + parts.joined(separator: ",") + close }
        let inner = "\n" + String(repeating: indent, count: depth + 1)
        return open + inner + parts.joined(separator: "," + inner) + "\n" + String(repeating: indent, count: depth) + close
    }
}

/// A JSON string with what must not stand in one escaped; `<`, `>` and `&` stay, as in docker's output.
private func quotedJSON(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": quoted += "\\\""
        case "\\": quoted += "\\\\"
        case "\n": quoted += "\\n"
        case "\r": quoted += "\\r"
        case "\t": quoted += "\\t"
        case _ where scalar.value < 0x20 || scalar.value == 0x7f:
            let hex = String(scalar.value, radix: 16)
            quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
        default: quoted.unicodeScalars.append(scalar)
        }
    }
    return quoted + "\""
}
