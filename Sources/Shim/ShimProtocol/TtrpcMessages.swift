package import Protobuf

/// `ttrpc.Request`: which method, with what.
package struct TtrpcRequest: ProtobufMessage {
    package static let fullName = "ttrpc.Request"
    package var service = ""
    package var method = ""
    package var payload: [UInt8] = []
    /// Nanoseconds that the caller waits; 0 for ever.
    package var timeoutNanoseconds: Int64 = 0

    package init() {}

    /// A call of `method` with a message.
    package init(service: String, method: String, payload: some ProtobufMessage, timeoutNanoseconds: Int64 = 0) {
        self.service = service
        self.method = method
        self.payload = payload.encoded()
        self.timeoutNanoseconds = timeoutNanoseconds
    }

    // Field 5, metadata, is ignored: nothing here depends on a caller's headers.
    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: service = try value.string()
        case 2: method = try value.string()
        case 3: payload = try value.bytes()
        case 4: timeoutNanoseconds = try value.int64()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, service)
        writer.string(2, method)
        writer.data(3, payload)
        writer.signed(4, timeoutNanoseconds)
    }
}

/// `ttrpc.Response`: a status, and the answer when that is OK.
package struct TtrpcResponse: ProtobufMessage {
    package static let fullName = "ttrpc.Response"
    /// nil means OK.
    package var status: TtrpcStatus?
    package var payload: [UInt8] = []

    package init() {}

    /// A successful answer.
    package init(payload: some ProtobufMessage) { self.payload = payload.encoded() }

    /// A refusal.
    package init(status: TtrpcStatus) { self.status = status }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: status = try value.message()
        case 2: payload = try value.bytes()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.message(1, status)
        writer.data(2, payload)
    }

    /// The answer as a message.
    /// - Throws: `TtrpcStatus` when the call was refused, or when its answer cannot be read.
    package func result<Message: ProtobufMessage>(_: Message.Type = Message.self) throws(TtrpcStatus) -> Message {
        if let status, status.code != .ok { throw status }
        do { return try Message(decoding: payload) } catch { throw TtrpcStatus(.internalError, "answer: \(error)") }
    }
}

/// `google.rpc.Status`: why a call was refused.
package struct TtrpcStatus: ProtobufMessage, Error, CustomStringConvertible {
    package static let fullName = "google.rpc.Status"

    /// gRPC's status codes, as far as shims use them.
    package struct Code: RawRepresentable, Equatable, Sendable {
        package let rawValue: Int32
        package init(rawValue: Int32) { self.rawValue = rawValue }

        package static let ok = Code(rawValue: 0)
        package static let unknown = Code(rawValue: 2)
        package static let invalidArgument = Code(rawValue: 3)
        package static let deadlineExceeded = Code(rawValue: 4)
        package static let notFound = Code(rawValue: 5)
        package static let alreadyExists = Code(rawValue: 6)
        package static let permissionDenied = Code(rawValue: 7)
        package static let resourceExhausted = Code(rawValue: 8)
        package static let failedPrecondition = Code(rawValue: 9)
        package static let unimplemented = Code(rawValue: 12)
        package static let internalError = Code(rawValue: 13)
        package static let unavailable = Code(rawValue: 14)
    }

    package var code = Code.ok
    package var message = ""

    package init() {}

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(message) (status \(code.rawValue))" }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: code = Code(rawValue: try value.int32())
        case 2: message = try value.string()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.signed(1, code.rawValue)
        writer.string(2, message)
    }
}
