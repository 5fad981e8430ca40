/// How many operands a verb takes. Messages are docker's.
package enum OperandCount: Sendable, Equatable {
    case none
    case exactly(Int)
    case atLeast(Int)
    case atMost(Int)
    case between(Int, Int)

    /// Why `count` operands do not fit, without the verb's name; nil when they do.
    func complaint(about count: Int) -> String? {
        switch self {
        case .none: count == 0 ? nil : "accepts no arguments"
        case .exactly(let wanted): count == wanted ? nil : "requires \(arguments(wanted))"
        case .atLeast(let least): count >= least ? nil : "requires at least \(arguments(least))"
        case .atMost(let most): count <= most ? nil : "requires at most \(arguments(most))"
        case .between(let least, let most):
            least <= count && count <= most ? nil : "requires at least \(least) and at most \(arguments(most))"
        }
    }

    private func arguments(_ count: Int) -> String { "\(count) argument\(count == 1 ? "" : "s")" }
}

/// One verb: the row of the table from which parsing, help and the verb list are made.
package struct Verb: Sendable {
    /// Every spelling, the one that help is about first: `container ls`, `ps`.
    package let names: [String]
    /// What follows the name in the usage line: `[OPTIONS] IMAGE [COMMAND] [ARG...]`.
    package let synopsis: String
    package let summary: String
    package let flags: [Flag]
    package let operands: OperandCount
    package let interspersed: Bool
    /// Carries the verb out and returns the exit code of the program.
    package let run: @Sendable (Invocation) async throws -> Int32

    package init(
        _ names: [String], _ synopsis: String, _ summary: String, flags: [Flag] = [], operands: OperandCount = .none,
        interspersed: Bool = true, run: @escaping @Sendable (Invocation) async throws -> Int32
    ) {
        self.names = names
        self.synopsis = synopsis
        self.summary = summary
        self.flags = flags
        self.operands = operands
        self.interspersed = interspersed
        self.run = run
    }
}

/// What a verb runs with: how it was called, its arguments, and where the daemon is.
package struct Invocation: Sendable {
    /// The name as typed, `container ls`, for messages.
    package let name: String
    package let arguments: Arguments
    package let environment: Environment
}

extension Verb {
    /// Checks and reads the words that follow the verb's name.
    func parse(_ words: [String], as name: String) throws(UsageError) -> Arguments {
        let arguments = try parseArguments(words, flags: flags + helpFlags, interspersed: interspersed)
        if arguments.bool("help") { return arguments }
        if let complaint = operands.complaint(about: arguments.operands.count) {
            throw UsageError(operands: "apus: 'apus \(name)' \(complaint)")
        }
        return arguments
    }
}

let helpFlag = Flag("help", nil, .bool(default: false), "Print usage")

/// The flag with its letter of older days, which may be another flag's.
let helpFlags = [helpFlag, Flag(helpFlag.name, "h", helpFlag.kind, helpFlag.usage, isHidden: true)]
