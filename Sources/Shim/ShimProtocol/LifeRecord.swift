package import Protobuf

/// `apus.shim.v1.Life`: what a shim knows that the kernel does not, for the shim that takes its place when it is killed.
package struct LifeRecord: ProtobufMessage {
    package static let fullName = "apus.shim.v1.Life"
    package static let currentVersion: UInt32 = 1
    /// The longest record: 64 changes with the results of five checks, and execs with ids of 255 bytes.
    package static let maximumByteCount = 4 << 20

    package var version = LifeRecord.currentVersion
    /// The container's first process, then execs that were started.
    package var processes: [ProcessRecord] = []
    /// The last changes, the oldest first.
    package var changes: [LifeChange] = []
    package var lastRevision: UInt64 = 0
    package var restarts = RestartRecord()
    /// Processes that were killed for want of memory in this run, and told.
    package var memoryKillCount: UInt64 = 0
    /// Refusals of processes in this run that are told, or belong to one that is; nil where nobody counts them, or an older shim wrote this.
    package var refusalCount: UInt64?
    /// nil where nothing checks it.
    package var health: HealthReport?

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1:
            version = try value.uint32()
            guard version == Self.currentVersion else { throw WireError(.unsupported, "life record version \(version)") }
        case 2: processes.append(try value.message())
        case 3: changes.append(try value.message())
        case 4: lastRevision = try value.uint64()
        case 5: restarts = try value.message()
        case 6: memoryKillCount = try value.uint64()
        case 7: health = try value.message()
        // Without a field 9 they are none.
        case 8: if try value.bool() && refusalCount == nil { refusalCount = 0 }
        case 9: refusalCount = try value.uint64()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, version)
        writer.messages(2, processes)
        writer.messages(3, changes)
        writer.unsigned(4, lastRevision)
        writer.message(5, restarts)
        writer.unsigned(6, memoryKillCount)
        writer.message(7, health)
        writer.bool(8, refusalCount != nil)
        writer.unsigned(9, refusalCount ?? 0)
    }
}

/// `apus.shim.v1.ProcessRecord`: a process that was started, told apart from a later one with the same number.
package struct ProcessRecord: ProtobufMessage {
    package static let fullName = "apus.shim.v1.ProcessRecord"
    /// Empty for the container's first process.
    package var execID = ""
    package var pid: UInt32 = 0
    /// Clock ticks after boot: field 22 of /proc/<pid>/stat; 0 where it had ended too soon to look.
    package var startTimeTicks: UInt64 = 0
    package var startedAt: ProtobufTimestamp?
    /// When it was started, on the monotonic clock, in nanoseconds.
    package var startedMonotonic: UInt64 = 0
    package var terminal = false
    package var openStdin = false
    /// nil while it has not ended.
    package var exit: ExitNotice?
    /// The command of a health check.
    package var isCheck = false
    /// Clients that are attached to it.
    package var attachmentCount: UInt32 = 0

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: execID = try value.string()
        case 2: pid = try value.uint32()
        case 3: startTimeTicks = try value.uint64()
        case 4: startedAt = try value.message()
        case 5: startedMonotonic = try value.uint64()
        case 6: terminal = try value.bool()
        case 7: openStdin = try value.bool()
        case 8: exit = try value.message()
        case 9: isCheck = try value.bool()
        case 10: attachmentCount = try value.uint32()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, execID)
        writer.unsigned(2, pid)
        writer.unsigned(3, startTimeTicks)
        writer.message(4, startedAt)
        writer.unsigned(5, startedMonotonic)
        writer.bool(6, terminal)
        writer.bool(7, openStdin)
        writer.message(8, exit)
        writer.bool(9, isCheck)
        writer.unsigned(10, attachmentCount)
    }
}

/// `apus.shim.v1.RestartRecord`: what became of the restart rule so far.
package struct RestartRecord: ProtobufMessage, Equatable {
    package static let fullName = "apus.shim.v1.RestartRecord"
    package var rule: RestartRule?
    package var count: UInt32 = 0
    /// The last wait, in nanoseconds; 0 where there was none.
    package var delay: UInt64 = 0
    /// The next end is the last.
    package var isOver = false
    /// The first process has ended and is to be started again.
    package var isRestarting = false
    /// The next end is followed by a restart, whatever the rule.
    package var isForced = false
    /// When the restart that is to come begins, on the monotonic clock, in nanoseconds; 0 where none is waited for.
    package var dueMonotonic: UInt64 = 0

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: rule = try value.message()
        case 2: count = try value.uint32()
        case 3: delay = try value.uint64()
        case 4: isOver = try value.bool()
        case 5: isRestarting = try value.bool()
        case 6: isForced = try value.bool()
        case 7: dueMonotonic = try value.uint64()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.message(1, rule)
        writer.unsigned(2, count)
        writer.unsigned(3, delay)
        writer.bool(4, isOver)
        writer.bool(5, isRestarting)
        writer.bool(6, isForced)
        writer.unsigned(7, dueMonotonic)
    }
}
