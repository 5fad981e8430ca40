/// One field's value as it stands on the wire, before its message gives it a type.
/// - Spec: protobuf encoding, https://protobuf.dev/programming-guides/encoding/.
package enum ProtobufValue: Equatable, Sendable {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    case bytes(ArraySlice<UInt8>)
}

/// Reads fields in wire order from bytes that somebody else wrote: no length is believed before it is
/// compared with what is left, and groups (deprecated before proto3) are refused.
package struct ProtobufReader: Sendable {
    private var rest: ArraySlice<UInt8>
    private let subject: String

    /// - Parameter subject: the message's name, for errors.
    package init(_ bytes: ArraySlice<UInt8>, subject: String) {
        rest = bytes
        self.subject = subject
    }

    /// The next field and its number; nil at the end.
    package mutating func next() throws(WireError) -> (number: Int, value: ProtobufValue)? {
        if rest.isEmpty { return nil }
        let tag = try varint()
        let number = tag >> 3
        guard number >= 1, number <= 536_870_911 else { throw WireError(.malformed, "\(subject) tag \(tag)") }
        switch tag & 7 {
        case 0: return (Int(number), .varint(try varint()))
        case 1: return (Int(number), .fixed64(try littleEndian(byteCount: 8)))
        case 2: return (Int(number), .bytes(try lengthDelimited()))
        case 5: return (Int(number), .fixed32(UInt32(truncatingIfNeeded: try littleEndian(byteCount: 4))))
        default: throw WireError(.malformed, "\(subject) field \(number): wire type \(tag & 7)")
        }
    }

    private mutating func varint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = rest.popFirst() else { throw WireError(.truncated, subject) }
            if shift == 63 && byte > 1 { throw WireError(.malformed, "\(subject): varint above 64 bits") }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        throw WireError(.malformed, "\(subject): varint above ten bytes")
    }

    private mutating func littleEndian(byteCount: Int) throws(WireError) -> UInt64 {
        guard rest.count >= byteCount else { throw WireError(.truncated, subject) }
        var value: UInt64 = 0
        for (place, byte) in rest.prefix(byteCount).enumerated() { value |= UInt64(byte) << UInt64(place * 8) }
        rest = rest.dropFirst(byteCount)
        return value
    }

    private mutating func lengthDelimited() throws(WireError) -> ArraySlice<UInt8> {
        let length = try varint()
        guard length <= UInt64(rest.count) else { throw WireError(.truncated, subject) }
        let contents = rest.prefix(Int(length))
        rest = rest.dropFirst(Int(length))
        return contents
    }
}

/// A protobuf message coded by hand: a `switch` over field numbers one way, a list of fields the other.
package protocol ProtobufMessage: Equatable, Sendable {
    /// The message's full name in its `.proto` file, which is also its type URL in an `Any`.
    static var fullName: String { get }
    init()
    /// Takes one field; numbers it does not know are ignored, as proto3 demands.
    mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError)
    /// Writes every field that differs from its default.
    func write(to writer: inout ProtobufWriter)
}

extension ProtobufMessage {
    /// Decodes a whole message.
    package init(decoding bytes: some Collection<UInt8>) throws(WireError) {
        self.init()
        var reader = ProtobufReader(ArraySlice(bytes), subject: Self.fullName)
        while let (number, value) = try reader.next() {
            try setField(number, to: ProtobufField(value: value, number: number, message: Self.fullName))
        }
    }

    /// The message's bytes.
    package func encoded() -> [UInt8] {
        var writer = ProtobufWriter()
        write(to: &writer)
        return writer.bytes
    }
}

/// A value with its place, so that a message can ask for it by type and the error says where it stood.
package struct ProtobufField: Sendable {
    package let value: ProtobufValue
    package let number: Int
    package let message: String

    package init(value: ProtobufValue, number: Int, message: String) {
        self.value = value
        self.number = number
        self.message = message
    }

    private var mismatch: WireError { WireError(.malformed, "\(message) field \(number)") }

    /// An unsigned integer, enum or bool.
    package func uint64() throws(WireError) -> UInt64 {
        guard case .varint(let value) = value else { throw mismatch }
        return value
    }

    /// A `uint32`; protobuf keeps the low half of a longer one.
    package func uint32() throws(WireError) -> UInt32 { UInt32(truncatingIfNeeded: try uint64()) }

    /// An `int32`, ten bytes on the wire when negative.
    package func int32() throws(WireError) -> Int32 { Int32(truncatingIfNeeded: try uint64()) }

    /// An `int64`.
    package func int64() throws(WireError) -> Int64 { Int64(bitPattern: try uint64()) }

    /// A `bool`.
    package func bool() throws(WireError) -> Bool { try uint64() != 0 }

    /// A `bytes` field, still a view of the message that it came in.
    package func slice() throws(WireError) -> ArraySlice<UInt8> {
        guard case .bytes(let value) = value else { throw mismatch }
        return value
    }

    /// A `bytes` field of its own.
    package func bytes() throws(WireError) -> [UInt8] { Array(try slice()) }

    /// A `string` field.
    /// - Throws: `WireError.malformed` for text that is not UTF-8, or that holds a NUL: strings here become
    ///   paths and arguments.
    package func string() throws(WireError) -> String {
        let slice = try slice()
        guard let text = String(validating: slice, as: UTF8.self), !slice.contains(0) else { throw mismatch }
        return text
    }

    /// A message inside the message.
    package func message<Message: ProtobufMessage>(_ type: Message.Type = Message.self) throws(WireError) -> Message {
        try Message(decoding: try slice())
    }
}
