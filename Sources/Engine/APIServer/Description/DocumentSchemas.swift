internal import CoreTypes
internal import EngineAPI

/// Schemas of the API's documents, as JSON Schema in the form of OpenAPI 3.0. A document is asked what it reads, so that a schema cannot
/// name other members than the document has.
final class DocumentSchemas {
    /// What has a name, by its name.
    private(set) var named: [String: JSONNode] = [:]

    /// The schema of a type: a reference for a document.
    func schema(of type: any Decodable.Type) -> JSONNode {
        switch type {
        case is String.Type: return ["type": "string"]
        case is Bool.Type: return ["type": "boolean"]
        case is Double.Type: return ["type": "number"]
        case is Int.Type, is Int64.Type: return ["type": "integer", "format": "int64"]
        case is UInt16.Type: return ["type": "integer", "minimum": .number(0), "maximum": .number(65535)]
        case is any FixedWidthInteger.Type: return ["type": "integer", "minimum": .number(0)]
        case is Timestamp.Type: return ["type": "string", "format": "date-time"]
        case is StringSlice.Type: return ["oneOf": [["type": "string"], ["type": "array", "items": ["type": "string"]]]]
        case let optional as any OptionalShape.Type: return Self.nullable(schema(of: optional.wrapped))
        case let list as any ListShape.Type: return ["type": "array", "items": schema(of: list.element)]
        case let map as any MapShape.Type: return ["type": "object", "additionalProperties": schema(of: map.value)]
        default: return reference(to: type)
        }
    }

    /// The same, or null.
    static func nullable(_ schema: JSONNode) -> JSONNode {
        guard case .object(let members) = schema, members["$ref"] != nil else { return schema.adding(["nullable": true]) }
        return ["allOf": [schema], "nullable": true]
    }

    private func reference(to type: any Decodable.Type) -> JSONNode {
        let name = "\(type)"
        if named[name] == nil {
            // Before its members are looked at: one may be of the same kind.
            named[name] = ["type": "object"]
            let notes = DocumentNotes()
            // What it reads is nothing that it could read: the notes are all that is wanted.
            _ = try? type.init(from: NotingDecoder(notes: notes))
            let nulls = Self.nullMembers(of: type)
            var properties: [String: JSONNode] = [:]
            for (member, kind) in notes.members {
                let schema = schema(of: kind)
                properties[member] = nulls.contains(member) ? Self.nullable(schema) : schema
            }
            named[name] = ["type": "object", "properties": .object(properties)]
        }
        return ["$ref": .text("#/components/schemas/\(name)")]
    }

    /// Members that a document without values writes as null.
    private static func nullMembers(of type: any Decodable.Type) -> Set<String> {
        guard let document = type as? any EngineDocument.Type, let text = try? EngineJSON.encode(document.init()),
            let members = try? EngineJSON.decode([String: Presence].self, from: text)
        else { return [] }
        return Set(members.filter(\.value.isNull).keys)
    }

    private struct Presence: Decodable {
        let isNull: Bool

        init(from decoder: any Decoder) throws { isNull = try decoder.singleValueContainer().decodeNil() }
    }
}

/// What a document has asked for.
private final class DocumentNotes {
    var members: [(name: String, kind: any Decodable.Type)] = []
}

/// A decoder that notes what is asked of it, and answers with zeros.
private struct NotingDecoder: Decoder {
    let notes: DocumentNotes
    let codingPath: [any CodingKey] = []
    let userInfo: [CodingUserInfoKey: Any] = [:]

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(NotingMembers<Key>(notes: notes))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw NotANote() }
    func singleValueContainer() -> any SingleValueDecodingContainer { NotingValue(notes: notes) }
}

/// Asked for something that no document of the API asks for.
private struct NotANote: Error {}

private struct NotingMembers<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let notes: DocumentNotes
    let codingPath: [any CodingKey] = []
    let allKeys: [Key] = []

    private func note(_ kind: any Decodable.Type, _ key: Key) { notes.members.append((key.stringValue, kind)) }

    func contains(_ key: Key) -> Bool { true }
    func decodeNil(forKey key: Key) -> Bool { false }
    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        note(type, key)
        return nil
    }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        note(type, key)
        return try T(from: NotingDecoder(notes: DocumentNotes()))
    }
    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
        throw NotANote()
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { throw NotANote() }
    func superDecoder() throws -> any Decoder { throw NotANote() }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw NotANote() }
}

private struct NotingValue: SingleValueDecodingContainer {
    let notes: DocumentNotes
    let codingPath: [any CodingKey] = []

    func decodeNil() -> Bool { false }
    func decode(_ type: Bool.Type) -> Bool { false }
    func decode(_ type: String.Type) -> String { "" }
    func decode(_ type: Double.Type) -> Double { 0 }
    func decode(_ type: Float.Type) -> Float { 0 }
    func decode(_ type: Int.Type) -> Int { 0 }
    func decode(_ type: Int8.Type) -> Int8 { 0 }
    func decode(_ type: Int16.Type) -> Int16 { 0 }
    func decode(_ type: Int32.Type) -> Int32 { 0 }
    func decode(_ type: Int64.Type) -> Int64 { 0 }
    func decode(_ type: UInt.Type) -> UInt { 0 }
    func decode(_ type: UInt8.Type) -> UInt8 { 0 }
    func decode(_ type: UInt16.Type) -> UInt16 { 0 }
    func decode(_ type: UInt32.Type) -> UInt32 { 0 }
    func decode(_ type: UInt64.Type) -> UInt64 { 0 }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try T(from: NotingDecoder(notes: notes)) }
}

private protocol OptionalShape {
    static var wrapped: any Decodable.Type { get }
}
private protocol ListShape {
    static var element: any Decodable.Type { get }
}
private protocol MapShape {
    static var value: any Decodable.Type { get }
}
extension Optional: OptionalShape where Wrapped: Decodable {
    fileprivate static var wrapped: any Decodable.Type { Wrapped.self }
}
extension Array: ListShape where Element: Decodable {
    fileprivate static var element: any Decodable.Type { Element.self }
}
extension Dictionary: MapShape where Key == String, Value: Decodable {
    fileprivate static var value: any Decodable.Type { Value.self }
}
