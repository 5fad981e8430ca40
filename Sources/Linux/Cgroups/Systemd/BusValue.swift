/// A value of D-Bus's type system. - Source: D-Bus specification 0.43, "Type System".
package indirect enum BusValue: Equatable, Sendable {
    case byte(UInt8)
    case boolean(Bool)
    case int16(Int16)
    case uint16(UInt16)
    case int32(Int32)
    case uint32(UInt32)
    case int64(Int64)
    case uint64(UInt64)
    case double(Double)
    case string(String)
    case objectPath(String)
    case signature(String)
    case variant(BusValue)
    /// The element's signature too, for an array may be empty.
    case array(of: String, [BusValue])
    case structure([BusValue])
    case entry(key: BusValue, value: BusValue)

    /// The type, as one complete signature.
    package var signature: String {
        switch self {
        case .byte: "y"
        case .boolean: "b"
        case .int16: "n"
        case .uint16: "q"
        case .int32: "i"
        case .uint32: "u"
        case .int64: "x"
        case .uint64: "t"
        case .double: "d"
        case .string: "s"
        case .objectPath: "o"
        case .signature: "g"
        case .variant: "v"
        case .array(let element, _): "a" + element
        case .structure(let members): "(" + members.map(\.signature).joined() + ")"
        case .entry(let key, let value): "{" + key.signature + value.signature + "}"
        }
    }

    /// The text of a string or of an object's path.
    var text: String? {
        switch self {
        case .string(let text), .objectPath(let text): text
        default: nil
        }
    }
}

/// How the bytes of a type are aligned. - Source: D-Bus specification, "Marshaling (Wire Format)".
private func alignment(of type: Character) -> Int {
    switch type {
    case "n", "q": 2
    case "i", "u", "b", "s", "o", "a": 4
    case "x", "t", "d", "(", "{": 8
    default: 1
    }
}

/// Writes values as D-Bus's little-endian wire format; offset 0 is aligned to everything.
struct BusWriter {
    private(set) var bytes: [UInt8] = []

    mutating func align(to size: Int) {
        while bytes.count % size != 0 { bytes.append(0) }
    }

    private mutating func put(_ number: some FixedWidthInteger) {
        align(to: number.bitWidth / 8)
        for shift in stride(from: 0, to: number.bitWidth, by: 8) { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    mutating func write(_ value: BusValue) {
        switch value {
        case .byte(let number): bytes.append(number)
        case .boolean(let flag): put(UInt32(flag ? 1 : 0))
        case .int16(let number): put(number)
        case .uint16(let number): put(number)
        case .int32(let number): put(number)
        case .uint32(let number): put(number)
        case .int64(let number): put(number)
        case .uint64(let number): put(number)
        case .double(let number): put(number.bitPattern)
        case .string(let text), .objectPath(let text):
            put(UInt32(clamping: text.utf8.count))
            bytes += Array(text.utf8) + [0]
        case .signature(let text):
            bytes.append(UInt8(clamping: text.utf8.count))
            bytes += Array(text.utf8) + [0]
        case .variant(let inner):
            write(.signature(inner.signature))
            write(inner)
        case .array(let element, let members): write(members, of: element)
        case .structure(let members):
            align(to: 8)
            for member in members { write(member) }
        case .entry(let key, let value):
            align(to: 8)
            write(key)
            write(value)
        }
    }

    /// The length counts neither itself nor the padding before the first element.
    private mutating func write(_ members: [BusValue], of element: String) {
        align(to: 4)
        let lengthAt = bytes.count
        put(UInt32(0))
        align(to: alignment(of: element.first ?? "y"))
        let start = bytes.count
        for member in members { write(member) }
        let length = UInt32(clamping: bytes.count - start)
        for index in 0..<4 { bytes[lengthAt + index] = UInt8(truncatingIfNeeded: length >> (8 * index)) }
    }
}

/// Reads values from D-Bus's little-endian wire format; every length is checked against what is there.
struct BusReader {
    private let bytes: [UInt8]
    private(set) var position = 0
    /// As deep as the specification lets arrays and structures nest.
    private static let depthLimit = 64

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func align(to size: Int) throws(BusError) {
        let padded = (position + size - 1) / size * size
        guard padded <= bytes.count else { throw .malformed("it ends within its padding") }
        position = padded
    }

    private mutating func take(_ count: Int) throws(BusError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - position else { throw .malformed("it ends within a value") }
        defer { position += count }
        return bytes[position..<(position + count)]
    }

    private mutating func number<Number: FixedWidthInteger & UnsignedInteger>(_ type: Number.Type) throws(BusError) -> Number {
        let size = Number.bitWidth / 8
        try align(to: size)
        return try take(size).reversed().reduce(0) { $0 << 8 | Number($1) }
    }

    private mutating func text(length: Int) throws(BusError) -> String {
        let text = String(decoding: try take(length), as: UTF8.self)
        guard try take(1) == [0] else { throw .malformed("a text has no end") }
        return text
    }

    /// One value for each complete type of a signature.
    mutating func values(_ signature: String) throws(BusError) -> [BusValue] {
        // Structures without members too are none: an array of them would have no end.
        guard BusSignature.isValid(signature) else { throw .malformed("its signature makes no sense") }
        var rest = Substring(signature)
        var values: [BusValue] = []
        while !rest.isEmpty { values.append(try value(&rest, depth: 0)) }
        return values
    }

    private mutating func value(_ signature: inout Substring, depth: Int) throws(BusError) -> BusValue {
        guard depth < Self.depthLimit, let type = signature.popFirst() else { throw .malformed("its signature makes no sense") }
        switch type {
        case "y": return .byte(try number(UInt8.self))
        case "b": return .boolean(try number(UInt32.self) != 0)
        case "n": return .int16(Int16(bitPattern: try number(UInt16.self)))
        case "q": return .uint16(try number(UInt16.self))
        case "i": return .int32(Int32(bitPattern: try number(UInt32.self)))
        case "u", "h": return .uint32(try number(UInt32.self))
        case "x": return .int64(Int64(bitPattern: try number(UInt64.self)))
        case "t": return .uint64(try number(UInt64.self))
        case "d": return .double(Double(bitPattern: try number(UInt64.self)))
        case "s": return .string(try text(length: Int(try number(UInt32.self))))
        case "o": return .objectPath(try text(length: Int(try number(UInt32.self))))
        case "g":
            let text = try text(length: Int(try number(UInt8.self)))
            guard BusSignature.isValid(text) else { throw .malformed("a signature in it makes no sense") }
            return .signature(text)
        case "v":
            let text = try text(length: Int(try number(UInt8.self)))
            guard BusSignature.isOneType(text) else { throw .malformed("a variant in it has no type") }
            var inner = Substring(text)
            return .variant(try value(&inner, depth: depth + 1))
        case "a": return try array(&signature, depth: depth)
        case "(":
            try align(to: 8)
            var members: [BusValue] = []
            while let next = signature.first, next != ")" { members.append(try value(&signature, depth: depth + 1)) }
            signature = signature.dropFirst()
            return .structure(members)
        case "{":
            try align(to: 8)
            let key = try value(&signature, depth: depth + 1)
            let inner = try value(&signature, depth: depth + 1)
            signature = signature.dropFirst()
            return .entry(key: key, value: inner)
        default: throw .malformed("its signature makes no sense")
        }
    }

    private mutating func array(_ signature: inout Substring, depth: Int) throws(BusError) -> BusValue {
        let element = try Self.firstType(of: signature)
        signature = signature.dropFirst(element.count)
        let length = Int(try number(UInt32.self))
        try align(to: alignment(of: element.first ?? "y"))
        guard length <= bytes.count - position else { throw .malformed("it ends within an array") }
        let end = position + length
        var members: [BusValue] = []
        while position < end {
            var type = Substring(element)
            members.append(try value(&type, depth: depth + 1))
        }
        guard position == end else { throw .malformed("an array ends within a value") }
        return .array(of: element, members)
    }

    /// The first complete type of a signature.
    private static func firstType(of signature: Substring) throws(BusError) -> String {
        var open = 0
        var type = ""
        for character in signature {
            type.append(character)
            if "({".contains(character) { open += 1 }
            if ")}".contains(character) { open -= 1 }
            if open == 0 && character != "a" { return type }
        }
        throw .malformed("its signature makes no sense")
    }
}
