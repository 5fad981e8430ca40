package import Protobuf

/// `apus.shim.v1.HealthCheck`: how the shim finds out whether the container is well. Spans are nanoseconds.
package struct HealthCheck: ProtobufMessage {
    /// What is done to a container that becomes unhealthy.
    package enum FailureAction: UInt32, Sendable {
        case nothing = 0
        /// SIGKILL; what comes then is the restart rule's affair.
        case kill = 1
        /// Stopped, and started again whatever the rule.
        case restart = 2
        /// Stopped, and not started again.
        case stop = 3
    }

    package static let fullName = "apus.shim.v1.HealthCheck"
    /// The OCI process document of the command; empty with a `probe`.
    package var processJSON: [UInt8] = []
    /// A `NativeProbe` in words; empty with a command.
    package var probe = ""
    package var interval: UInt64 = 0
    package var timeout: UInt64 = 0
    /// Failures within it, before the first success, do not count.
    package var startPeriod: UInt64 = 0
    /// In place of `interval` within the start period, before the first success.
    package var startInterval: UInt64 = 0
    /// Failures in a row that make the container unhealthy.
    package var retries: UInt32 = 0
    package var action = FailureAction.nothing
    /// For `restart` and `stop`.
    package var stopSignal: UInt32 = 0
    /// How long the stop signal may take before SIGKILL.
    package var stopTimeout: UInt64 = 0
    /// The last checks of the run before, the oldest first: still to be seen.
    package var formerResults: [HealthResult] = []

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: processJSON = try value.bytes()
        case 2: probe = try value.string()
        case 3: interval = try value.uint64()
        case 4: timeout = try value.uint64()
        case 5: startPeriod = try value.uint64()
        case 6: startInterval = try value.uint64()
        case 7: retries = try value.uint32()
        case 8:
            let number = try value.uint32()
            guard let action = FailureAction(rawValue: number) else { throw WireError(.unsupported, "health action \(number)") }
            self.action = action
        case 9: stopSignal = try value.uint32()
        case 10: stopTimeout = try value.uint64()
        case 11: formerResults.append(try value.message())
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.data(1, processJSON)
        writer.string(2, probe)
        writer.unsigned(3, interval)
        writer.unsigned(4, timeout)
        writer.unsigned(5, startPeriod)
        writer.unsigned(6, startInterval)
        writer.unsigned(7, retries)
        writer.unsigned(8, action.rawValue)
        writer.unsigned(9, stopSignal)
        writer.unsigned(10, stopTimeout)
        writer.messages(11, formerResults)
    }
}

/// `apus.shim.v1.HealthResult`: one check.
package struct HealthResult: ProtobufMessage {
    package static let fullName = "apus.shim.v1.HealthResult"
    /// The most that is kept of what a check wrote.
    package static let maximumOutputByteCount = 4096

    package var start: ProtobufTimestamp?
    package var end: ProtobufTimestamp?
    /// 0 is well; -1 where the check did not end by itself.
    package var exitCode: Int32 = 0
    package var output: [UInt8] = []

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: start = try value.message()
        case 2: end = try value.message()
        case 3: exitCode = try value.int32()
        case 4: output = try value.bytes()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.message(1, start)
        writer.message(2, end)
        writer.signed(3, exitCode)
        writer.data(4, output)
    }
}

/// `apus.shim.v1.HealthReport`: how the container is, and the last checks.
package struct HealthReport: ProtobufMessage {
    /// In a word.
    package enum Status: UInt32, Sendable {
        case unknown = 0
        /// No check has succeeded yet, and not enough have failed.
        case starting = 1
        case healthy = 2
        case unhealthy = 3
    }

    package static let fullName = "apus.shim.v1.HealthReport"
    package var status = Status.unknown
    /// Failures in a row.
    package var failingStreak: UInt32 = 0
    /// The last ones, the oldest first.
    package var results: [HealthResult] = []

    package init() {}

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: status = Status(rawValue: try value.uint32()) ?? .unknown
        case 2: failingStreak = try value.uint32()
        case 3: results.append(try value.message())
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, status.rawValue)
        writer.unsigned(2, failingStreak)
        writer.messages(3, results)
    }
}
