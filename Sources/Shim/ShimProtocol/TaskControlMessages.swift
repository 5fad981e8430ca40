package import Protobuf

/// `KillRequest`: a signal to a process, or to all of the container.
package struct KillRequest: ProtobufMessage {
    package static let fullName = "containerd.task.v2.KillRequest"
    package var id = ""
    package var execID = ""
    package var signal: UInt32 = 0
    package var all = false

    package init() {}
    package init(id: String, execID: String = "", signal: UInt32, all: Bool = false) {
        self.id = id
        self.execID = execID
        self.signal = signal
        self.all = all
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: execID = try value.string()
        case 3: signal = try value.uint32()
        case 4: all = try value.bool()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.string(2, execID)
        writer.unsigned(3, signal)
        writer.bool(4, all)
    }
}

/// `ResizePtyRequest`: a new size of a process's terminal, in characters.
package struct ResizePtyRequest: ProtobufMessage {
    package static let fullName = "containerd.task.v2.ResizePtyRequest"
    package var id = ""
    package var execID = ""
    package var width: UInt32 = 0
    package var height: UInt32 = 0

    package init() {}
    package init(id: String, execID: String = "", width: UInt32, height: UInt32) {
        self.id = id
        self.execID = execID
        self.width = width
        self.height = height
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: execID = try value.string()
        case 3: width = try value.uint32()
        case 4: height = try value.uint32()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.string(2, execID)
        writer.unsigned(3, width)
        writer.unsigned(4, height)
    }
}

/// `CloseIORequest`: the end of a process's standard input.
package struct CloseIORequest: ProtobufMessage {
    package static let fullName = "containerd.task.v2.CloseIORequest"
    package var id = ""
    package var execID = ""
    package var stdin = false

    package init() {}
    package init(id: String, execID: String = "", stdin: Bool) {
        self.id = id
        self.execID = execID
        self.stdin = stdin
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: execID = try value.string()
        case 3: stdin = try value.bool()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.string(2, execID)
        writer.bool(3, stdin)
    }
}

/// `ShutdownRequest`: end the shim, when its container is deleted or at once.
package struct ShutdownRequest: ProtobufMessage {
    package static let fullName = "containerd.task.v2.ShutdownRequest"
    package var id = ""
    package var now = false

    package init() {}
    package init(id: String, now: Bool = false) {
        self.id = id
        self.now = now
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: now = try value.bool()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.bool(2, now)
    }
}
