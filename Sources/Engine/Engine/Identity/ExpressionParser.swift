/// What a regular expression says, as read.
enum ExpressionNode {
    case empty
    case letter(ScalarSet)
    case condition(TextExpression.Condition)
    indirect case sequence([ExpressionNode])
    indirect case choice([ExpressionNode])
    /// - Parameter most: nil is without end.
    indirect case repeated(ExpressionNode, least: Int, most: Int?)
}

/// Reads RE2's syntax as Go does. Which of several matches is found, and what its groups hold, is of no interest here: groups are not
/// numbered, and who is content with little finds the same.
/// - Source: the page "Syntax" of Go's package regexp/syntax, and its parse.go.
struct ExpressionParser {
    /// Groups in one another.
    private static let depthLimit = 64
    /// The largest number of a counted repetition, RE2's own.
    private static let countLimit = 1000

    private typealias Malformed = TextExpression.Malformed

    private struct Flags {
        var ignoresCase = false
        var anchorsAtLines = false
        var dotIsAll = false
    }

    private var rest: ArraySlice<Unicode.Scalar>
    private var flags = Flags()

    static func parse(_ text: String) throws(TextExpression.Malformed) -> ExpressionNode {
        var parser = ExpressionParser(rest: Array(text.unicodeScalars)[...])
        let node = try parser.choice(depth: 0)
        guard parser.rest.isEmpty else { throw Malformed(reason: "unexpected )") }
        return node
    }

    private mutating func take(_ letter: Unicode.Scalar) -> Bool {
        guard rest.first == letter else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func take(word: String) -> Bool {
        guard rest.starts(with: word.unicodeScalars) else { return false }
        rest.removeFirst(word.unicodeScalars.count)
        return true
    }

    private mutating func take(count: Int) -> String {
        defer { rest = rest.dropFirst(count) }
        return String(String.UnicodeScalarView(rest.prefix(count)))
    }

    /// Takes all before a word, and the word.
    private mutating func take(until end: String) -> String? {
        let word = Array(end.unicodeScalars)
        var text = ""
        var left = rest
        while let letter = left.first {
            if left.starts(with: word) {
                rest = left.dropFirst(word.count)
                return text
            }
            text.unicodeScalars.append(letter)
            left.removeFirst()
        }
        return nil
    }

    // MARK: Structure

    private mutating func choice(depth: Int) throws(TextExpression.Malformed) -> ExpressionNode {
        guard depth <= Self.depthLimit else { throw Malformed(reason: "expression nests too deeply") }
        var nodes = [try sequence(depth)]
        while take("|") { nodes.append(try sequence(depth)) }
        return nodes.count == 1 ? nodes[0] : .choice(nodes)
    }

    private mutating func sequence(_ depth: Int) throws(TextExpression.Malformed) -> ExpressionNode {
        var nodes: [ExpressionNode] = []
        while let next = rest.first, next != "|", next != ")" {
            if take(word: "\\Q") {
                nodes += quoted()
            } else if let node = try atom(depth) {
                nodes.append(node)
            } else {
                // Flags, which nothing can repeat.
                guard try repetition() == nil else { throw Self.nothingToRepeat }
                continue
            }
            guard let (least, most) = try repetition() else { continue }
            guard let repeated = nodes.popLast() else { throw Self.nothingToRepeat }
            nodes.append(.repeated(repeated, least: least, most: most))
            guard try repetition() == nil else { throw Malformed(reason: "invalid nested repetition operator") }
        }
        return nodes.isEmpty ? .empty : .sequence(nodes)
    }

    private static var nothingToRepeat: TextExpression.Malformed { Malformed(reason: "missing argument to repetition operator") }

    /// What follows `\Q`, to `\E` or to the end: it stands for itself.
    private mutating func quoted() -> [ExpressionNode] {
        if let text = take(until: "\\E") { return text.unicodeScalars.map(letter) }
        defer { rest = [] }
        return rest.map(letter)
    }

    private func letter(_ letter: Unicode.Scalar) -> ExpressionNode { .letter(folded(ScalarSet(letter))) }

    private func folded(_ set: ScalarSet) -> ScalarSet {
        var set = set
        set.ignoresCase = flags.ignoresCase
        return set
    }

    /// - Returns: nil for flags of what follows.
    private mutating func atom(_ depth: Int) throws(TextExpression.Malformed) -> ExpressionNode? {
        guard let first = rest.popFirst() else { return .empty }
        switch first {
        case "(":
            let before = flags
            guard try group() else { return nil }
            let node = try choice(depth: depth + 1)
            guard take(")") else { throw Malformed(reason: "missing closing )") }
            flags = before
            return node
        case "^": return .condition(flags.anchorsAtLines ? .lineBegin : .textBegin)
        case "$": return .condition(flags.anchorsAtLines ? .lineEnd : .textEnd)
        case ".": return .letter(flags.dotIsAll ? .all : .allInALine)
        case "[": return .letter(try set())
        case "\\":
            if let condition = Self.conditions[rest.first ?? "\\"] {
                rest.removeFirst()
                return .condition(condition)
            }
            return .letter(folded(try escaped()))
        case "*", "+", "?": throw Self.nothingToRepeat
        default: return letter(first)
        }
    }

    private static let conditions: [Unicode.Scalar: TextExpression.Condition] = [
        "A": .textBegin, "z": .textEnd, "b": .wordBorder, "B": .noWordBorder,
    ]

    /// What comes between `(` and the group's own: a name or flags. - Returns: whether there is a group, and not flags alone.
    private mutating func group() throws(TextExpression.Malformed) -> Bool {
        guard take("?") else { return true }
        if take(word: "P<") || take("<") {
            guard let name = take(until: ">"), !name.isEmpty, name.unicodeScalars.allSatisfy({ ScalarSet.words.contains($0) }) else {
                throw Malformed(reason: "invalid named capture")
            }
            return true
        }
        var isSet = true
        while let letter = rest.popFirst() {
            switch letter {
            case "i": flags.ignoresCase = isSet
            case "m": flags.anchorsAtLines = isSet
            case "s": flags.dotIsAll = isSet
            case "U": break
            case "-" where isSet: isSet = false
            case ":": return true
            case ")": return false
            default: throw Self.unsupported
            }
        }
        throw Malformed(reason: "missing closing )")
    }

    private static var unsupported: TextExpression.Malformed { Malformed(reason: "invalid or unsupported Perl syntax") }

    // MARK: Repetitions

    private mutating func repetition() throws(TextExpression.Malformed) -> (Int, Int?)? {
        var found: (Int, Int?)?
        if take("*") {
            found = (0, nil)
        } else if take("+") {
            found = (1, nil)
        } else if take("?") {
            found = (0, 1)
        } else {
            found = try counted()
        }
        if found != nil { _ = take("?") }
        return found
    }

    /// `{2}`, `{2,}`, `{2,5}`; anything else in braces stands for itself.
    private mutating func counted() throws(TextExpression.Malformed) -> (Int, Int?)? {
        guard rest.first == "{" else { return nil }
        let before = rest
        rest.removeFirst()
        guard let least = number() else {
            rest = before
            return nil
        }
        var most: Int? = least
        if take(",") { most = rest.first == "}" ? nil : number() ?? -1 }
        guard take("}"), most != -1 else {
            rest = before
            return nil
        }
        guard least <= Self.countLimit, most.map({ (least...Self.countLimit).contains($0) }) ?? true else {
            throw Malformed(reason: "invalid repeat count")
        }
        return (least, most)
    }

    /// A number without zeros before it; what is beyond the limit is a little beyond it. nil takes nothing.
    private mutating func number() -> Int? {
        let digits = rest.prefix { ScalarSet.digits.contains($0) }
        guard let first = digits.first, first != "0" || digits.count == 1 else { return nil }
        rest.removeFirst(digits.count)
        return Int(String(String.UnicodeScalarView(digits))).map { min($0, Self.countLimit + 1) } ?? Self.countLimit + 1
    }

    // MARK: Letters

    /// What follows `[`, with its end.
    private mutating func set() throws(TextExpression.Malformed) -> ScalarSet {
        var set = ScalarSet.none
        let isNegated = take("^")
        var isFirst = true
        while isFirst || rest.first != "]" {
            isFirst = false
            if rest.starts(with: "[:".unicodeScalars), let named = try namedClass() {
                set.formUnion(named)
                continue
            }
            if rest.first == "\\", let named = rest.dropFirst().first.flatMap({ Self.classes[$0] }) {
                rest.removeFirst(2)
                set.formUnion(named)
                continue
            }
            let least = try letterOfSet()
            var most = least
            if rest.first == "-", let next = rest.dropFirst().first, next != "]" {
                rest.removeFirst()
                most = try letterOfSet()
            }
            guard least <= most else { throw Self.invalidRange }
            set.formUnion(ScalarSet(least...most))
        }
        rest.removeFirst()
        set.isNegated = isNegated
        return folded(set)
    }

    private static var invalidRange: TextExpression.Malformed { Malformed(reason: "invalid character class range") }

    private mutating func letterOfSet() throws(TextExpression.Malformed) -> Unicode.Scalar {
        guard let letter = rest.popFirst() else { throw Malformed(reason: "missing closing ]") }
        return letter == "\\" ? try escapedLetter() : letter
    }

    /// `[:alpha:]` and `[:^alpha:]`; nil where no `:]` ends it.
    private mutating func namedClass() throws(TextExpression.Malformed) -> ScalarSet? {
        let before = rest
        rest.removeFirst(2)
        guard let name = take(until: ":]") else {
            rest = before
            return nil
        }
        let isNegated = name.hasPrefix("^")
        guard let set = Self.namedClasses[isNegated ? String(name.dropFirst()) : name] else { throw Self.invalidRange }
        return isNegated ? set.inverted : set
    }

    private static let namedClasses: [String: ScalarSet] = [
        "alnum": .letters.union(.digits), "alpha": .letters, "ascii": ScalarSet("\u{0}"..."\u{7f}"),
        "blank": ScalarSet(" ").union(ScalarSet("\t")), "cntrl": ScalarSet("\u{0}"..."\u{1f}").union(ScalarSet("\u{7f}")),
        "digit": .digits, "graph": ScalarSet("!"..."~"), "lower": ScalarSet("a"..."z"), "print": ScalarSet(" "..."~"),
        "punct": ScalarSet("!"..."/").union(ScalarSet(":"..."@")).union(ScalarSet("["..."`")).union(ScalarSet("{"..."~")),
        "space": ScalarSet("\t"..."\r").union(ScalarSet(" ")), "upper": ScalarSet("A"..."Z"), "word": .words,
        "xdigit": .digits.union(ScalarSet("A"..."F")).union(ScalarSet("a"..."f")),
    ]

    private static let classes: [Unicode.Scalar: ScalarSet] = [
        "d": .digits, "D": ScalarSet.digits.inverted, "w": .words, "W": ScalarSet.words.inverted, "s": .spaces,
        "S": ScalarSet.spaces.inverted,
    ]

    /// What follows a backslash.
    private mutating func escaped() throws(TextExpression.Malformed) -> ScalarSet {
        if let next = rest.first, let set = Self.classes[next] {
            rest.removeFirst()
            return set
        }
        return ScalarSet(try escapedLetter())
    }

    private static let controls: [Unicode.Scalar: Unicode.Scalar] = [
        "a": "\u{7}", "f": "\u{c}", "n": "\n", "r": "\r", "t": "\t", "v": "\u{b}",
    ]

    private mutating func escapedLetter() throws(TextExpression.Malformed) -> Unicode.Scalar {
        guard let letter = rest.popFirst() else { throw Malformed(reason: "trailing backslash at end of expression") }
        if let control = Self.controls[letter] { return control }
        switch letter {
        case "p", "P": throw Malformed(reason: "Unicode classes are not supported: \\\(letter)")
        case "x":
            let digits = take("{") ? take(until: "}") ?? "" : take(count: 2)
            guard (1...8).contains(digits.utf8.count), let scalar = UInt32(digits, radix: 16).flatMap(Unicode.Scalar.init) else {
                throw Self.invalidEscape
            }
            return scalar
        case "0"..."7":
            let further = take(count: rest.prefix(2).prefix { ("0"..."7").contains($0) }.count)
            // A digit alone would be what a group has found.
            guard letter == "0" || !further.isEmpty, let scalar = UInt32(String(letter) + further, radix: 8).flatMap(Unicode.Scalar.init)
            else {
                throw Self.invalidEscape
            }
            return scalar
        case _ where letter.isASCII && (!ScalarSet.words.contains(letter) || letter == "_"): return letter
        default: throw Self.invalidEscape
        }
    }

    private static var invalidEscape: TextExpression.Malformed { Malformed(reason: "invalid escape sequence") }
}
