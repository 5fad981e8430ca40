internal import FoundationEssentials

extension EngineJSON {
    /// Reads one document of a request. As Go reads it, a member's name may be written in another case; one that is exact goes first.
    /// Keys of maps stay as they are.
    /// - Throws: `DocumentError` naming the field, what it holds and what it is for.
    package static func decodeRequest<Document: Decodable>(_: Document.Type, from bytes: [UInt8]) throws(DocumentError) -> Document {
        do {
            return try JSONDecoder().decode(CaseBlind<Document>.self, from: Data(bytes)).value
        } catch let mismatch as KindMismatch {
            throw DocumentError(mismatch, in: "\(Document.self)")
        } catch {
            throw DocumentError(syntaxOf: bytes, in: "\(Document.self)") ?? DocumentError(error, in: "\(Document.self)")
        }
    }
}

/// A value whose documents, at any depth, are read without regard to the case of their members' names.
private struct CaseBlind<Value: Decodable>: Decodable {
    let value: Value

    init(from decoder: any Decoder) throws {
        if let plain = Value.self as? any PlainValue.Type {
            value = try decoder.expecting(plain.typeName) { try decoder.singleValueContainer().decode(Value.self) }
        } else {
            value = try Value(from: CaseBlindDecoder(base: decoder))
        }
    }
}

/// What JSON itself has: nothing inside has a name.
private protocol PlainValue {
    /// As Go calls it, and Docker's documentation after it.
    static var typeName: String { get }
}
extension PlainValue {
    fileprivate static var typeName: String { "\(Self.self)".lowercased() }
}
extension Bool: PlainValue {}
extension String: PlainValue {}
extension Double: PlainValue {
    fileprivate static var typeName: String { "float64" }
}
extension Float: PlainValue {
    fileprivate static var typeName: String { "float32" }
}
extension Int: PlainValue {}
extension Int8: PlainValue {}
extension Int16: PlainValue {}
extension Int32: PlainValue {}
extension Int64: PlainValue {}
extension UInt: PlainValue {}
extension UInt8: PlainValue {}
extension UInt16: PlainValue {}
extension UInt32: PlainValue {}
extension UInt64: PlainValue {}

private struct CaseBlindDecoder: Decoder {
    let base: any Decoder
    var codingPath: [any CodingKey] { base.codingPath }
    var userInfo: [CodingUserInfoKey: Any] { base.userInfo }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(CaseBlindMembers(base: try base.expecting("object") { try base.container(keyedBy: MemberName.self) }))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        CaseBlindList(base: try base.expecting("array") { try base.unkeyedContainer() })
    }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { CaseBlindValue(base: try base.singleValueContainer()) }
}

/// A name as the client wrote it.
struct MemberName: CodingKey {
    let stringValue: String
    let intValue: Int? = nil

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

private struct CaseBlindMembers<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let base: KeyedDecodingContainer<MemberName>
    /// Names as they are written, by what they are in lower case.
    private let written: [String: MemberName]
    var codingPath: [any CodingKey] { base.codingPath }
    var allKeys: [Key] { base.allKeys.compactMap { Key(stringValue: $0.stringValue) } }

    init(base: KeyedDecodingContainer<MemberName>) {
        self.base = base
        written = Dictionary(base.allKeys.map { ($0.stringValue.lowercased(), $0) }) { $0.stringValue < $1.stringValue ? $0 : $1 }
    }

    private func name(of key: Key) -> MemberName {
        let exact = MemberName(stringValue: key.stringValue)
        return base.contains(exact) ? exact : written[key.stringValue.lowercased()] ?? exact
    }

    func contains(_ key: Key) -> Bool { base.contains(name(of: key)) }
    func decodeNil(forKey key: Key) throws -> Bool { try base.decodeNil(forKey: name(of: key)) }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try base.decode(CaseBlind<T>.self, forKey: name(of: key)).value
    }
    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
        try superDecoder(forKey: key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try superDecoder(forKey: key).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder { CaseBlindDecoder(base: try base.superDecoder()) }
    func superDecoder(forKey key: Key) throws -> any Decoder { CaseBlindDecoder(base: try base.superDecoder(forKey: name(of: key))) }
}

private struct CaseBlindList: UnkeyedDecodingContainer {
    var base: any UnkeyedDecodingContainer
    var codingPath: [any CodingKey] { base.codingPath }
    var count: Int? { base.count }
    var isAtEnd: Bool { base.isAtEnd }
    var currentIndex: Int { base.currentIndex }

    mutating func decodeNil() throws -> Bool { try base.decodeNil() }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try base.decode(CaseBlind<T>.self).value }
    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
        try superDecoder().container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try superDecoder().unkeyedContainer() }
    mutating func superDecoder() throws -> any Decoder { CaseBlindDecoder(base: try base.superDecoder()) }
}

private struct CaseBlindValue: SingleValueDecodingContainer {
    let base: any SingleValueDecodingContainer
    var codingPath: [any CodingKey] { base.codingPath }

    func decodeNil() -> Bool { base.decodeNil() }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try base.decode(CaseBlind<T>.self).value }
}
