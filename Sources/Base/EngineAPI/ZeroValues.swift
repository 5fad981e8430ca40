public import CoreTypes

/// A type with the value that a document's field has when its JSON says nothing.
public protocol ZeroValued: Equatable {
    /// Empty, 0, false, or a document of zero values.
    static var zero: Self { get }
}

/// A document of the Docker Engine API, read and written with exactly docker's JSON keys.
///
/// Reading is as forgiving as the clients need: a missing or null field takes its zero value, an unknown
/// one is ignored. A field of the wrong type is an error.
public protocol EngineDocument: Codable, Sendable, ZeroValued {
    /// Every field at its zero value.
    init()
}

extension EngineDocument {
    /// What a document says when it says nothing.
    public static var zero: Self { Self() }
}

extension String: ZeroValued {
    /// What a document says when it says nothing.
    public static var zero: String { "" }
}
extension Bool: ZeroValued {
    /// What a document says when it says nothing.
    public static var zero: Bool { false }
}
extension Int: ZeroValued {
    /// What a document says when it says nothing.
    public static var zero: Int { 0 }
}
extension Int64: ZeroValued {
    /// What a document says when it says nothing.
    public static var zero: Int64 { 0 }
}
extension UInt16: ZeroValued {
    /// What a document says when it says nothing.
    public static var zero: UInt16 { 0 }
}
extension UInt32: ZeroValued {
    /// What a document says when it says nothing.
    public static var zero: UInt32 { 0 }
}
extension UInt64: ZeroValued {
    /// What a document says when it says nothing.
    public static var zero: UInt64 { 0 }
}
extension Double: ZeroValued {
    /// What a document says when it says nothing.
    public static var zero: Double { 0 }
}
extension Timestamp: ZeroValued {}
extension Array: ZeroValued where Element: Equatable {
    /// What a document says when it says nothing.
    public static var zero: [Element] { [] }
}
extension Dictionary: ZeroValued where Value: Equatable {
    /// What a document says when it says nothing.
    public static var zero: [Key: Value] { [:] }
}

/// A field that is always written.
@propertyWrapper
public struct Defaulted<Value: Codable & Sendable & ZeroValued>: Codable, Sendable, Equatable {
    /// The field's value.
    public var wrappedValue: Value

    /// A field of that value.
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    /// Reads the JSON of one value.
    public init(from decoder: any Decoder) throws { wrappedValue = try decoder.valueOrZero() }
    /// Writes the JSON of one value.
    public func encode(to encoder: any Encoder) throws { try wrappedValue.encode(to: encoder) }
}

/// A field that is left out at its zero value: Go's `omitempty`.
@propertyWrapper
public struct OmittedWhenZero<Value: Codable & Sendable & ZeroValued>: Codable, Sendable, Equatable {
    /// The field's value.
    public var wrappedValue: Value

    /// A field of that value.
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    /// Reads the JSON of one value.
    public init(from decoder: any Decoder) throws { wrappedValue = try decoder.valueOrZero() }
    /// Writes the JSON of one value.
    public func encode(to encoder: any Encoder) throws { try wrappedValue.encode(to: encoder) }
}

/// A list or map that is written as null while it is empty: a nil slice or map of Go.
@propertyWrapper
public struct NullWhenEmpty<Value: Codable & Sendable & ZeroValued>: Codable, Sendable, Equatable {
    /// The field's value.
    public var wrappedValue: Value

    /// A field of that value.
    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    /// Reads the JSON of one value.
    public init(from decoder: any Decoder) throws { wrappedValue = try decoder.valueOrZero() }

    /// Writes the JSON of one value.
    public func encode(to encoder: any Encoder) throws {
        guard wrappedValue == Value.zero else { return try wrappedValue.encode(to: encoder) }
        var container = encoder.singleValueContainer()
        try container.encodeNil()
    }
}

/// An optional field that is written as null while it is nil: a pointer of Go without `omitempty`.
@propertyWrapper
public struct NullWhenNil<Value: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
    /// The field's value.
    public var wrappedValue: Value?

    /// A field of that value.
    public init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

    /// Reads the JSON of one value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
    }

    /// Writes the JSON of one value.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
    }
}

extension Decoder {
    fileprivate func valueOrZero<Value: Codable & ZeroValued>() throws -> Value {
        let container = try singleValueContainer()
        return container.decodeNil() ? Value.zero : try container.decode(Value.self)
    }
}

// The compiler's own Codable code calls the most specific overload in sight, which is how a wrapped field
// learns that its key is missing, or may leave its key out. In sight of the documents of other modules, too: where
// these are not, the standard library's own is called, and a document without the key cannot be read.
extension KeyedDecodingContainer {
    /// Reads a field, of its zero value where its key is missing.
    public func decode<Value>(_: Defaulted<Value>.Type, forKey key: Key) throws -> Defaulted<Value> {
        Defaulted(wrappedValue: try decodeIfPresent(Value.self, forKey: key) ?? Value.zero)
    }

    /// Reads a field, of its zero value where its key is missing.
    public func decode<Value>(_: OmittedWhenZero<Value>.Type, forKey key: Key) throws -> OmittedWhenZero<Value> {
        OmittedWhenZero(wrappedValue: try decodeIfPresent(Value.self, forKey: key) ?? Value.zero)
    }

    /// Reads a field, of its zero value where its key is missing.
    public func decode<Value>(_: NullWhenEmpty<Value>.Type, forKey key: Key) throws -> NullWhenEmpty<Value> {
        NullWhenEmpty(wrappedValue: try decodeIfPresent(Value.self, forKey: key) ?? Value.zero)
    }

    /// Reads a field, of nil where its key is missing.
    public func decode<Value>(_: NullWhenNil<Value>.Type, forKey key: Key) throws -> NullWhenNil<Value> {
        NullWhenNil(wrappedValue: try decodeIfPresent(Value.self, forKey: key))
    }
}

// Of the others they spare the encoder a container for each field, which costs as much as the value.
extension KeyedEncodingContainer {
    /// Writes a field, unless it has its zero value.
    public mutating func encode<Value>(_ field: OmittedWhenZero<Value>, forKey key: Key) throws {
        if field.wrappedValue != Value.zero { try encode(field.wrappedValue, forKey: key) }
    }

    /// Writes a field.
    public mutating func encode<Value>(_ field: Defaulted<Value>, forKey key: Key) throws { try encode(field.wrappedValue, forKey: key) }

    /// Writes a field, as null where it is empty.
    public mutating func encode<Value>(_ field: NullWhenEmpty<Value>, forKey key: Key) throws {
        if field.wrappedValue == Value.zero { try encodeNil(forKey: key) } else { try encode(field.wrappedValue, forKey: key) }
    }

    /// Writes a field, as null where there is none.
    public mutating func encode<Value>(_ field: NullWhenNil<Value>, forKey key: Key) throws {
        if let value = field.wrappedValue { try encode(value, forKey: key) } else { try encodeNil(forKey: key) }
    }
}
