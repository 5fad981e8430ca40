package import Protobuf

/// `StateResponse`: one process, as it stands.
package struct StateResponse: ProtobufMessage {
    package static let fullName = "containerd.task.v2.StateResponse"
    package var id = ""
    package var bundle = ""
    package var pid: UInt32 = 0
    package var status = TaskStatus.unknown
    package var stdio = StdioPaths()
    package var exitStatus: UInt32 = 0
    package var exitedAt: ProtobufTimestamp?
    package var execID = ""

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: bundle = try value.string()
        case 3: pid = try value.uint32()
        case 4: status = TaskStatus(rawValue: try value.uint32()) ?? .unknown
        case 5: stdio.stdin = try value.string()
        case 6: stdio.stdout = try value.string()
        case 7: stdio.stderr = try value.string()
        case 8: stdio.terminal = try value.bool()
        case 9: exitStatus = try value.uint32()
        case 10: exitedAt = try value.message()
        case 11: execID = try value.string()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.string(2, bundle)
        writer.unsigned(3, pid)
        writer.unsigned(4, status.rawValue)
        writer.string(5, stdio.stdin)
        writer.string(6, stdio.stdout)
        writer.string(7, stdio.stderr)
        writer.bool(8, stdio.terminal)
        writer.unsigned(9, exitStatus)
        writer.message(10, exitedAt)
        writer.string(11, execID)
    }
}

/// `DeleteResponse`: how a deleted process had ended. The `delete` command prints it, too.
package struct DeleteResponse: ProtobufMessage {
    package static let fullName = "containerd.task.v2.DeleteResponse"
    package var pid: UInt32 = 0
    package var exitStatus: UInt32 = 0
    package var exitedAt: ProtobufTimestamp?

    package init() {}
    package init(pid: UInt32, exitStatus: UInt32, exitedAt: ProtobufTimestamp?) {
        self.pid = pid
        self.exitStatus = exitStatus
        self.exitedAt = exitedAt
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: pid = try value.uint32()
        case 2: exitStatus = try value.uint32()
        case 3: exitedAt = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, pid)
        writer.unsigned(2, exitStatus)
        writer.message(3, exitedAt)
    }
}

/// `WaitResponse`: how a process ended. The call answers when it has.
package struct WaitResponse: ProtobufMessage {
    package static let fullName = "containerd.task.v2.WaitResponse"
    /// 0 to 255; 128 + signal for one that a signal ended.
    package var exitStatus: UInt32 = 0
    package var exitedAt: ProtobufTimestamp?

    package init() {}
    package init(exitStatus: UInt32, exitedAt: ProtobufTimestamp?) {
        self.exitStatus = exitStatus
        self.exitedAt = exitedAt
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: exitStatus = try value.uint32()
        case 2: exitedAt = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, exitStatus)
        writer.message(2, exitedAt)
    }
}

/// One process of a container: `containerd.v1.types.ProcessInfo`.
package struct ProcessInfo: ProtobufMessage {
    package static let fullName = "containerd.v1.types.ProcessInfo"
    /// In the host's pid namespace.
    package var pid: UInt32 = 0
    package var info: ProtobufAny?

    package init() {}
    package init(pid: UInt32) { self.pid = pid }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: pid = try value.uint32()
        case 2: info = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, pid)
        writer.message(2, info)
    }
}

/// `containerd.runc.v1.ProcessDetails`: which exec a process of `PidsResponse` is.
package struct ProcessDetails: ProtobufMessage {
    package static let fullName = "containerd.runc.v1.ProcessDetails"
    package var execID = ""

    package init() {}
    package init(execID: String) { self.execID = execID }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        if number == 1 { execID = try value.string() }
    }

    package func write(to writer: inout ProtobufWriter) { writer.string(1, execID) }
}

/// `PidsResponse`: every process in the container's cgroup.
package struct PidsResponse: ProtobufMessage {
    package static let fullName = "containerd.task.v2.PidsResponse"
    package var processes: [ProcessInfo] = []

    package init() {}
    package init(processes: [ProcessInfo]) { self.processes = processes }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        if number == 1 { processes.append(try value.message()) }
    }

    package func write(to writer: inout ProtobufWriter) { writer.messages(1, processes) }
}

/// `ConnectResponse`: who answers here.
package struct ConnectResponse: ProtobufMessage {
    package static let fullName = "containerd.task.v2.ConnectResponse"
    package var shimPID: UInt32 = 0
    /// 0 before Create.
    package var taskPID: UInt32 = 0
    package var version = ""

    package init() {}
    package init(shimPID: UInt32, taskPID: UInt32, version: String) {
        self.shimPID = shimPID
        self.taskPID = taskPID
        self.version = version
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: shimPID = try value.uint32()
        case 2: taskPID = try value.uint32()
        case 3: version = try value.string()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, shimPID)
        writer.unsigned(2, taskPID)
        writer.string(3, version)
    }
}
