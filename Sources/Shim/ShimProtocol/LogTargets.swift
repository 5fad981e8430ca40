package import Protobuf

/// `apus.shim.v1.SyslogTarget`: a syslog server that is sent each line of the log.
package struct SyslogTarget: ProtobufMessage, Equatable {
    /// How it is reached.
    package enum Transport: UInt32, Sendable {
        /// A local socket of either kind: of streams, or else of datagrams.
        case local = 0
        case datagrams = 1
        case udp = 2
        case tcp = 3
    }

    /// How a line is worded.
    package enum Format: UInt32, Sendable {
        /// As C libraries do on one machine: RFC 3164 without a host.
        case local = 0
        case rfc3164 = 1
        case rfc5424 = 2
        /// With microseconds.
        case rfc5424Micro = 3
    }

    package static let fullName = "apus.shim.v1.SyslogTarget"
    package var transport = Transport.local
    /// Of a local socket.
    package var path = ""
    /// 4 or 16 bytes, for UDP and TCP.
    package var address: [UInt8] = []
    package var port: UInt32 = 0
    package var format = Format.local
    /// 0 to 23.
    package var facility: UInt32 = 0
    package var tag = ""
    package var hostName = ""

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: transport = try Self.known(Transport(rawValue: value.uint32()), "transport")
        case 2: path = try value.string()
        case 3: address = try value.bytes()
        case 4: port = try value.uint32()
        case 5: format = try Self.known(Format(rawValue: value.uint32()), "format")
        case 6: facility = min(try value.uint32(), 23)
        case 7: tag = try value.string()
        case 8: hostName = try value.string()
        default: break
        }
    }

    private static func known<Value>(_ value: Value?, _ name: String) throws(WireError) -> Value {
        guard let value else { throw WireError(.unsupported, "syslog \(name)") }
        return value
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, transport.rawValue)
        writer.string(2, path)
        writer.data(3, address)
        writer.unsigned(4, port)
        writer.unsigned(5, format.rawValue)
        writer.unsigned(6, facility)
        writer.string(7, tag)
        writer.string(8, hostName)
    }
}

/// `apus.shim.v1.JournalTarget`: systemd's journal, which is sent each line of the log.
package struct JournalTarget: ProtobufMessage, Equatable {
    package static let fullName = "apus.shim.v1.JournalTarget"
    /// Of the journal's own protocol.
    package var socketPath = ""
    /// What goes with each line, `NAME=VALUE`.
    package var fields: [String] = []

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: socketPath = try value.string()
        case 2: fields.append(try value.string())
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, socketPath)
        writer.strings(2, fields)
    }
}

/// `apus.shim.v1.JSONFileTarget`: a file beside the log, and those that it was rotated to, with each line as Docker's json-file driver writes it.
package struct JSONFileTarget: ProtobufMessage, Equatable {
    package static let fullName = "apus.shim.v1.JSONFileTarget"
    /// Absolute.
    package var path = ""
    /// What goes with each line, `NAME=VALUE`.
    package var attributes: [String] = []

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: path = try value.string()
        case 2: attributes.append(try value.string())
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, path)
        writer.strings(2, attributes)
    }
}
