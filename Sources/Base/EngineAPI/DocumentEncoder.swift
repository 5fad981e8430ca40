/// Writes one document as JSON straight to its bytes: keys sorted, slashes as they are.
///
/// A daemon's answers are documents of a hundred fields and more. `JSONEncoder` makes a tree of them first, with a dictionary for each
/// document, and took longer than all the rest of an answer. Here a field is written where it comes; only fields that come out of order are
/// moved, when their document ends. Documents ask for one container each: those inside of others by name are none of ours.
final class DocumentEncoder: Encoder {
    /// A field of a document that is being written.
    private struct Field {
        let key: String
        /// Where its key begins, in `bytes`.
        let start: Int
    }

    fileprivate enum Shape {
        case empty, document, list
    }

    /// Of the value that is being written.
    private struct Place {
        let start: Int
        let firstField: Int
        var shape = Shape.empty
        var isSorted = true
    }

    let codingPath: [any CodingKey] = []
    let userInfo: [CodingUserInfoKey: Any] = [:]
    private(set) var bytes: [UInt8] = []
    /// Of all documents that are being written, the outermost first.
    private var fields: [Field] = []
    private var place = Place(start: 0, firstField: 0)

    /// Writes a value behind what is written.
    func write(_ value: some Encodable) throws {
        let outer = place
        place = Place(start: bytes.count, firstField: fields.count)
        try value.encode(to: self)
        switch place.shape {
        case .empty: if bytes.count == place.start { bytes += "{}".utf8 }
        case .document: endDocument()
        case .list: end(with: UInt8(ascii: "]"))
        }
        place = outer
    }

    fileprivate func write(key: String) {
        if place.isSorted, fields.count > place.firstField, let last = fields.last {
            place.isSorted = last.key.utf8.lexicographicallyPrecedes(key.utf8)
        }
        fields.append(Field(key: key, start: bytes.count))
        write(text: key)
        bytes.append(UInt8(ascii: ":"))
    }

    fileprivate func endValue() { bytes.append(UInt8(ascii: ",")) }

    fileprivate func begin(_ shape: Shape, _ bracket: UInt8) {
        if place.shape == shape { return }
        precondition(place.shape == .empty, "a document is no list")
        place.shape = shape
        bytes.append(bracket)
    }

    private func endDocument() {
        if !place.isSorted { sortFields() }
        fields.removeSubrange(place.firstField...)
        end(with: UInt8(ascii: "}"))
    }

    /// Every value has a comma behind it.
    private func end(with bracket: UInt8) {
        if bytes.last == UInt8(ascii: ",") { bytes.removeLast() }
        bytes.append(bracket)
    }

    private func sortFields() {
        let mine = fields[place.firstField...]
        let ends = mine.dropFirst().map(\.start) + [bytes.count]
        let sorted = zip(mine, ends).sorted { $0.0.key.utf8.lexicographicallyPrecedes($1.0.key.utf8) }
        guard let begin = mine.first?.start else { return }
        var inOrder: [UInt8] = []
        inOrder.reserveCapacity(bytes.count - begin)
        for (field, end) in sorted { inOrder += bytes[field.start..<end] }
        bytes.replaceSubrange(begin..., with: inOrder)
    }

    fileprivate func write(text: String) {
        bytes.append(UInt8(ascii: "\""))
        let start = bytes.count
        bytes += text.utf8
        if bytes[start...].contains(where: Self.isEscaped) {
            bytes.removeSubrange(start...)
            for byte in text.utf8 { writeEscaped(byte) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func isEscaped(_ byte: UInt8) -> Bool { byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") }

    private func writeEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): bytes += #"\""#.utf8
        case UInt8(ascii: "\\"): bytes += #"\\"#.utf8
        case 0x08: bytes += #"\b"#.utf8
        case 0x09: bytes += #"\t"#.utf8
        case 0x0A: bytes += #"\n"#.utf8
        case 0x0C: bytes += #"\f"#.utf8
        case 0x0D: bytes += #"\r"#.utf8
        case ..<0x20: bytes += ((byte < 0x10 ? #"\u000"# : #"\u00"#) + String(byte, radix: 16)).utf8
        default: bytes.append(byte)
        }
    }

    fileprivate func write(plain: some LosslessStringConvertible) { bytes += plain.description.utf8 }

    /// As short as it can be read again, and whole numbers without a point.
    fileprivate func write<Number: BinaryFloatingPoint & LosslessStringConvertible>(number: Number) throws {
        guard number.isFinite else {
            throw EncodingError.invalidValue(
                number, EncodingError.Context(codingPath: [], debugDescription: "JSON has no number \(number)"))
        }
        let text = number.description
        bytes += (text.hasSuffix(".0") ? text.dropLast(2) : text[...]).utf8
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        begin(.document, UInt8(ascii: "{"))
        return KeyedEncodingContainer(DocumentFields(encoder: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        begin(.list, UInt8(ascii: "["))
        return DocumentList(encoder: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { DocumentValue(encoder: self) }
}

private struct DocumentFields<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoder: DocumentEncoder
    var codingPath: [any CodingKey] { [] }

    func encodeNil(forKey key: Key) {
        encoder.write(key: key.stringValue)
        encoder.write(plain: "null")
        encoder.endValue()
    }

    func encode(_ value: some Encodable, forKey key: Key) throws {
        encoder.write(key: key.stringValue)
        try encoder.write(value)
        encoder.endValue()
    }

    func nestedContainer<Nested: CodingKey>(keyedBy keyType: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested> {
        preconditionFailure("\(key) is a document of its own")
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { preconditionFailure("\(key) is a list of its own") }
    func superEncoder() -> any Encoder { preconditionFailure("documents inherit nothing") }
    func superEncoder(forKey key: Key) -> any Encoder { preconditionFailure("documents inherit nothing") }
}

private struct DocumentList: UnkeyedEncodingContainer {
    let encoder: DocumentEncoder
    private(set) var count = 0
    var codingPath: [any CodingKey] { [] }

    init(encoder: DocumentEncoder) { self.encoder = encoder }

    mutating func encodeNil() {
        encoder.write(plain: "null")
        encoder.endValue()
        count += 1
    }

    mutating func encode(_ value: some Encodable) throws {
        try encoder.write(value)
        encoder.endValue()
        count += 1
    }

    func nestedContainer<Nested: CodingKey>(keyedBy keyType: Nested.Type) -> KeyedEncodingContainer<Nested> {
        preconditionFailure("what a list holds is a document of its own")
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { preconditionFailure("what a list holds is a list of its own") }
    func superEncoder() -> any Encoder { preconditionFailure("documents inherit nothing") }
}

private struct DocumentValue: SingleValueEncodingContainer {
    let encoder: DocumentEncoder
    var codingPath: [any CodingKey] { [] }

    func encodeNil() { encoder.write(plain: "null") }
    func encode(_ value: Bool) { encoder.write(plain: value) }
    func encode(_ value: String) { encoder.write(text: value) }
    func encode(_ value: Double) throws { try encoder.write(number: value) }
    func encode(_ value: Float) throws { try encoder.write(number: value) }
    func encode(_ value: Int) { encoder.write(plain: value) }
    func encode(_ value: Int8) { encoder.write(plain: value) }
    func encode(_ value: Int16) { encoder.write(plain: value) }
    func encode(_ value: Int32) { encoder.write(plain: value) }
    func encode(_ value: Int64) { encoder.write(plain: value) }
    func encode(_ value: UInt) { encoder.write(plain: value) }
    func encode(_ value: UInt8) { encoder.write(plain: value) }
    func encode(_ value: UInt16) { encoder.write(plain: value) }
    func encode(_ value: UInt32) { encoder.write(plain: value) }
    func encode(_ value: UInt64) { encoder.write(plain: value) }
    func encode(_ value: some Encodable) throws { try encoder.write(value) }
}
