package import Protobuf

/// `containerd.linux.runc.CreateOptions`: what the client library of containerd 1.x sets for runtimes whose name is not of runc's family.
/// - Source: containerd v1.7, runtime/linux/runctypes/runc.proto; task_opts_unix.go.
package struct LegacyCreateOptions: ProtobufMessage {
    package static let fullName = "containerd.linux.runc.CreateOptions"
    package var noPivotRoot = false
    package var noNewKeyring = false
    package var shimCgroup = ""
    package var criuWorkPath = ""

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: noPivotRoot = try value.bool()
        case 8: noNewKeyring = try value.bool()
        case 9: shimCgroup = try value.string()
        case 12: criuWorkPath = try value.string()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.bool(1, noPivotRoot)
        writer.bool(8, noNewKeyring)
        writer.string(9, shimCgroup)
        writer.string(12, criuWorkPath)
    }

    /// The same in runc's words of today.
    package var current: RuncOptions {
        var options = RuncOptions()
        options.noPivotRoot = noPivotRoot
        options.noNewKeyring = noNewKeyring
        options.shimCgroup = shimCgroup
        options.criuWorkPath = criuWorkPath
        return options
    }
}

/// `containerd.linux.runc.CheckpointOptions`, from the same clients: those of today with two numbers exchanged.
package struct LegacyCheckpointOptions: ProtobufMessage {
    package static let fullName = "containerd.linux.runc.CheckpointOptions"
    /// The same in runc's words of today.
    package var current = CheckpointOptions()
    private static let exchanged = [8: 9, 9: 8]

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        try current.setField(Self.exchanged[number] ?? number, to: value)
    }

    package func write(to writer: inout ProtobufWriter) {
        var exchanged = current
        (exchanged.imagePath, exchanged.workPath) = (current.workPath, current.imagePath)
        exchanged.write(to: &writer)
    }
}

extension RuncOptions {
    /// The options, whichever of both messages they are; nil for another one.
    package init?(_ any: ProtobufAny) throws(WireError) {
        if let options = try any.unwrap(RuncOptions.self) {
            self = options
        } else if let options = try any.unwrap(LegacyCreateOptions.self) {
            self = options.current
        } else {
            return nil
        }
    }
}

extension CheckpointOptions {
    /// The options, whichever of both messages they are; nil for another one.
    package init?(_ any: ProtobufAny) throws(WireError) {
        if let options = try any.unwrap(CheckpointOptions.self) {
            self = options
        } else if let options = try any.unwrap(LegacyCheckpointOptions.self) {
            self = options.current
        } else {
            return nil
        }
    }
}
