package import Protobuf

/// `apus.shim.v1.RestartRule`: when the shim starts a container again whose first process has ended.
package struct RestartRule: ProtobufMessage, Equatable {
    /// What decides.
    package enum Kind: UInt32, Sendable {
        case never = 0
        /// After an exit status other than 0.
        case onFailure = 1
        case always = 2
        /// As `always`, but for a daemon that begins: it leaves alone what somebody stopped.
        case unlessStopped = 3
    }

    package static let fullName = "apus.shim.v1.RestartRule"
    package var kind = Kind.never
    /// Restarts of `onFailure`; 0 for as many as it takes.
    package var maximumCount: UInt32 = 0

    package init() {}
    package init(_ kind: Kind, maximumCount: UInt32 = 0) {
        self.kind = kind
        self.maximumCount = maximumCount
    }

    /// Whether an end with this status, after so many restarts, is followed by another one.
    package func wantsRestart(afterStatus exitStatus: UInt32, restartCount: UInt32) -> Bool {
        switch kind {
        case .never: false
        case .onFailure: exitStatus != 0 && (maximumCount == 0 || restartCount < maximumCount)
        case .always, .unlessStopped: true
        }
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1:
            let number = try value.uint32()
            guard let kind = Kind(rawValue: number) else { throw WireError(.unsupported, "restart rule of kind \(number)") }
            self.kind = kind
        case 2: maximumCount = try value.uint32()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, kind.rawValue)
        writer.unsigned(2, maximumCount)
    }
}

/// `apus.shim.v1.SetRestartRule`: another rule for a container that is there.
package struct SetRestartRuleRequest: ProtobufMessage {
    package static let fullName = "apus.shim.v1.SetRestartRuleRequest"
    package var id = ""
    package var rule: RestartRule?

    package init() {}
    package init(id: String, rule: RestartRule) {
        self.id = id
        self.rule = rule
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: rule = try value.message()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.message(2, rule)
    }
}

/// `apus.shim.v1.LifeChange`: something that happened to the container, in the order in which it did.
package struct LifeChange: ProtobufMessage, Equatable {
    /// What happened.
    package enum Kind: UInt32, Sendable {
        /// Of a later version.
        case unknown = 0
        /// The first process runs: `pid`.
        case started = 1
        /// It ended, for good: `exit`.
        case ended = 2
        /// It ended and will be started again: `exit`.
        case restarting = 3
        /// It will not be started again after all: somebody wants it no more, or `problem` kept it from it.
        case givenUp = 4
        /// The kernel killed one of its processes, the first or another, for want of memory.
        case outOfMemory = 5
        /// Its health is another one: `health`.
        case health = 6
        /// A health check's command was started: `execID`.
        case checkStarted = 7
        /// It ended: `execID`, `exit`.
        case checkEnded = 8
        /// It was refused a process, having as many as it may.
        case processLimit = 9
    }

    package static let fullName = "apus.shim.v1.LifeChange"
    /// Grows from change to change, and from one run and shim of a container to the next.
    package var revision: UInt64 = 0
    package var kind = Kind.unknown
    package var at: ProtobufTimestamp?
    package var pid: UInt32 = 0
    package var exit: ExitNotice?
    /// Restarts so far, the coming one included.
    package var restartCount: UInt32 = 0
    /// The runtime's words.
    package var problem = ""
    /// With an end and with `health`, of a container that is checked.
    package var health: HealthReport?
    /// Of a check's command.
    package var execID = ""

    package init() {}
    package init(_ kind: Kind) { self.kind = kind }

    /// Whether the container's process began or ended with it.
    package var isTurn: Bool {
        switch kind {
        case .started, .ended, .restarting, .givenUp: true
        case .unknown, .outOfMemory, .health, .checkStarted, .checkEnded, .processLimit: false
        }
    }

    /// Whether it is about one health check.
    package var isOfCheck: Bool { kind == .checkStarted || kind == .checkEnded }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: revision = try value.uint64()
        case 2: kind = Kind(rawValue: try value.uint32()) ?? .unknown
        case 3: at = try value.message()
        case 4: pid = try value.uint32()
        case 5: exit = try value.message()
        case 6: restartCount = try value.uint32()
        case 7: problem = try value.string()
        case 8: health = try value.message()
        case 9: execID = try value.string()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.unsigned(1, revision)
        writer.unsigned(2, kind.rawValue)
        writer.message(3, at)
        writer.unsigned(4, pid)
        writer.message(5, exit)
        writer.unsigned(6, restartCount)
        writer.string(7, problem)
        writer.message(8, health)
        writer.string(9, execID)
    }
}

/// `apus.shim.v1.FollowRequest`: what happened after a revision; answered once something has.
package struct FollowRequest: ProtobufMessage {
    package static let fullName = "apus.shim.v1.FollowRequest"
    package var id = ""
    package var after: UInt64 = 0

    package init() {}
    package init(id: String, after: UInt64) {
        self.id = id
        self.after = after
    }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        switch number {
        case 1: id = try value.string()
        case 2: after = try value.uint64()
        default: break
        }
    }

    package func write(to writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.unsigned(2, after)
    }
}

/// `apus.shim.v1.FollowResponse`.
package struct FollowResponse: ProtobufMessage {
    package static let fullName = "apus.shim.v1.FollowResponse"
    /// The oldest first.
    package var changes: [LifeChange] = []

    package init() {}
    package init(changes: [LifeChange]) { self.changes = changes }

    package mutating func setField(_ number: Int, to value: ProtobufField) throws(WireError) {
        if number == 1 { changes.append(try value.message()) }
    }

    package func write(to writer: inout ProtobufWriter) { writer.messages(1, changes) }
}
