internal import Templates

/// A command line that does not fit its verb. Ends the program with `exitCode` after printing the verb's usage.
package struct UsageError: Error, Equatable, Sendable {
    package let message: String
    package let exitCode: Int32

    /// Docker ends with 125 where a flag is wrong and with 1 where the operands are.
    package init(flag message: String) {
        self.message = message
        exitCode = 125
    }

    package init(operands message: String) {
        self.message = message
        exitCode = 1
    }
}

/// What keeps a verb from being carried out, where its usage would not help: one line on standard error.
struct Complaint: Error, Equatable, CustomStringConvertible {
    let description: String
    /// What the program ends with. Docker's command line has 64 for a template that cannot be read.
    let exitCode: Int32

    init(_ description: String, exitCode: Int32 = 1) {
        self.description = description
        self.exitCode = exitCode
    }
}

/// What a verb was given: values by flag name, in order, each checked against its flag's kind; and the operands.
package struct Arguments: Sendable, Equatable {
    package internal(set) var operands: [String] = []
    /// Whether help was asked for by a letter.
    private(set) var hasHelpLetter = false
    private var values: [String: [String]] = [:]

    mutating func noteLetter(of flag: Flag) { hasHelpLetter = hasHelpLetter || flag.name == helpFlag.name }

    mutating func append(_ value: String, to name: String) {
        values[name, default: []].append(value)
    }

    /// Whether the flag stood on the command line at all.
    package func has(_ name: String) -> Bool { values[name] != nil }

    /// All values of a list flag, in order.
    package func list(_ name: String) -> [String] { values[name] ?? [] }

    /// The last value given, as written.
    package func string(_ name: String) -> String? { values[name]?.last }

    /// The last value of a bool flag, or what it means when absent.
    package func bool(_ name: String, default absent: Bool = false) -> Bool {
        string(name).flatMap(parseBool) ?? absent
    }

    package func integer(_ name: String) -> Int64? { string(name).flatMap { GoNumber.integer($0).value } }

    /// A size in bytes; -1 stays -1.
    package func bytes(_ name: String) -> Int64? {
        string(name).flatMap { $0 == "-1" ? -1 : parseByteSize($0) }
    }
}

/// Reads a verb's words by docker's flag grammar (pflag's): `--name value`, `--name=value`, `--rm=false`, `-it`,
/// `-eNAME=value`, `--` ends the flags.
/// - Parameters:
///   - interspersed: whether flags may follow an operand. `run`, `create` and `exec` say no: what follows their first
///     operand belongs to the container.
package func parseArguments(_ words: [String], flags: [Flag], interspersed: Bool) throws(UsageError) -> Arguments {
    var parser = FlagParser(words: words, flags: flags)
    return try parser.parse(interspersed: interspersed)
}

private struct FlagParser {
    let words: [String]
    let flags: [Flag]
    var position = 0
    var arguments = Arguments()

    mutating func parse(interspersed: Bool) throws(UsageError) -> Arguments {
        while position < words.count {
            let word = words[position]
            position += 1
            if word == "--" {
                arguments.operands += words[position...]
                break
            } else if word.hasPrefix("--") {
                try takeLong(word)
            } else if word.hasPrefix("-"), word.count > 1 {
                try takeShorts(word)
            } else {
                arguments.operands.append(word)
                if !interspersed {
                    arguments.operands += words[position...]
                    break
                }
            }
        }
        return arguments
    }

    mutating func takeLong(_ word: String) throws(UsageError) {
        let body = word.dropFirst(2)
        let equals = body.firstIndex(of: "=")
        let name = String(equals.map { body[..<$0] } ?? body)
        guard let flag = flags.first(where: { $0.name == name }) else {
            throw UsageError(flag: "unknown flag: --\(name)")
        }
        if let equals {
            try store(String(body[body.index(after: equals)...]), in: flag)
        } else if flag.isBool {
            try store("true", in: flag)
        } else {
            try store(try next("flag needs an argument: --\(name)"), in: flag)
        }
    }

    mutating func takeShorts(_ word: String) throws(UsageError) {
        var rest = word.dropFirst()
        while let letter = rest.first {
            rest = rest.dropFirst()
            guard let flag = flags.first(where: { $0.short == letter }) else {
                throw UsageError(flag: "unknown shorthand flag: '\(letter)' in \(word)")
            }
            arguments.noteLetter(of: flag)
            if rest.first == "=" {
                return try store(String(rest.dropFirst()), in: flag)
            } else if flag.isBool {
                try store("true", in: flag)
            } else if rest.isEmpty {
                return try store(try next("flag needs an argument: '\(letter)' in \(word)"), in: flag)
            } else {
                return try store(String(rest), in: flag)
            }
        }
    }

    mutating func next(_ complaint: String) throws(UsageError) -> String {
        guard position < words.count else { throw UsageError(flag: complaint) }
        position += 1
        return words[position - 1]
    }

    mutating func store(_ value: String, in flag: Flag) throws(UsageError) {
        if let complaint = flag.complaint(about: value) {
            throw UsageError(flag: "invalid argument \(goQuoted(value)) for \"\(flag.spelling)\" flag: \(complaint)")
        }
        let values = flag.kind == .commaSeparated ? (try? commaSeparated(value)) ?? [] : [value]
        for value in values { arguments.append(value, to: flag.meaning ?? flag.name) }
    }
}
