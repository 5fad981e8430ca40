/// A regular expression of the kind that Docker's filters and log options take, found anywhere in a text. It is carried out in all its states
/// at once, so that no expression takes longer than its instructions times the text's letters.
struct TextExpression: Sendable {
    /// The longest text of one that is read.
    private static let limitBytes = 4096
    /// Instructions of one expression; what counted repetitions would make beyond that is refused.
    private static let instructionLimit = 4096

    /// Why a text is no expression, in Go's words.
    struct Malformed: Error {
        let reason: String
    }

    private enum Instruction: Sendable {
        case letter(ScalarSet)
        /// Goes on at either place.
        case fork(Int, Int)
        case jump(Int)
        /// Goes on where this is so.
        case condition(Condition)
        case matched
    }

    /// What is asked of a place between two letters.
    enum Condition: Sendable {
        case textBegin
        case textEnd
        case lineBegin
        case lineEnd
        case wordBorder
        case noWordBorder

        fileprivate func holds(between last: Unicode.Scalar?, and next: Unicode.Scalar?) -> Bool {
            switch self {
            case .textBegin: last == nil
            case .textEnd: next == nil
            case .lineBegin: last == nil || last == "\n"
            case .lineEnd: next == nil || next == "\n"
            case .wordBorder: Self.isWord(last) != Self.isWord(next)
            case .noWordBorder: Self.isWord(last) == Self.isWord(next)
            }
        }

        private static func isWord(_ letter: Unicode.Scalar?) -> Bool { letter.map { ScalarSet.words.contains($0) } ?? false }
    }

    private var program: [Instruction] = []
    /// Whether one of the sets does.
    private var ignoresCase = false

    /// - Throws: `Malformed` for what RE2 does not take, for Unicode classes, and for what is too long.
    init(_ text: String) throws(Malformed) {
        guard text.utf8.count <= Self.limitBytes else { throw Self.tooLarge }
        try add(try ExpressionParser.parse(text))
        program.append(.matched)
    }

    /// What a letter of a text may cost at most, in instructions.
    var instructionCount: Int { program.count }

    /// Whether it is found somewhere in a text.
    func matches(_ text: String) -> Bool {
        let letters = Array(text.unicodeScalars)
        /// Where each instruction was last come to, so that it is once per letter.
        var reached = [Int](repeating: -1, count: program.count)
        var waiting: [Int] = []
        for position in 0...letters.count {
            let (last, next) = (position > 0 ? letters[position - 1] : nil, position < letters.count ? letters[position] : nil)
            let cases = ignoresCase ? next.map(ScalarSet.otherCases) ?? [] : []
            var beyond: [Int] = []
            // It may begin anywhere.
            waiting.append(0)
            while let place = waiting.popLast() {
                guard reached[place] != position else { continue }
                reached[place] = position
                switch program[place] {
                case .matched: return true
                case .letter(let set): if let next, set.contains(next, otherCases: cases) { beyond.append(place + 1) }
                case .jump(let target): waiting.append(target)
                case .fork(let one, let other): waiting += [one, other]
                case .condition(let condition): if condition.holds(between: last, and: next) { waiting.append(place + 1) }
                }
            }
            waiting = beyond
        }
        return false
    }

    // MARK: Compiling

    private static var tooLarge: Malformed { Malformed(reason: "expression is too large") }

    private mutating func append(_ instruction: Instruction) throws(Malformed) {
        guard program.count < Self.instructionLimit else { throw Self.tooLarge }
        program.append(instruction)
    }

    private mutating func add(_ node: ExpressionNode) throws(Malformed) {
        switch node {
        case .empty: break
        case .letter(let set):
            ignoresCase = ignoresCase || set.ignoresCase
            try append(.letter(set))
        case .condition(let condition): try append(.condition(condition))
        case .sequence(let nodes): for node in nodes { try add(node) }
        case .choice(let nodes): try add(choice: nodes)
        case .repeated(let node, let least, let most): try add(repeated: node, least, most)
        }
    }

    private mutating func add(choice nodes: [ExpressionNode]) throws(Malformed) {
        var ends: [Int] = []
        for (index, node) in nodes.enumerated() {
            guard index < nodes.count - 1 else {
                try add(node)
                break
            }
            let fork = program.count
            try append(.jump(0))
            try add(node)
            ends.append(program.count)
            try append(.jump(0))
            program[fork] = .fork(fork + 1, program.count)
        }
        for end in ends { program[end] = .jump(program.count) }
    }

    private mutating func add(repeated node: ExpressionNode, _ least: Int, _ most: Int?) throws(Malformed) {
        for _ in 0..<least {
            let before = program.count
            try add(node)
            // A thousand times nothing, a thousand times, is nothing: no instruction would ever end it.
            if program.count == before { break }
        }
        guard let most else {
            let fork = program.count
            try append(.jump(0))
            try add(node)
            try append(.jump(fork))
            program[fork] = .fork(fork + 1, program.count)
            return
        }
        var forks: [Int] = []
        for _ in least..<max(least, most) {
            forks.append(program.count)
            try append(.jump(0))
            try add(node)
        }
        for fork in forks { program[fork] = .fork(fork + 1, program.count) }
    }
}
