package import Protobuf

/// Methods of Apus's own service, on the same socket as the task service. See docs/shim-protocol.md.
package enum SupervisionMethod: String, CaseIterable, Sendable {
    /// Who is supervised here, and how it stands: `ContainerRequest` to `DescribeResponse`.
    case describe = "Describe"
    /// As the task service's Wait, with all that is known: `ProcessRequest` to `ExitNotice`.
    case waitForExit = "WaitForExit"
    /// Answers once all output read so far is in the log file: `ContainerRequest` to `ProtobufEmpty`.
    case synchronizeLog = "SynchronizeLog"
    /// Removes what was logged so far; output from here on is in the log: `ContainerRequest` to `ProtobufEmpty`.
    case clearLog = "ClearLog"
    /// Stream: `AttachRequest`, then `AttachMessage` both ways.
    case attach = "Attach"
    /// What happened to the container after a revision, once something has: `FollowRequest` to `FollowResponse`.
    case follow = "Follow"
    /// From now on the container is started again by another rule: `SetRestartRuleRequest` to `ProtobufEmpty`.
    case setRestartRule = "SetRestartRule"
    /// How the container is, and its last checks: `ContainerRequest` to `HealthReport`.
    case health = "Health"
    /// The container is wanted no more: its next end is its last. Answers once it is known whether a process runs:
    /// `ContainerRequest` to `ProtobufEmpty`.
    case endRestarts = "EndRestarts"
    /// Stream: `ContainerRequest`, then one `EventEnvelope` for each task event until the client leaves.
    case events = "Events"
    /// Another container of the group is about to be created: `ContainerRequest` to `ProtobufEmpty`.
    case join = "Join"

    /// The service's full name; its version is part of it.
    package static let service = "apus.shim.v1.Shim"
    /// Grows when fields or methods are added in a way that a client must know of; what there is keeps its meaning.
    package static let version: UInt32 = 3
    /// The oldest that is still spoken here.
    package static let oldestVersion: UInt32 = 2
}

/// `apus.shim.v1.ExitNotice`: how a process ended.
package struct ExitNotice: ProtobufMessage {
    package static let fullName = "apus.shim.v1.ExitNotice"
    package var pid: UInt32 = 0
    /// 0 to 255; 128 + signal for one that a signal ended.
    package var exitStatus: UInt32 = 0
    /// The signal that ended it, or 0.
    package var signal: UInt32 = 0
    package var exitedAt: ProtobufTimestamp?
    /// The kernel's OOM killer ended a process of the container before.
    package var oomKilled = false
    /// Nobody could see how it ended: the exit status stands for nothing.
    package var isUnknown = false

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: pid = try value.uint32()
        case 2: exitStatus = try value.uint32()
        case 3: signal = try value.uint32()
        case 4: exitedAt = try value.message()
        case 5: oomKilled = try value.bool()
        case 6: isUnknown = try value.bool()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, pid)
        writer.unsigned(2, exitStatus)
        writer.unsigned(3, signal)
        writer.message(4, exitedAt)
        writer.bool(5, oomKilled)
        writer.bool(6, isUnknown)
    }
}

/// `apus.shim.v1.ProcessDescription`: one process that the shim knows.
package struct ProcessDescription: ProtobufMessage {
    package static let fullName = "apus.shim.v1.ProcessDescription"
    /// Empty for the container's first process.
    package var execID = ""
    package var pid: UInt32 = 0
    package var status = TaskStatus.unknown
    package var startedAt: ProtobufTimestamp?
    /// nil while it has not ended.
    package var exit: ExitNotice?
    /// It has ended, which is told when its output is copied and the record is written.
    package var isEnding = false

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: execID = try value.string()
        case 2: pid = try value.uint32()
        case 3: status = TaskStatus(rawValue: try value.uint32()) ?? .unknown
        case 4: startedAt = try value.message()
        case 5: exit = try value.message()
        case 6: isEnding = try value.bool()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, execID)
        writer.unsigned(2, pid)
        writer.unsigned(3, status.rawValue)
        writer.message(4, startedAt)
        writer.message(5, exit)
        writer.bool(6, isEnding)
    }
}

/// `apus.shim.v1.DescribeResponse`: what a daemon that comes back asks first.
package struct DescribeResponse: ProtobufMessage {
    package static let fullName = "apus.shim.v1.DescribeResponse"
    /// 0 when the shim does not say, which is no version at all.
    package var protocolVersion: UInt32 = 0
    package var shimPID: UInt32 = 0
    package var id = ""
    /// Empty before Create.
    package var bundle = ""
    /// The first process, then execs in the order of their making; none before Create.
    package var processes: [ProcessDescription] = []
    /// Bytes of output that could not be logged because the log's disk refused or stalled.
    package var logBytesDropped: UInt64 = 0
    /// The last changes, the oldest first; none while nothing was started.
    package var changes: [LifeChange] = []

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: protocolVersion = try value.uint32()
        case 2: shimPID = try value.uint32()
        case 3: id = try value.string()
        case 4: bundle = try value.string()
        case 5: processes.append(try value.message())
        case 6: logBytesDropped = try value.uint64()
        case 7: changes.append(try value.message())
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, protocolVersion)
        writer.unsigned(2, shimPID)
        writer.string(3, id)
        writer.string(4, bundle)
        writer.messages(5, processes)
        writer.unsigned(6, logBytesDropped)
        writer.messages(7, changes)
    }
}
