/// How much of a JSON text is accepted.
package struct JSONLimits: Sendable {
    /// The longest text.
    package var maximumBytes: Int
    /// How deep objects and arrays may nest: bounds the stack of every reader built on this one.
    package var maximumDepth: Int
    /// Whether strings may hold U+0000, at which a C string ends.
    package var allowsNUL: Bool
    /// Whether `skipUnknownMember` is an error.
    package var refusesUnknownMembers = false

    package init(maximumBytes: Int = 4 << 20, maximumDepth: Int = 64, allowsNUL: Bool = true) {
        self.maximumBytes = maximumBytes
        self.maximumDepth = maximumDepth
        self.allowsNUL = allowsNUL
    }
}

/// A strict pull parser: the caller asks for the values that it expects, in the order of the text, and
/// what is there instead is an error that names the place.
///
/// Strict means RFC 8259 to the letter, valid UTF-8, no duplicate member names, integers that are
/// written as integers and fit their type. Nothing is converted, wrapped or repaired.
package struct JSONReader: Sendable {
    let bytes: [UInt8]
    var position = 0
    let limits: JSONLimits
    private var depth = 0
    private var path: [PathStep] = []

    /// - Throws: `JSONError` when the text is longer than the limit.
    package init(_ bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) {
        self.bytes = bytes
        self.limits = limits
        if bytes.count > limits.maximumBytes {
            throw JSONError(
                path: "", problem: "the document has \(bytes.count) bytes, at most \(limits.maximumBytes) are allowed", offset: 0)
        }
    }

    /// Reads an object, calling `body` with the name of each member, in order; `body` must read the value or
    /// skip it. A member whose value is `null` counts as absent, as in every implementation of the OCI
    /// specifications.
    /// - Throws: `JSONError` for another kind of value, a duplicate name, too deep nesting, or what `body` threw.
    package mutating func readObject(_ body: (inout JSONReader, String) throws(JSONError) -> Void) throws(JSONError) {
        try open(UInt8(ascii: "{"), "an object")
        var names = MemberNames()
        if !closes(UInt8(ascii: "}")) {
            repeat {
                skipWhitespace()
                guard peek == UInt8(ascii: "\"") else { throw unexpected("a member name") }
                let nameOffset = position
                let name = try scanString()
                guard names.insert(name) else {
                    throw JSONError(
                        path: currentPath, problem: "duplicate member \(String(name.prefix(100)).debugDescription)", offset: nameOffset)
                }
                path.append(.member(name))
                skipWhitespace()
                guard take(UInt8(ascii: ":")) else { throw unexpected("':'") }
                skipWhitespace()
                if peek == UInt8(ascii: "n") { try scanLiteral("null") } else { try body(&self, name) }
                path.removeLast()
            } while try continues(UInt8(ascii: "}"))
        }
        depth -= 1
    }

    /// Reads an array, calling `body` for each element; `body` must read the value or skip it.
    /// - Throws: `JSONError` for another kind of value, too deep nesting, or what `body` threw.
    package mutating func readArray(_ body: (inout JSONReader) throws(JSONError) -> Void) throws(JSONError) {
        try open(UInt8(ascii: "["), "an array")
        if !closes(UInt8(ascii: "]")) {
            var index = 0
            repeat {
                path.append(.element(index))
                skipWhitespace()
                try body(&self)
                path.removeLast()
                index += 1
            } while try continues(UInt8(ascii: "]"))
        }
        depth -= 1
    }

    /// Reads an array whose elements `read` returns.
    package mutating func readArray<Element>(
        of read: (inout JSONReader) throws(JSONError) -> Element
    ) throws(JSONError) -> [Element] {
        var elements: [Element] = []
        try readArray { (reader: inout JSONReader) throws(JSONError) in elements.append(try read(&reader)) }
        return elements
    }

    /// Reads an object as a dictionary whose values `read` returns.
    package mutating func readDictionary<Value>(
        of read: (inout JSONReader) throws(JSONError) -> Value
    ) throws(JSONError) -> [String: Value] {
        var members: [String: Value] = [:]
        try readObject { (reader: inout JSONReader, name: String) throws(JSONError) in members[name] = try read(&reader) }
        return members
    }

    package mutating func readString() throws(JSONError) -> String {
        skipWhitespace()
        guard peek == UInt8(ascii: "\"") else { throw unexpected("a string") }
        return try scanString()
    }

    package mutating func readStrings() throws(JSONError) -> [String] {
        try readArray { (reader: inout JSONReader) throws(JSONError) in try reader.readString() }
    }

    /// Reads an array of strings, or a string as an array of it alone.
    package mutating func readStringOrStrings() throws(JSONError) -> [String] {
        skipWhitespace()
        return peek == UInt8(ascii: "\"") ? [try scanString()] : try readStrings()
    }

    package mutating func readStringDictionary() throws(JSONError) -> [String: String] {
        try readDictionary { (reader: inout JSONReader) throws(JSONError) in try reader.readString() }
    }

    package mutating func readBool() throws(JSONError) -> Bool {
        skipWhitespace()
        switch peek {
        case UInt8(ascii: "t"):
            try scanLiteral("true")
            return true
        case UInt8(ascii: "f"):
            try scanLiteral("false")
            return false
        default: throw unexpected("true or false")
        }
    }

    /// Reads an integer exactly.
    /// - Throws: `JSONError` for a fraction, an exponent, or a value that the type cannot hold.
    package mutating func readInteger<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) throws(JSONError) -> Number {
        skipWhitespace()
        let start = position
        let number = try scanInteger()
        let value = number.isNegative ? Number(exactly: Int64(bitPattern: 0 &- number.magnitude)) : Number(exactly: number.magnitude)
        guard let value, !number.overflows else {
            throw JSONError(
                path: currentPath,
                problem: "\(text(from: start)) is out of range, expected an integer from \(Number.min) to \(Number.max)", offset: start)
        }
        return value
    }

    // The usual types by name, for other modules too: what is generic there looks its type's conformances up at run time.
    package mutating func readInteger() throws(JSONError) -> Int { try readInteger(Int.self) }
    package mutating func readInteger() throws(JSONError) -> Int32 { try readInteger(Int32.self) }
    package mutating func readInteger() throws(JSONError) -> Int64 { try readInteger(Int64.self) }
    package mutating func readInteger() throws(JSONError) -> UInt32 { try readInteger(UInt32.self) }
    package mutating func readInteger() throws(JSONError) -> UInt64 { try readInteger(UInt64.self) }

    /// Reads one of the texts that an enumeration's cases have.
    /// - Throws: `JSONError` naming the text that none of them has.
    package mutating func readCase<Choice: RawRepresentable<String>>(_ type: Choice.Type = Choice.self) throws(JSONError) -> Choice {
        let text = try readString()
        guard let choice = Choice(rawValue: text) else {
            throw problem("unknown value \(String(text.prefix(100)).debugDescription)")
        }
        return choice
    }

    /// The text of the next value, checked, whatever it is.
    package mutating func readRaw() throws(JSONError) -> [UInt8] {
        skipWhitespace()
        let start = position
        try skipValue()
        return Array(bytes[start..<position])
    }

    /// Passes over the next value, checking it as strictly as if it were read.
    package mutating func skipValue() throws(JSONError) {
        skipWhitespace()
        switch peek {
        case UInt8(ascii: "{"): try readObject { (reader: inout JSONReader, _: String) throws(JSONError) in try reader.skipValue() }
        case UInt8(ascii: "["): try readArray { (reader: inout JSONReader) throws(JSONError) in try reader.skipValue() }
        case UInt8(ascii: "\""): _ = try scanString()
        case UInt8(ascii: "t"): try scanLiteral("true")
        case UInt8(ascii: "f"): try scanLiteral("false")
        case UInt8(ascii: "n"): try scanLiteral("null")
        default: _ = try scanNumber()
        }
    }

    /// Passes over the next value of a document that was read before, by its brackets alone: nothing in it is checked but that it ends.
    package mutating func passOver() throws(JSONError) {
        skipWhitespace()
        var nesting = 0
        repeat {
            switch peek {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                nesting += 1
                position += 1
            case UInt8(ascii: "\""): try passOverString()
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if nesting == 0 { throw unexpected("a value") }
                nesting -= 1
                position += 1
            case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x0a, 0x0d, 0x09:
                if nesting == 0 { throw unexpected("a value") }
                position += 1
            default: try passOverWord()
            }
        } while nesting > 0
    }

    /// Passes over the value of a member that the reader does not know. - Throws: `JSONError` where the limits refuse such members.
    package mutating func skipUnknownMember() throws(JSONError) {
        if limits.refusesUnknownMembers { throw problem("unknown member") }
        try skipValue()
    }

    /// Checks that nothing but white space follows the document.
    package mutating func finish() throws(JSONError) {
        skipWhitespace()
        if position < bytes.count { throw unexpected("the end of the document") }
    }

    /// An error at the value being read, for the caller's own rules.
    package func problem(_ text: String) -> JSONError { JSONError(path: currentPath, problem: text, offset: position) }

    /// The value being read: `mounts[3].options`.
    package var currentPath: String { PathStep.text(path) }
}

extension JSONReader {
    private mutating func open(_ bracket: UInt8, _ expected: String) throws(JSONError) {
        skipWhitespace()
        guard take(bracket) else { throw unexpected(expected) }
        depth += 1
        if depth > limits.maximumDepth { throw problem("nested deeper than \(limits.maximumDepth) levels") }
    }

    private mutating func closes(_ bracket: UInt8) -> Bool {
        skipWhitespace()
        return take(bracket)
    }

    private mutating func continues(_ bracket: UInt8) throws(JSONError) -> Bool {
        skipWhitespace()
        if take(UInt8(ascii: ",")) { return true }
        if take(bracket) { return false }
        throw unexpected("',' or '\(Character(UnicodeScalar(bracket)))'")
    }
}

/// The member names of one object, to find duplicates: few are compared one by one, many are hashed.
private struct MemberNames {
    private var few: [String] = []
    private var many: Set<String> = []

    mutating func insert(_ name: String) -> Bool {
        if !many.isEmpty { return many.insert(name).inserted }
        if few.contains(where: { $0.utf8.elementsEqual(name.utf8) }) { return false }
        few.append(name)
        if few.count == 24 { many = Set(few) }
        return true
    }
}
