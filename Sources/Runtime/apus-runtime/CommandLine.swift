internal import CoreTypes
internal import RuntimeCore

/// One flag of a verb, by the rules of Go's flag package, which engines count on: `-name` and `--name` are the same, a value follows
/// after `=` or as the next word, and flags end at the first word that is none, or at `--` where a verb takes them behind its operands as well.
struct Flag: Sendable {
    let name: String
    /// One letter.
    let shortName: String?
    /// How help calls the value; nil for a switch.
    let placeholder: String?
    let help: String
    /// Why a text is no value of this flag; nil where it is one.
    var problem: @Sendable (String) -> String? = { _ in nil }

    static func value(_ name: String, _ shortName: String? = nil, help: String) -> Flag {
        Flag(name: name, shortName: shortName, placeholder: "value", help: help)
    }

    static func number(_ name: String, _ shortName: String? = nil, help: String) -> Flag {
        Flag(name: name, shortName: shortName, placeholder: "value", help: help) { text in
            Int64(text) == nil ? "parse error: a whole number is expected" : nil
        }
    }

    static func toggle(_ name: String, _ shortName: String? = nil, help: String) -> Flag {
        Flag(name: name, shortName: shortName, placeholder: nil, help: help)
    }
}

/// What was given for the flags of one table, and the words after them.
struct ParsedFlags {
    /// Each as often as it was given. Few enough that no dictionary is worth its set-up.
    private var values: [(name: String, value: String)] = []
    private var toggles: [(name: String, isOn: Bool)] = []
    private(set) var operands: [String] = []

    /// - Parameter areAnywhere: flags of the table count behind operands as well, up to `--`; what else begins with `-` there is an operand.
    /// - Throws: `invalidArgument` for a flag that is not in the table, a missing value, and what a switch or a number cannot be.
    init(_ words: [String], table: [Flag], areAnywhere: Bool = false) throws(RuntimeError) {
        var index = 0
        while index < words.count {
            let word = words[index]
            if word == "--" {
                index += 1
                break
            }
            let text = word.utf8.drop { $0 == UInt8(ascii: "-") }
            let equalSign = text.firstIndex(of: UInt8(ascii: "="))
            let name = String(Substring(text[..<(equalSign ?? text.endIndex)]))
            let looksLikeFlag = word.hasPrefix("-") && word != "-"
            let flag = looksLikeFlag ? table.first { $0.name == name || $0.shortName == name } : nil
            if !looksLikeFlag || flag == nil && !operands.isEmpty {
                if !areAnywhere { break }
                operands.append(word)
                index += 1
                continue
            }
            guard let flag else { throw RuntimeError(.invalidArgument, "flag provided but not defined: -\(name)") }
            index += 1
            let value = equalSign.map { String(Substring(text[text.index(after: $0)...])) }
            if flag.placeholder == nil {
                try setToggle(flag.name, value ?? "true")
            } else if let value {
                try add(value, of: flag, as: name)
            } else if index < words.count {
                try add(words[index], of: flag, as: name)
                index += 1
            } else {
                throw RuntimeError(.invalidArgument, "flag needs an argument: -\(name)")
            }
        }
        operands += words[index...]
    }

    private mutating func add(_ value: String, of flag: Flag, as name: String) throws(RuntimeError) {
        if let problem = flag.problem(value) {
            throw RuntimeError(.invalidArgument, "invalid value \(value.debugDescription) for flag -\(name): \(problem)")
        }
        values.append((flag.name, value))
    }

    private mutating func setToggle(_ key: String, _ text: String) throws(RuntimeError) {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": toggles.append((key, true))
        case "0", "f", "F", "false", "FALSE", "False": toggles.append((key, false))
        default: throw RuntimeError(.invalidArgument, "invalid boolean value \(text.debugDescription) for -\(key)")
        }
    }

    /// The last value given; an empty one is none, as for runc.
    func value(_ name: String) -> String? { text(name).flatMap { $0.isEmpty ? nil : $0 } }

    /// The last value as it was given, for flags of which an empty one is an error.
    func text(_ name: String) -> String? { values.last { $0.name == name }?.value }

    func all(_ name: String) -> [String] { values.filter { $0.name == name }.map(\.value) }

    /// Whether a value was given, or a switch is on.
    func isSet(_ name: String) -> Bool { toggle(name) ?? values.contains { $0.name == name } }

    /// What a switch was set to last; nil where it was not given.
    func toggle(_ name: String) -> Bool? { toggles.last { $0.name == name }?.isOn }

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
