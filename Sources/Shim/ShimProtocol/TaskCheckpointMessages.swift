package import Protobuf

/// `CheckpointTaskRequest`: write the container's processes to images.
package struct CheckpointTaskRequest: ProtobufMessage {
    package static let fullName = "containerd.task.v2.CheckpointTaskRequest"
    package var id = ""
    /// The directory of the images.
    package var path = ""
    /// `CheckpointOptions`.
    package var options: ProtobufAny?

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: path = try value.string()
        case 3: options = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.string(2, path)
        writer.message(3, options)
    }
}

/// `containerd.runc.v1.CheckpointOptions`: what a checkpoint may take along, and what becomes of the container.
package struct CheckpointOptions: ProtobufMessage {
    package static let fullName = "containerd.runc.v1.CheckpointOptions"
    /// The container ends with its checkpoint.
    package var exits = false
    package var openTCP = false
    package var externalUnixSockets = false
    package var terminal = false
    package var fileLocks = false
    package var emptyNamespaces: [String] = []
    package var cgroupsMode = ""
    /// Instead of the request's path.
    package var imagePath = ""
    package var workPath = ""

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: exits = try value.bool()
        case 2: openTCP = try value.bool()
        case 3: externalUnixSockets = try value.bool()
        case 4: terminal = try value.bool()
        case 5: fileLocks = try value.bool()
        case 6: emptyNamespaces.append(try value.string())
        case 7: cgroupsMode = try value.string()
        case 8: imagePath = try value.string()
        case 9: workPath = try value.string()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.bool(1, exits)
        writer.bool(2, openTCP)
        writer.bool(3, externalUnixSockets)
        writer.bool(4, terminal)
        writer.bool(5, fileLocks)
        writer.strings(6, emptyNamespaces)
        writer.string(7, cgroupsMode)
        writer.string(8, imagePath)
        writer.string(9, workPath)
    }
}
