package import Protobuf

/// A mount of the container's root file system that the shim performs: `containerd.types.Mount`.
package struct RootMount: ProtobufMessage {
    package static let fullName = "containerd.types.Mount"
    /// File system, `overlay` or `bind`.
    package var type = ""
    package var source = ""
    /// Below the bundle's `rootfs`; empty is `rootfs` itself.
    package var target = ""
    /// As in fstab(5).
    package var options: [String] = []

    package init() {}
    package init(type: String, source: String, target: String = "", options: [String]) {
        self.type = type
        self.source = source
        self.target = target
        self.options = options
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: type = try value.string()
        case 2: source = try value.string()
        case 3: target = try value.string()
        case 4: options.append(try value.string())
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, type)
        writer.string(2, source)
        writer.string(3, target)
        writer.strings(4, options)
    }
}

/// Paths of the FIFOs that a process's stdio is copied to and from; empty means none.
package struct StdioPaths: Equatable, Sendable {
    package var terminal = false
    package var stdin = ""
    package var stdout = ""
    package var stderr = ""

    package init() {}
    package init(terminal: Bool) { self.terminal = terminal }
}

/// `CreateTaskRequest`: make the container of a bundle, up to its first instruction.
package struct CreateTaskRequest: ProtobufMessage {
    package static let fullName = "containerd.task.v2.CreateTaskRequest"
    package var id = ""
    /// Directory with config.json and rootfs.
    package var bundle = ""
    package var rootfs: [RootMount] = []
    package var stdio = StdioPaths()
    package var checkpoint = ""
    package var parentCheckpoint = ""
    /// `RuncOptions` from containerd, `ApusOptions` from `apusd`.
    package var options: ProtobufAny?

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: bundle = try value.string()
        case 3: rootfs.append(try value.message())
        case 4: stdio.terminal = try value.bool()
        case 5: stdio.stdin = try value.string()
        case 6: stdio.stdout = try value.string()
        case 7: stdio.stderr = try value.string()
        case 8: checkpoint = try value.string()
        case 9: parentCheckpoint = try value.string()
        case 10: options = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.string(2, bundle)
        writer.messages(3, rootfs)
        writer.bool(4, stdio.terminal)
        writer.string(5, stdio.stdin)
        writer.string(6, stdio.stdout)
        writer.string(7, stdio.stderr)
        writer.string(8, checkpoint)
        writer.string(9, parentCheckpoint)
        writer.message(10, options)
    }
}

/// `ExecProcessRequest`: note a further process; Start runs it.
package struct ExecProcessRequest: ProtobufMessage {
    package static let fullName = "containerd.task.v2.ExecProcessRequest"
    package var id = ""
    package var execID = ""
    package var stdio = StdioPaths()
    /// The OCI process document: JSON from containerd, `ApusExec` from `apusd`.
    package var spec: ProtobufAny?

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: execID = try value.string()
        case 3: stdio.terminal = try value.bool()
        case 4: stdio.stdin = try value.string()
        case 5: stdio.stdout = try value.string()
        case 6: stdio.stderr = try value.string()
        case 7: spec = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.string(2, execID)
        writer.bool(3, stdio.terminal)
        writer.string(4, stdio.stdin)
        writer.string(5, stdio.stdout)
        writer.string(6, stdio.stderr)
        writer.message(7, spec)
    }
}
