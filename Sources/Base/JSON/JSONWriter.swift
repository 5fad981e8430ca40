/// Writes one JSON text, valid by construction as long as every member name is followed by one value.
/// Members of dictionaries are written in the order of their names, so equal values give equal texts.
package struct JSONWriter: Sendable {
    package enum Style: Sendable {
        /// No white space at all.
        case compact
        /// One member or element a line, indented by tabs, as runc's `spec` writes config.json.
        case indented
        /// By two spaces, as runc's `state` answers, and by four, as its `features` does.
        case indentedByTwo, indentedByFour
    }

    /// What was written so far.
    package private(set) var bytes: [UInt8] = []
    private let style: Style
    private let escapesAsGo: Bool
    private var depth = 0
    private var needsComma = false
    private var followsName = false

    /// - Parameter escapesAsGo: the characters that Go's encoding/json escapes by default, so that no page takes a text for its own, are so here too:
    ///   `<`, `>`, `&` and the separators of lines and paragraphs. What a text says is the same.
    package init(style: Style = .compact, escapesAsGo: Bool = false) {
        self.style = style
        self.escapesAsGo = escapesAsGo
    }

    /// The text so far as a string.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    package mutating func object(_ body: (inout JSONWriter) -> Void) { bracketed("{", "}", body) }

    package mutating func array(_ body: (inout JSONWriter) -> Void) { bracketed("[", "]", body) }

    /// Begins a member: the next call writes its value.
    package mutating func name(_ name: String) {
        separate()
        quote(name)
        bytes.append(UInt8(ascii: ":"))
        if style != .compact { bytes.append(0x20) }
        followsName = true
    }

    package mutating func string(_ value: String) {
        separate()
        quote(value)
    }

    package mutating func integer(_ value: some BinaryInteger) {
        separate()
        bytes.append(contentsOf: String(value).utf8)
    }

    package mutating func bool(_ value: Bool) {
        separate()
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    package mutating func null() {
        separate()
        bytes.append(contentsOf: "null".utf8)
    }

    /// Writes a value that is JSON already, such as `JSONReader.readRaw` returned.
    package mutating func raw(_ value: [UInt8]) {
        separate()
        bytes.append(contentsOf: value)
    }

    private mutating func bracketed(_ opening: Unicode.Scalar, _ closing: Unicode.Scalar, _ body: (inout JSONWriter) -> Void) {
        separate()
        bytes.append(UInt8(ascii: opening))
        depth += 1
        needsComma = false
        body(&self)
        depth -= 1
        if needsComma { newLine() }
        bytes.append(UInt8(ascii: closing))
        needsComma = true
    }

    private mutating func separate() {
        if followsName {
            followsName = false
        } else {
            if needsComma { bytes.append(UInt8(ascii: ",")) }
            if depth > 0 { newLine() }
        }
        needsComma = true
    }

    private mutating func newLine() {
        let (byte, count): (UInt8, Int)
        switch style {
        case .compact: return
        case .indented: (byte, count) = (0x09, depth)
        case .indentedByTwo: (byte, count) = (0x20, 2 * depth)
        case .indentedByFour: (byte, count) = (0x20, 4 * depth)
        }
        bytes.append(0x0a)
        for _ in 0..<count { bytes.append(byte) }
    }

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x0a: bytes.append(contentsOf: "\\n".utf8)
            case 0x0d: bytes.append(contentsOf: "\\r".utf8)
            case 0x09: bytes.append(contentsOf: "\\t".utf8)
            case 0..<0x20: escape(byte)
            case UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "&"):
                if escapesAsGo { escape(byte) } else { bytes.append(byte) }
            // The ends of U+2028 and U+2029.
            case 0xa8 where escapesAsGo && bytes.suffix(2) == [0xe2, 0x80], 0xa9 where escapesAsGo && bytes.suffix(2) == [0xe2, 0x80]:
                bytes.removeLast(2)
                bytes.append(contentsOf: (byte == 0xa8 ? "\\u2028" : "\\u2029").utf8)
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        let digits = String(byte, radix: 16)
        bytes.append(contentsOf: ("\\u00" + (digits.utf8.count == 1 ? "0" : "") + digits).utf8)
    }
}

/// Whole members. Those that take an optional, or say `unlessEmpty`, write nothing where there is nothing.
extension JSONWriter {
    package mutating func member(_ name: String, _ value: String?) {
        guard let value else { return }
        self.name(name)
        string(value)
    }

    package mutating func member(_ name: String, _ value: (some BinaryInteger)?) {
        guard let value else { return }
        self.name(name)
        integer(value)
    }

    package mutating func member(_ name: String, _ value: Bool?) {
        guard let value else { return }
        self.name(name)
        bool(value)
    }

    package mutating func member(_ name: String, _ values: [String]) {
        self.name(name)
        array { writer in for value in values { writer.string(value) } }
    }

    package mutating func member(_ name: String, unlessEmpty values: [String]) {
        if !values.isEmpty { member(name, values) }
    }

    package mutating func member(_ name: String, unlessEmpty values: [String: String]) {
        guard !values.isEmpty else { return }
        self.name(name)
        object { writer in for (key, value) in values.sorted(by: { $0.key < $1.key }) { writer.member(key, value) } }
    }

    package mutating func member<Value>(_ name: String, unlessEmpty values: [Value], _ write: (inout JSONWriter, Value) -> Void) {
        guard !values.isEmpty else { return }
        self.name(name)
        array { writer in for value in values { write(&writer, value) } }
    }

    package mutating func member<Value>(
        _ name: String, unlessEmpty values: [String: Value], _ write: (inout JSONWriter, Value) -> Void
    ) {
        guard !values.isEmpty else { return }
        self.name(name)
        object { writer in
            for (key, value) in values.sorted(by: { $0.key < $1.key }) {
                writer.name(key)
                write(&writer, value)
            }
        }
    }

    package mutating func member<Value>(_ name: String, _ value: Value?, _ write: (inout JSONWriter, Value) -> Void) {
        guard let value else { return }
        self.name(name)
        write(&self, value)
    }
}
