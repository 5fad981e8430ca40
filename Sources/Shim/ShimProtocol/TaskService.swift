package import Protobuf

/// Methods of containerd's task service, which the shim serves to containerd and to `apusd` alike.
/// Versions 2 and 3 have the same methods and messages under other names.
/// - Spec: containerd api/runtime/task/v2/shim.proto, api/runtime/task/v3/shim.proto.
package enum TaskMethod: String, CaseIterable, Sendable {
    case state = "State"
    case create = "Create"
    case start = "Start"
    case delete = "Delete"
    case pids = "Pids"
    case pause = "Pause"
    case resume = "Resume"
    case checkpoint = "Checkpoint"
    case kill = "Kill"
    case exec = "Exec"
    case resizePty = "ResizePty"
    case closeIO = "CloseIO"
    case update = "Update"
    case wait = "Wait"
    case stats = "Stats"
    case connect = "Connect"
    case shutdown = "Shutdown"

    /// The service's full name, first part of the request: the one that `apusd` calls.
    package static let service = "containerd.task.v2.Task"
    /// All under which it is served.
    package static let services: Set = [service, "containerd.task.v3.Task"]
}

/// Where a process is in its life, as containerd counts it.
package enum TaskStatus: UInt32, Sendable {
    case unknown = 0
    case created = 1
    case running = 2
    case stopped = 3
    case paused = 4
    case pausing = 5
}

/// A request about the container: Pids, Pause, Resume, Stats, Connect.
package struct ContainerRequest: ProtobufMessage {
    package static let fullName = "containerd.task.v2.ContainerRequest"
    package var id = ""

    package init() {}
    package init(id: String) { self.id = id }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        if number == 1 { id = try value.string() }
    }

    package func write(to writer: inout ProtobufWriter) { writer.string(1, id) }
}

/// A request about one process: State, Start, Delete, Wait.
package struct ProcessRequest: ProtobufMessage {
    package static let fullName = "containerd.task.v2.ProcessRequest"
    package var id = ""
    /// Empty for the container's first process.
    package var execID = ""

    package init() {}
    package init(id: String, execID: String = "") {
        self.id = id
        self.execID = execID
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: execID = try value.string()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.string(2, execID)
    }
}

/// An answer that is a process id: Create, Start.
package struct ProcessIDResponse: ProtobufMessage {
    package static let fullName = "containerd.task.v2.ProcessIDResponse"
    package var pid: UInt32 = 0

    package init() {}
    package init(pid: UInt32) { self.pid = pid }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        if number == 1 { pid = try value.uint32() }
    }

    package func write(to writer: inout ProtobufWriter) { writer.unsigned(1, pid) }
}
