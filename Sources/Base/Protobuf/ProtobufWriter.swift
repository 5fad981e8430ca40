/// Builds a message's bytes; fields that hold proto3's default are left out.
package struct ProtobufWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// A `uint64`, `uint32` or enum field.
    package mutating func unsigned(_ number: Int, _ value: some UnsignedInteger & FixedWidthInteger) {
        if value == 0 { return }
        tag(number, wireType: 0)
        varint(UInt64(value))
    }

    /// An integer of proto2, which is written whatever it is: there zero is another value than none.
    package mutating func present(_ number: Int, _ value: UInt64) {
        tag(number, wireType: 0)
        varint(value)
    }

    /// An `int64` or `int32` field: sign-extended, so ten bytes when negative.
    package mutating func signed(_ number: Int, _ value: some SignedInteger & FixedWidthInteger) {
        if value == 0 { return }
        tag(number, wireType: 0)
        varint(UInt64(bitPattern: Int64(value)))
    }

    /// A `fixed64` field.
    package mutating func fixed64(_ number: Int, _ value: UInt64) {
        if value == 0 { return }
        tag(number, wireType: 1)
        for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    /// A message of which the caller has the bytes.
    package mutating func message(_ number: Int, _ write: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        write(&inner)
        lengthDelimited(number, inner.bytes)
    }

    /// A `bool` field.
    package mutating func bool(_ number: Int, _ value: Bool) { unsigned(number, value ? UInt8(1) : 0) }

    /// A `string` field.
    package mutating func string(_ number: Int, _ value: String) {
        if !value.isEmpty { lengthDelimited(number, value.utf8) }
    }

    /// A repeated `string` field: empty members are kept.
    package mutating func strings(_ number: Int, _ values: [String]) {
        for value in values { lengthDelimited(number, value.utf8) }
    }

    /// A `bytes` field.
    package mutating func data(_ number: Int, _ value: some Collection<UInt8>) {
        if !value.isEmpty { lengthDelimited(number, value) }
    }

    /// A message field; nil is left out, a message of defaults is written as empty.
    package mutating func message(_ number: Int, _ value: (some ProtobufMessage)?) {
        guard let value else { return }
        lengthDelimited(number, value.encoded())
    }

    /// A repeated message field.
    package mutating func messages(_ number: Int, _ values: [some ProtobufMessage]) {
        for value in values { message(number, value) }
    }

    private mutating func lengthDelimited(_ number: Int, _ value: some Collection<UInt8>) {
        tag(number, wireType: 2)
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    private mutating func tag(_ number: Int, wireType: UInt64) { varint(UInt64(number) << 3 | wireType) }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}
