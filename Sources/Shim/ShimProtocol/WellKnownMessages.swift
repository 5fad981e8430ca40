package import Protobuf

/// `google.protobuf.Any`: a message with its type's name.
package struct ProtobufAny: ProtobufMessage {
    package static let fullName = "google.protobuf.Any"
    /// containerd writes the bare full name; others put `type.googleapis.com/` before it.
    package var typeURL = ""
    package var value: [UInt8] = []

    package init() {}

    /// Wraps bytes under a type's name.
    package init(typeURL: String, value: [UInt8]) {
        self.typeURL = typeURL
        self.value = value
    }

    /// Wraps a message under its own name.
    package init(wrapping message: some ProtobufMessage) {
        self.init(typeURL: type(of: message).fullName, value: message.encoded())
    }

    /// The type's name without a host before it.
    package var typeName: String {
        typeURL.lastIndex(of: "/").map { String(typeURL[typeURL.index(after: $0)...]) } ?? typeURL
    }

    /// Whether it stands for none at all: what Go makes of a missing one, as `ctr containers restore` does. containerd's own shim looks for that.
    package var isOfNoType: Bool { typeURL.isEmpty }

    /// The message inside, or nil when it is of another type.
    package func unwrap<Message: ProtobufMessage>(_: Message.Type = Message.self) throws(WireError) -> Message? {
        guard typeName == Message.fullName else { return nil }
        return try Message(decoding: value)
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: typeURL = try value.string()
        case 2: self.value = try value.bytes()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, typeURL)
        writer.data(2, value)
    }
}

/// `google.protobuf.Timestamp`: a moment in UTC.
package struct ProtobufTimestamp: ProtobufMessage {
    package static let fullName = "google.protobuf.Timestamp"
    package var seconds: Int64 = 0
    package var nanoseconds: Int32 = 0

    package init() {}

    /// - Parameter unixNanoseconds: nanoseconds since 1970, negative before.
    package init(unixNanoseconds: Int64) {
        let (quotient, remainder) = unixNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        seconds = remainder < 0 ? quotient - 1 : quotient
        nanoseconds = Int32(remainder < 0 ? remainder + 1_000_000_000 : remainder)
    }

    /// Nanoseconds since 1970, held at the ends of the range (years 1677 and 2262).
    package var unixNanoseconds: Int64 {
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, sumOverflow) = product.addingReportingOverflow(Int64(nanoseconds))
        return overflow || sumOverflow ? (seconds < 0 ? .min : .max) : sum
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: seconds = try value.int64()
        case 2: nanoseconds = try value.int32()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.signed(1, seconds)
        writer.signed(2, nanoseconds)
    }
}

/// `google.protobuf.Empty`: the answer of calls that only succeed.
package struct ProtobufEmpty: ProtobufMessage {
    package static let fullName = "google.protobuf.Empty"
    package init() {}
    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {}
    package func write(to writer: inout ProtobufWriter) {}
}
