internal import CoreTypes
internal import RuntimeCore

/// One flag of a verb, by the rules of Go's flag package, which engines count on: `-name` and `--name` are the same, a value follows
/// after `=` or as the next word, and flags end at the first word that is none.
struct Flag: Sendable {
    let name: String
    /// One letter.
    let shortName: String?
    /// How help calls the value; nil for a switch.
    let placeholder: String?
    let help: String

    static func value(_ name: String, _ shortName: String? = nil, help: String) -> Flag {
        Flag(name: name, shortName: shortName, placeholder: "value", help: help)
    }

    static func toggle(_ name: String, _ shortName: String? = nil, help: String) -> Flag {
        Flag(name: name, shortName: shortName, placeholder: nil, help: help)
    }
}

/// What was given for the flags of one table, and the words after them.
struct ParsedFlags {
    /// Each as often as it was given. Few enough that no dictionary is worth its set-up.
    private var values: [(name: String, value: String)] = []
    private(set) var operands: [String] = []

    /// - Throws: `invalidArgument` for a flag that is not in the table, a missing value, and what a switch cannot be.
    init(_ words: [String], table: [Flag]) throws(RuntimeError) {
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            if word == "--" { break }
            guard word.hasPrefix("-"), word != "-" else {
                index -= 1
                break
            }
            let text = word.utf8.drop { $0 == UInt8(ascii: "-") }
            let equalSign = text.firstIndex(of: UInt8(ascii: "="))
            let name = String(Substring(text[..<(equalSign ?? text.endIndex)]))
            let value = equalSign.map { String(Substring(text[text.index(after: $0)...])) }
            guard let flag = table.first(where: { $0.name == name || $0.shortName == name }) else {
                throw RuntimeError(.invalidArgument, "flag provided but not defined: -\(name)")
            }
            let key = flag.name
            if flag.placeholder == nil {
                try setToggle(key, value ?? "true")
            } else if let value {
                values.append((key, value))
            } else if index < words.count {
                values.append((key, words[index]))
                index += 1
            } else {
                throw RuntimeError(.invalidArgument, "flag needs an argument: -\(name)")
            }
        }
        operands = Array(words[index...])
    }

    private mutating func setToggle(_ key: String, _ text: String) throws(RuntimeError) {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": values.append((key, "true"))
        case "0", "f", "F", "false", "FALSE", "False": values.removeAll { $0.name == key }
        default: throw RuntimeError(.invalidArgument, "invalid boolean value \(text.debugDescription) for -\(key)")
        }
    }

    /// The last value given; an empty one is none, as for runc.
    func value(_ name: String) -> String? { text(name).flatMap { $0.isEmpty ? nil : $0 } }

    /// The last value as it was given, for flags of which an empty one is an error.
    func text(_ name: String) -> String? { values.last { $0.name == name }?.value }

    func all(_ name: String) -> [String] { values.filter { $0.name == name }.map(\.value) }

    func isSet(_ name: String) -> Bool { values.contains { $0.name == name } }

    /// The last value as a number of descriptors: decimal, 0 to 1024.
    func count(_ name: String) throws(RuntimeError) -> Int32 {
        guard let text = text(name) else { return 0 }
        guard let number = decimal(text, as: Int32.self), number <= 1024 else {
            throw RuntimeError(
                .invalidArgument, "invalid value \(text.debugDescription) for flag -\(name): a number from 0 to 1024 is expected")
        }
        return number
    }
}
