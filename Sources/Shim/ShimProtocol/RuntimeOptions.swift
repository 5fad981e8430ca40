package import Protobuf

/// `containerd.runc.v1.Options`: what containerd's users set for runtimes of runc's family.
package struct RuncOptions: ProtobufMessage {
    package static let fullName = "containerd.runc.v1.Options"
    package var noPivotRoot = false
    package var noNewKeyring = false
    package var shimCgroup = ""
    package var ioUserID: UInt32 = 0
    package var ioGroupID: UInt32 = 0
    /// The runtime's executable, a name on PATH or a path.
    package var binaryName = ""
    /// The runtime's `--root`, to which the namespace is added.
    package var root = ""
    package var systemdCgroup = false
    /// Where criu's files lie besides the images, of a container that is made from a checkpoint.
    package var criuWorkPath = ""

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: noPivotRoot = try value.bool()
        case 2: noNewKeyring = try value.bool()
        case 3: shimCgroup = try value.string()
        case 4: ioUserID = try value.uint32()
        case 5: ioGroupID = try value.uint32()
        case 6: binaryName = try value.string()
        case 7: root = try value.string()
        case 9: systemdCgroup = try value.bool()
        case 11: criuWorkPath = try value.string()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.bool(1, noPivotRoot)
        writer.bool(2, noNewKeyring)
        writer.string(3, shimCgroup)
        writer.unsigned(4, ioUserID)
        writer.unsigned(5, ioGroupID)
        writer.string(6, binaryName)
        writer.string(7, root)
        writer.bool(9, systemdCgroup)
        writer.string(11, criuWorkPath)
    }
}

/// `apus.shim.v1.Options`: Create's typed options from `apusd`. With them the shim keeps the container's log
/// and its exit record itself, and attach takes the place of FIFOs.
package struct ApusOptions: ProtobufMessage {
    package static let fullName = "apus.shim.v1.Options"
    /// Path or name of the runtime's executable; empty for `apus-runtime` beside the shim, then on PATH.
    package var runtimePath = ""
    /// The runtime's `--root`, as it is; empty for a directory of the shim's own.
    package var runtimeRoot = ""
    package var systemdCgroup = false
    /// The container's log file; empty for none. Older ones lie beside it as `.1`, `.2`.
    package var logPath = ""
    /// Bytes of one log file before the next is begun; 0 for `LogLimits.defaultFileByteCount`.
    package var logFileByteLimit: UInt64 = 0
    /// Log files kept, the current one included; 0 for `LogLimits.defaultFileCount`.
    package var logFileCount: UInt32 = 0
    /// Where the container's `ExitRecord` is written; empty for nowhere.
    package var exitRecordPath = ""
    /// Standard input stays open for attach clients; else it is /dev/null.
    package var openStdin = false
    /// The first attach client that sent input ends it by leaving or by its half-close.
    package var stdinOnce = false
    /// nil: the container is never started again.
    package var restartRule: RestartRule?
    /// nil: nothing is checked.
    package var healthCheck: HealthCheck?
    /// Where the runtime keeps compiled seccomp programs, for all that have the same place; empty for the runtime's own.
    package var filterCachePath = ""
    /// The container's changes are numbered from beyond this on, whatever the clock says.
    package var changesAfter: UInt64 = 0
    /// nil: the payload waits for the log's disk, and nothing is compressed.
    package var logDelivery: LogDelivery?

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: runtimePath = try value.string()
        case 2: runtimeRoot = try value.string()
        case 3: systemdCgroup = try value.bool()
        case 4: logPath = try value.string()
        case 5: logFileByteLimit = try value.uint64()
        case 6: logFileCount = try value.uint32()
        case 7: exitRecordPath = try value.string()
        case 8: openStdin = try value.bool()
        case 9: stdinOnce = try value.bool()
        case 10: restartRule = try value.message()
        case 11: healthCheck = try value.message()
        case 12: filterCachePath = try value.string()
        case 13: changesAfter = try value.uint64()
        case 20: logDelivery = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, runtimePath)
        writer.string(2, runtimeRoot)
        writer.bool(3, systemdCgroup)
        writer.string(4, logPath)
        writer.unsigned(5, logFileByteLimit)
        writer.unsigned(6, logFileCount)
        writer.string(7, exitRecordPath)
        writer.bool(8, openStdin)
        writer.bool(9, stdinOnce)
        writer.message(10, restartRule)
        writer.message(11, healthCheck)
        writer.string(12, filterCachePath)
        writer.unsigned(13, changesAfter)
        writer.message(20, logDelivery)
    }
}

/// `apus.shim.v1.Exec`: an exec's `spec` from `apusd`. Its stdio goes to attach clients, which attach between
/// Exec and Start; output that nobody reads is dropped.
package struct ApusExec: ProtobufMessage {
    package static let fullName = "apus.shim.v1.Exec"
    /// The OCI process document.
    package var processJSON: [UInt8] = []
    /// Standard input is a pipe to the attach client, which ends it; else it is /dev/null.
    package var openStdin = false

    package init() {}
    package init(processJSON: [UInt8], openStdin: Bool) {
        self.processJSON = processJSON
        self.openStdin = openStdin
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: processJSON = try value.bytes()
        case 2: openStdin = try value.bool()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.data(1, processJSON)
        writer.bool(2, openStdin)
    }
}
