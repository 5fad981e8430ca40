/// A regular expression of the kind that Docker's filters take, found anywhere in a text. It is carried out in all its states at once, so that
/// no expression takes longer than its length times the text's.
/// - Source: RE2's syntax, without look-around, back-references, word boundaries and Unicode classes, of which RE2 has none or names have no use.
struct TextExpression: Sendable {
    /// Instructions of one expression; what counted repetitions would make beyond that is refused.
    private static let instructionLimit = 4096
    /// Groups in one another.
    private static let depthLimit = 64
    /// The largest number of a counted repetition, RE2's own.
    private static let countLimit = 1000

    /// Why a text is no expression.
    struct Malformed: Error {}

    private enum Instruction: Sendable {
        case byte(ByteSet)
        /// Goes on at either place.
        case fork(Int, Int)
        case jump(Int)
        case begin
        case end
        case matched
    }

    private enum Node {
        case empty
        case set(ByteSet)
        case begin
        case end
        indirect case sequence([Node])
        indirect case choice([Node])
        indirect case repeated(Node, least: Int, most: Int?)
    }

    private var program: [Instruction] = []

    init(_ text: String) throws(Malformed) {
        var parser = Parser(bytes: Array(text.utf8)[...])
        let node = try parser.choice(depth: 0)
        guard parser.bytes.isEmpty else { throw Malformed() }
        try add(node)
        program.append(.matched)
    }

    /// Whether it is found somewhere in a text.
    func matches(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        var current: Set<Int> = []
        for position in 0...bytes.count {
            // It may begin anywhere.
            if follow(0, position, bytes.count, into: &current) { return true }
            if position == bytes.count { return false }
            var next: Set<Int> = []
            for place in current {
                guard case .byte(let set) = program[place], set.contains(bytes[position]) else { continue }
                if follow(place + 1, position + 1, bytes.count, into: &next) { return true }
            }
            current = next
        }
        return false
    }

    /// Adds a place and all that follow it without a byte. - Returns: whether the end is among them.
    private func follow(_ place: Int, _ position: Int, _ count: Int, into places: inout Set<Int>) -> Bool {
        var waiting = [place]
        while let place = waiting.popLast() {
            guard places.insert(place).inserted else { continue }
            switch program[place] {
            case .matched: return true
            case .byte: break
            case .jump(let target): waiting.append(target)
            case .fork(let one, let other): waiting += [one, other]
            case .begin: if position == 0 { waiting.append(place + 1) }
            case .end: if position == count { waiting.append(place + 1) }
            }
        }
        return false
    }

    // MARK: Compiling

    private mutating func append(_ instruction: Instruction) throws(Malformed) {
        guard program.count < Self.instructionLimit else { throw Malformed() }
        program.append(instruction)
    }

    private mutating func add(_ node: Node) throws(Malformed) {
        switch node {
        case .empty: break
        case .set(let set): try append(.byte(set))
        case .begin: try append(.begin)
        case .end: try append(.end)
        case .sequence(let nodes): for node in nodes { try add(node) }
        case .choice(let nodes): try add(choice: nodes)
        case .repeated(let node, let least, let most): try add(repeated: node, least, most)
        }
    }

    private mutating func add(choice nodes: [Node]) throws(Malformed) {
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

    private mutating func add(repeated node: Node, _ least: Int, _ most: Int?) throws(Malformed) {
        for _ in 0..<least { try add(node) }
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

    // MARK: Reading

    private struct Parser {
        var bytes: ArraySlice<UInt8>

        mutating func take(_ character: Character) -> Bool {
            guard let byte = bytes.first, byte == character.asciiValue else { return false }
            bytes.removeFirst()
            return true
        }

        mutating func choice(depth: Int) throws(Malformed) -> Node {
            guard depth <= TextExpression.depthLimit else { throw Malformed() }
            var nodes = [try sequence(depth)]
            while take("|") { nodes.append(try sequence(depth)) }
            return nodes.count == 1 ? nodes[0] : .choice(nodes)
        }

        private mutating func sequence(_ depth: Int) throws(Malformed) -> Node {
            var nodes: [Node] = []
            while let byte = bytes.first, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
                var node = try atom(depth)
                while let (least, most) = try repetition() { node = .repeated(node, least: least, most: most) }
                nodes.append(node)
            }
            return nodes.isEmpty ? .empty : .sequence(nodes)
        }

        private mutating func atom(_ depth: Int) throws(Malformed) -> Node {
            if take("(") {
                if take("?") { guard take(":") else { throw Malformed() } }
                let node = try choice(depth: depth + 1)
                guard take(")") else { throw Malformed() }
                return node
            }
            if take("^") { return .begin }
            if take("$") { return .end }
            if take(".") { return .set(.all) }
            if take("[") { return .set(try set()) }
            if take("\\") { return .set(try escaped()) }
            guard let byte = bytes.popFirst(), ![UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?")].contains(byte) else {
                throw Malformed()
            }
            return .set(ByteSet(byte))
        }

        private mutating func repetition() throws(Malformed) -> (Int, Int?)? {
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
            // Who is content with little finds the same names.
            if found != nil { _ = take("?") }
            return found
        }

        /// `{2}`, `{2,}`, `{2,5}`; anything else in braces stands for itself.
        private mutating func counted() throws(Malformed) -> (Int, Int?)? {
            guard bytes.first == UInt8(ascii: "{"), let end = bytes.firstIndex(of: UInt8(ascii: "}")) else { return nil }
            let parts = String(decoding: bytes[bytes.startIndex + 1..<end], as: UTF8.self).split(
                separator: ",", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count), let least = Int(parts[0]), parts.count == 1 || parts[1].isEmpty || Int(parts[1]) != nil
            else { return nil }
            let most = parts.count == 1 ? least : Int(parts[1])
            guard (0...TextExpression.countLimit).contains(least), most.map({ (least...TextExpression.countLimit).contains($0) }) ?? true
            else {
                throw Malformed()
            }
            bytes = bytes[(end + 1)...]
            return (least, most)
        }

        private mutating func set() throws(Malformed) -> ByteSet {
            let isNegated = take("^")
            var set = ByteSet.none
            var isFirst = true
            while isFirst || bytes.first != UInt8(ascii: "]") {
                isFirst = false
                guard let byte = bytes.popFirst() else { throw Malformed() }
                if byte == UInt8(ascii: "\\") {
                    set.formUnion(try escaped())
                    continue
                }
                if bytes.first == UInt8(ascii: "-"), bytes.count > 1, bytes[bytes.startIndex + 1] != UInt8(ascii: "]") {
                    bytes.removeFirst()
                    guard let last = bytes.popFirst(), last >= byte else { throw Malformed() }
                    set.formUnion(ByteSet(byte...last))
                } else {
                    set.formUnion(ByteSet(byte))
                }
            }
            _ = take("]")
            return isNegated ? set.inverted : set
        }

        private mutating func escaped() throws(Malformed) -> ByteSet {
            guard let byte = bytes.popFirst() else { throw Malformed() }
            switch Character(UnicodeScalar(byte)) {
            case "d": return .digits
            case "D": return ByteSet.digits.inverted
            case "w": return .words
            case "W": return ByteSet.words.inverted
            case "s": return .spaces
            case "S": return ByteSet.spaces.inverted
            case let character where character.isLetter || character.isNumber: throw Malformed()
            default: return ByteSet(byte)
            }
        }
    }
}

/// Which bytes fit.
struct ByteSet: Sendable, Equatable {
    private var low = SIMD4<UInt64>()

    static let none = ByteSet()
    static let all = none.inverted
    static let digits = ByteSet(UInt8(ascii: "0")...UInt8(ascii: "9"))
    static let words = ByteSet(UInt8(ascii: "a")...UInt8(ascii: "z")).union(ByteSet(UInt8(ascii: "A")...UInt8(ascii: "Z"))).union(digits)
        .union(ByteSet(UInt8(ascii: "_")))
    static let spaces = ByteSet(9...13).union(ByteSet(32))

    private init() {}
    init(_ byte: UInt8) { low[Int(byte >> 6)] = 1 << UInt64(byte & 63) }
    init(_ range: ClosedRange<UInt8>) { for byte in range { low[Int(byte >> 6)] |= 1 << UInt64(byte & 63) } }

    var inverted: ByteSet {
        var set = self
        set.low = ~low
        return set
    }

    func contains(_ byte: UInt8) -> Bool { low[Int(byte >> 6)] & 1 << UInt64(byte & 63) != 0 }
    mutating func formUnion(_ other: ByteSet) { low |= other.low }
    func union(_ other: ByteSet) -> ByteSet {
        var set = self
        set.formUnion(other)
        return set
    }
}
