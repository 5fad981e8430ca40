/// Reads the part of TOML that files of registries are written in: tables, arrays of tables, dotted and quoted names, strings of one
/// line, integers, booleans, arrays and inline tables. Strings of several lines, floating point and dates are refused by name.
/// - Source: TOML v1.0.0.
package struct TOMLParser {
    /// Bytes of a document.
    static let limitBytes = 1 << 20
    /// Arrays and tables within one another.
    private static let depthLimit = 16
    /// Names and values of a document.
    private static let valueLimit = 65_536

    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var count = 0

    /// Reads a whole document.
    package static func parse(_ bytes: [UInt8]) throws(SettingsProblem) -> TOMLTable {
        if bytes.count > limitBytes { throw SettingsProblem(line: 1, "\(bytes.count) bytes, at most \(limitBytes) are read") }
        var parser = TOMLParser(bytes)
        return try parser.document()
    }

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    private mutating func document() throws(SettingsProblem) -> TOMLTable {
        let root = TOMLTable()
        var current = root
        while true {
            skipBlank()
            guard let byte = peek else { return root }
            if byte == UInt8(ascii: "[") { current = try header(in: root) } else { try assignment(in: current, depth: 0) }
            try endOfLine()
        }
    }

    // MARK: - Lines

    /// `[a.b]` or `[[a.b]]`.
    private mutating func header(in root: TOMLTable) throws(SettingsProblem) -> TOMLTable {
        position += 1
        let isElement = take(UInt8(ascii: "["))
        let names = try dottedName()
        guard take(UInt8(ascii: "]")), !isElement || take(UInt8(ascii: "]")) else {
            throw problem("a table's header ends with \(isElement ? "]]" : "]")")
        }
        let parent = try descend(names.dropLast(), from: root)
        let last = names[names.count - 1]
        if isElement {
            let table = TOMLTable()
            var elements: [TOMLValue] = []
            if let known = parent[last] {
                guard case .array(let present) = known.content, present.allSatisfy({ if case .table = $0.content { true } else { false } })
                else { throw problem("'\(last)' is \(known.kind) already") }
                elements = present
            }
            parent.set(last, to: TOMLValue(content: .array(elements + [TOMLValue(content: .table(table), line: line)]), line: line))
            return table
        }
        let table = try descend([last], from: parent)
        if table.isComplete { throw problem("the table '\(names.joined(separator: "."))' is there twice") }
        table.isComplete = true
        return table
    }

    /// The table of a path; the last element of an array of tables stands for the array.
    private mutating func descend(_ names: some Sequence<String>, from start: TOMLTable) throws(SettingsProblem) -> TOMLTable {
        var table = start
        for name in names {
            switch table[name]?.content {
            case .none:
                let next = TOMLTable()
                table.set(name, to: TOMLValue(content: .table(next), line: line))
                table = next
            case .table(let next): table = next
            case .array(let elements):
                guard case .table(let next) = elements.last?.content else { throw problem("'\(name)' is an array, not a table") }
                table = next
            case .text, .integer, .boolean: throw problem("'\(name)' is a value, not a table")
            }
        }
        return table
    }

    private mutating func assignment(in table: TOMLTable, depth: Int) throws(SettingsProblem) {
        let names = try dottedName()
        guard take(UInt8(ascii: "=")) else { throw problem("'=' is missing after '\(names.joined(separator: "."))'") }
        skipSpaces()
        let target = try descend(names.dropLast(), from: table)
        let last = names[names.count - 1]
        if target[last] != nil { throw problem("'\(last)' is there twice") }
        target.set(last, to: try value(depth: depth))
    }

    private mutating func endOfLine() throws(SettingsProblem) {
        skipSpaces()
        skipComment()
        guard let byte = peek else { return }
        guard byte == 0x0a || byte == 0x0d && next == 0x0a else { throw problem("something follows the value on its line") }
    }

    // MARK: - Names

    private mutating func dottedName() throws(SettingsProblem) -> [String] {
        var names: [String] = []
        repeat {
            skipSpaces()
            names.append(try name())
            skipSpaces()
            if names.count > Self.depthLimit { throw problem("more than \(Self.depthLimit) names with dots between") }
        } while take(UInt8(ascii: "."))
        return names
    }

    private mutating func name() throws(SettingsProblem) -> String {
        if peek == UInt8(ascii: "\"") || peek == UInt8(ascii: "'") { return try string() }
        let start = position
        while let byte = peek, Self.isNameByte(byte) { position += 1 }
        if start == position { throw problem("a name is missing") }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    // MARK: - Values

    private mutating func value(depth: Int) throws(SettingsProblem) -> TOMLValue {
        count += 1
        if count > Self.valueLimit { throw problem("more than \(Self.valueLimit) values") }
        if depth > Self.depthLimit { throw problem("arrays or tables more than \(Self.depthLimit) deep") }
        let start = line
        let content: TOMLValue.Content =
            switch peek {
            case UInt8(ascii: "\""), UInt8(ascii: "'"): .text(try string())
            case UInt8(ascii: "["): .array(try array(depth: depth))
            case UInt8(ascii: "{"): .table(try inlineTable(depth: depth))
            default: try word()
            }
        return TOMLValue(content: content, line: start)
    }

    private mutating func array(depth: Int) throws(SettingsProblem) -> [TOMLValue] {
        position += 1
        var values: [TOMLValue] = []
        while true {
            skipBlank()
            if take(UInt8(ascii: "]")) { return values }
            values.append(try value(depth: depth + 1))
            skipBlank()
            guard take(UInt8(ascii: ",")) || peek == UInt8(ascii: "]") else { throw problem("an array's ',' or ']' is missing") }
        }
    }

    private mutating func inlineTable(depth: Int) throws(SettingsProblem) -> TOMLTable {
        position += 1
        let table = TOMLTable()
        table.isComplete = true
        skipSpaces()
        if take(UInt8(ascii: "}")) { return table }
        while true {
            try assignment(in: table, depth: depth + 1)
            skipSpaces()
            if take(UInt8(ascii: "}")) { return table }
            guard take(UInt8(ascii: ",")) else { throw problem("an inline table's ',' or '}' is missing") }
            skipSpaces()
        }
    }

    private mutating func word() throws(SettingsProblem) -> TOMLValue.Content {
        let start = position
        while let byte = peek, Self.isNameByte(byte) || [UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: ":")].contains(byte) {
            position += 1
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if text.isEmpty { throw problem("a value is missing") }
        switch text {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        default:
            if let number = Int64(text.replacing("_", with: "")) { return .integer(number) }
            throw problem("'\(text.prefix(60))' is no string, integer or boolean")
        }
    }

    private mutating func string() throws(SettingsProblem) -> String {
        let quote = bytes[position]
        let isLiteral = quote == UInt8(ascii: "'")
        if position + 2 < bytes.count && bytes[position + 1] == quote && bytes[position + 2] == quote {
            throw problem("a string of several lines is not read here: write it on one line")
        }
        position += 1
        var content: [UInt8] = []
        while let byte = peek {
            if byte == quote {
                position += 1
                guard let text = String(validating: content, as: UTF8.self) else { throw problem("a string is not valid UTF-8") }
                return text
            }
            if byte < 0x20 && byte != 0x09 || byte == 0x7f { break }
            position += 1
            if byte == UInt8(ascii: "\\") && !isLiteral { content += try escape() } else { content.append(byte) }
        }
        throw problem("a string has no end on its line")
    }

    private mutating func escape() throws(SettingsProblem) -> [UInt8] {
        guard let byte = peek else { throw problem("a string has no end") }
        position += 1
        switch byte {
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "n"): return [0x0a]
        case UInt8(ascii: "f"): return [0x0c]
        case UInt8(ascii: "r"): return [0x0d]
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): return [byte]
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            let digits = bytes[position...].prefix(byte == UInt8(ascii: "u") ? 4 : 8)
            guard digits.count == (byte == UInt8(ascii: "u") ? 4 : 8), digits.allSatisfy(Self.isHexadecimal),
                let number = UInt32(String(decoding: digits, as: UTF8.self), radix: 16), let scalar = Unicode.Scalar(number)
            else { throw problem("a string's \\u names no character") }
            position += digits.count
            return Array(String(Character(scalar)).utf8)
        default: throw problem("a string's \\\(String(decoding: [byte], as: UTF8.self)) stands for nothing")
        }
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): true
        default: false
        }
    }

    // MARK: - Bytes

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }
    private var next: UInt8? { position + 1 < bytes.count ? bytes[position + 1] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpaces() { while let byte = peek, byte == 0x20 || byte == 0x09 { position += 1 } }

    private mutating func skipComment() {
        guard peek == UInt8(ascii: "#") else { return }
        while let byte = peek, byte != 0x0a { position += 1 }
    }

    /// Spaces, comments and ends of lines.
    private mutating func skipBlank() {
        while true {
            skipSpaces()
            skipComment()
            guard let byte = peek, byte == 0x0a || byte == 0x0d else { return }
            if byte == 0x0a { line += 1 }
            position += 1
        }
    }

    private func problem(_ words: String) -> SettingsProblem { SettingsProblem(line: line, words) }
}
