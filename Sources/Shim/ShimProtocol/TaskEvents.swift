package import Protobuf

/// A task event with containerd's topic for it.
/// - Spec: containerd api/events/task.proto, core/runtime/events.go.
package enum TaskEvent: Equatable, Sendable {
    case create(TaskCreateEvent)
    case start(TaskProcessEvent)
    case exit(TaskExitEvent)
    case delete(TaskExitEvent)
    case outOfMemory(containerID: String)
    case execAdded(TaskProcessEvent)
    case execStarted(TaskProcessEvent)
    case paused(containerID: String)
    case resumed(containerID: String)
    case checkpointed(containerID: String, path: String)

    /// What subscribers select by.
    package var topic: String {
        switch self {
        case .create: "/tasks/create"
        case .start: "/tasks/start"
        case .exit: "/tasks/exit"
        case .delete: "/tasks/delete"
        case .outOfMemory: "/tasks/oom"
        case .execAdded: "/tasks/exec-added"
        case .execStarted: "/tasks/exec-started"
        case .paused: "/tasks/paused"
        case .resumed: "/tasks/resumed"
        case .checkpointed: "/tasks/checkpointed"
        }
    }

    /// The event as its message; containerd's messages of one shape differ in field numbers, which is why
    /// each is spelled here.
    package var packed: ProtobufAny {
        var writer = ProtobufWriter()
        switch self {
        case .create(let event):
            return ProtobufAny(wrapping: event)
        case .start(let event):
            writer.string(1, event.containerID)
            writer.unsigned(2, event.pid)
        case .exit(let event):
            writer.string(1, event.containerID)
            writer.string(2, event.processID)
            writer.unsigned(3, event.pid)
            writer.unsigned(4, event.exitStatus)
            writer.message(5, event.exitedAt)
        case .delete(let event):
            writer.string(1, event.containerID)
            writer.unsigned(2, event.pid)
            writer.unsigned(3, event.exitStatus)
            writer.message(4, event.exitedAt)
            // The first process is named by absence here, and by the container's id in TaskExit.
            writer.string(5, event.processID == event.containerID ? "" : event.processID)
        case .outOfMemory(let id), .paused(let id), .resumed(let id):
            writer.string(1, id)
        case .checkpointed(let id, let path):
            writer.string(1, id)
            writer.string(2, path)
        case .execAdded(let event):
            writer.string(1, event.containerID)
            writer.string(2, event.execID)
        case .execStarted(let event):
            writer.string(1, event.containerID)
            writer.string(2, event.execID)
            writer.unsigned(3, event.pid)
        }
        return ProtobufAny(typeURL: messageName, value: writer.bytes)
    }

    private var messageName: String {
        switch self {
        case .create: TaskCreateEvent.fullName
        case .start: "containerd.events.TaskStart"
        case .exit: "containerd.events.TaskExit"
        case .delete: "containerd.events.TaskDelete"
        case .outOfMemory: "containerd.events.TaskOOM"
        case .execAdded: "containerd.events.TaskExecAdded"
        case .execStarted: "containerd.events.TaskExecStarted"
        case .paused: "containerd.events.TaskPaused"
        case .resumed: "containerd.events.TaskResumed"
        case .checkpointed: "containerd.events.TaskCheckpointed"
        }
    }
}

/// `TaskCreate`: the container stands, its first instruction still to come.
package struct TaskCreateEvent: ProtobufMessage {
    package static let fullName = "containerd.events.TaskCreate"
    package var containerID = ""
    package var bundle = ""
    package var rootfs: [RootMount] = []
    package var stdio = StdioPaths()
    /// The images that its processes will be restored from.
    package var checkpoint = ""
    package var pid: UInt32 = 0

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: containerID = try value.string()
        case 2: bundle = try value.string()
        case 3: rootfs.append(try value.message())
        case 4: stdio = try value.message(TaskIO.self).paths
        case 5: checkpoint = try value.string()
        case 6: pid = try value.uint32()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, containerID)
        writer.string(2, bundle)
        writer.messages(3, rootfs)
        writer.message(4, TaskIO(paths: stdio))
        writer.string(5, checkpoint)
        writer.unsigned(6, pid)
    }
}

/// `containerd.events.TaskIO`: the stdio paths as a message of their own.
private struct TaskIO: ProtobufMessage {
    static let fullName = "containerd.events.TaskIO"
    var paths = StdioPaths()

    init() {}
    init(paths: StdioPaths) { self.paths = paths }

    mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: paths.stdin = try value.string()
        case 2: paths.stdout = try value.string()
        case 3: paths.stderr = try value.string()
        case 4: paths.terminal = try value.bool()
        default: break
        }
    }

    func write(to writer: inout ProtobufWriter) {
        writer.string(1, paths.stdin)
        writer.string(2, paths.stdout)
        writer.string(3, paths.stderr)
        writer.bool(4, paths.terminal)
    }
}

/// What `TaskStart`, `TaskExecAdded` and `TaskExecStarted` say.
package struct TaskProcessEvent: Equatable, Sendable {
    package var containerID: String
    package var execID: String
    package var pid: UInt32

    package init(containerID: String, execID: String = "", pid: UInt32 = 0) {
        self.containerID = containerID
        self.execID = execID
        self.pid = pid
    }
}

/// What `TaskExit` and `TaskDelete` say.
package struct TaskExitEvent: Equatable, Sendable {
    package var containerID: String
    /// The exec's id; the container's own for its first process.
    package var processID: String
    package var pid: UInt32
    package var exitStatus: UInt32
    package var exitedAt: ProtobufTimestamp?

    package init(containerID: String, processID: String, pid: UInt32, exitStatus: UInt32, exitedAt: ProtobufTimestamp?) {
        self.containerID = containerID
        self.processID = processID
        self.pid = pid
        self.exitStatus = exitStatus
        self.exitedAt = exitedAt
    }
}
