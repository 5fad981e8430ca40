/// One value of a TOML document, with the line that it begins on.
package struct TOMLValue {
    package enum Content {
        case text(String)
        case integer(Int64)
        case boolean(Bool)
        case array([TOMLValue])
        case table(TOMLTable)
    }

    package var content: Content
    /// Where it begins.
    package let line: Int

    /// What it is, for a message.
    package var kind: String {
        switch content {
        case .text: "a string"
        case .integer: "an integer"
        case .boolean: "a boolean"
        case .array: "an array"
        case .table: "a table"
        }
    }
}

/// A table: its names in the order of the document.
package final class TOMLTable {
    /// In the order of the document.
    package private(set) var names: [String] = []
    private var values: [String: TOMLValue] = [:]
    /// Whether a header or an inline table said all there is of it.
    var isComplete = false

    /// The value of a name.
    package subscript(name: String) -> TOMLValue? { values[name] }

    func set(_ name: String, to value: TOMLValue) {
        if values.updateValue(value, forKey: name) == nil { names.append(name) }
    }
}

/// What is wrong in a file of settings: one line that names the place.
package struct SettingsProblem: Error, Equatable, CustomStringConvertible {
    package let line: Int
    package let words: String

    init(line: Int, _ words: String) {
        self.line = line
        self.words = words
    }

    package var description: String { "line \(line): \(words)" }
}

// MARK: - What settings ask for

extension TOMLValue {
    private func wrong(_ name: String, _ wanted: String) -> SettingsProblem {
        SettingsProblem(line: line, "'\(name)' must be \(wanted), not \(kind)")
    }

    /// The value as a string; `name` is what messages call it.
    package func text(_ name: String) throws(SettingsProblem) -> String {
        guard case .text(let text) = content else { throw wrong(name, "a string") }
        return text
    }

    func boolean(_ name: String) throws(SettingsProblem) -> Bool {
        guard case .boolean(let value) = content else { throw wrong(name, "true or false") }
        return value
    }

    func table(_ name: String) throws(SettingsProblem) -> TOMLTable {
        guard case .table(let table) = content else { throw wrong(name, "a table") }
        return table
    }

    /// The values of an array.
    func array(_ name: String) throws(SettingsProblem) -> [TOMLValue] {
        guard case .array(let values) = content else { throw wrong(name, "an array") }
        return values
    }

    /// One string, or an array of strings.
    func texts(_ name: String) throws(SettingsProblem) -> [String] {
        switch content {
        case .text(let text): return [text]
        case .array(let values):
            var texts: [String] = []
            for value in values { texts.append(try value.text(name)) }
            return texts
        case .integer, .boolean, .table: throw wrong(name, "a string or an array of strings")
        }
    }
}

extension TOMLTable {
    /// Refuses what is not among the names: a misspelt setting must not be one that is not there.
    func allow(_ known: [String], in place: String) throws(SettingsProblem) {
        for name in names where !known.contains(name) {
            throw SettingsProblem(
                line: values[name]?.line ?? 1, "unknown setting '\(name)' in \(place): known are \(known.joined(separator: ", "))")
        }
    }
}
