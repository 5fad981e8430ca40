package import JSON
package import Protobuf

/// `BootstrapParams`: what containerd from 2.3 on tells `start` on its standard input. Older ones give the runtime's options there.
/// - Spec: containerd api/runtime/bootstrap/v1/bootstrap.proto.
package struct BootstrapParameters: ProtobufMessage {
    package static let fullName = "containerd.runtime.bootstrap.v1.BootstrapParams"
    package var instanceID = ""
    package var namespace = ""
    package var containerdVersion = ""
    /// Where events go.
    package var eventsAddress = ""
    package var containerdAddress = ""
    /// The runtime's options, and what else containerd has to say.
    package var extensions: [ProtobufAny] = []

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: instanceID = try value.string()
        case 2: namespace = try value.string()
        case 4: containerdVersion = try value.string()
        case 5: eventsAddress = try value.string()
        case 6: containerdAddress = try value.string()
        case 8: if let extended = try value.message(BootstrapExtension.self).value { extensions.append(extended) }
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, instanceID)
        writer.string(2, namespace)
        writer.string(4, containerdVersion)
        writer.string(5, eventsAddress)
        writer.string(6, containerdAddress)
        writer.messages(8, extensions.map(BootstrapExtension.init))
    }
}

/// `containerd.runtime.bootstrap.v1.Extension`.
private struct BootstrapExtension: ProtobufMessage {
    static let fullName = "containerd.runtime.bootstrap.v1.Extension"
    var value: ProtobufAny?

    init() {}
    init(_ value: ProtobufAny) { self.value = value }

    mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        if number == 1 { self.value = try value.message() }
    }

    func write(to writer: inout ProtobufWriter) { writer.message(1, value) }
}

/// `BootstrapResult`: where a shim is to be spoken to, and how.
package struct BootstrapResult: ProtobufMessage {
    package static let fullName = "containerd.runtime.bootstrap.v1.BootstrapResult"
    /// Of the task service: the newest that is served here.
    package static let newestVersion: Int32 = 3

    package var version = BootstrapResult.newestVersion
    package var address = ""
    package var transport = "ttrpc"

    package init() {}
    package init(address: String) { self.address = address }

    /// Reads what containerd's own shim prints from 2.0 on.
    package init(json text: [UInt8]) throws(JSONError) {
        var reader = try JSONReader(text)
        try reader.readObject { reader, name throws(JSONError) in
            switch name {
            case "version": version = try reader.readInteger()
            case "address": address = try reader.readString()
            case "protocol": transport = try reader.readString()
            default: try reader.skipValue()
            }
        }
    }

    /// As containerd from 2.0 on reads it, too.
    package var json: [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("version", version)
            writer.member("address", address)
            writer.member("protocol", transport)
        }
        return writer.bytes
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: version = try value.int32()
        case 2: address = try value.string()
        case 3: transport = try value.string()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.signed(1, version)
        writer.string(2, address)
        writer.string(3, transport)
    }
}

/// `containerd.types.RuntimeInfo`: what `-info` prints about the shim and its runtime.
package struct RuntimeInformation: ProtobufMessage {
    package static let fullName = "containerd.types.RuntimeInfo"
    /// The runtime specification's features document under containerd's name for it.
    package static func features(_ json: [UInt8]) -> ProtobufAny {
        ProtobufAny(typeURL: "types.containerd.io/opencontainers/runtime-spec/1/features/Features", value: json)
    }

    package var name = ""
    package var version = RuntimeVersion()
    package var options: ProtobufAny?
    package var features: ProtobufAny?

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: name = try value.string()
        case 2: version = try value.message()
        case 3: options = try value.message()
        case 4: features = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, name)
        writer.message(2, version)
        writer.message(3, options)
        writer.message(4, features)
    }
}

/// `containerd.types.RuntimeVersion`.
package struct RuntimeVersion: ProtobufMessage {
    package static let fullName = "containerd.types.RuntimeVersion"
    package var version = ""

    package init() {}
    package init(_ version: String) { self.version = version }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        if number == 1 { version = try value.string() }
    }

    package func write(to writer: inout ProtobufWriter) { writer.string(1, version) }
}
