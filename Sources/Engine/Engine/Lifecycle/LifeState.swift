internal import CoreTypes
internal import ShimProtocol

/// Where in its life a container is, with what it holds there.
enum LifeState: Sendable {
    /// Never started, or its start failed.
    case created
    /// Between the wish and the first instruction; settles when that is decided.
    case starting(OneShot<Void>)
    case running(RunningTask)
    /// Held where it is.
    case paused(RunningTask)
    /// Its process has ended, and the shim is about to start it again.
    case restarting(RunningTask)
    /// Asked to end.
    case stopping(RunningTask)
    /// The process has ended; what it leaves is being taken away.
    case exiting(RunningTask)
    case exited
    case removing
    /// A removal failed half way; only another removal helps.
    case dead

    /// The task, while its process may run.
    var runningTask: RunningTask? {
        switch self {
        case .running(let task), .paused(let task), .stopping(let task): task
        case .created, .starting, .restarting, .exiting, .exited, .removing, .dead: nil
        }
    }

    /// The task, while its shim looks after a process or is to start one again.
    var supervisedTask: RunningTask? { if case .restarting(let task) = self { task } else { runningTask } }

    /// The phase that a record of this moment says.
    var phase: ContainerDocument.Phase {
        switch self {
        case .created, .starting: .created
        case .running, .paused, .restarting, .stopping, .exiting: .running
        case .exited: .exited
        case .removing: .removing
        case .dead: .dead
        }
    }

    /// Whether no process runs, or is about to.
    var isAtRest: Bool {
        switch self {
        case .created, .exited: true
        case .starting, .running, .paused, .restarting, .stopping, .exiting, .removing, .dead: false
        }
    }

    var isPaused: Bool { if case .paused = self { true } else { false } }

    var isRestarting: Bool { if case .restarting = self { true } else { false } }

    /// Docker's word.
    var status: String { isPaused ? "paused" : isRestarting ? "restarting" : phase.rawValue }
}

/// A container's process and the shim that looks after it.
struct RunningTask: Sendable {
    let shim: ShimClient
    let pid: UInt32
    let startedAt: Timestamp
    /// Settles when the container is `exited`.
    let settled: OneShot<Void>
}

/// How a container's first process ended.
struct TaskEnd: Equatable, Sendable {
    var exitCode: Int
    var finishedAt: Timestamp
    var oomKilled: Bool
    /// What is wrong with how this was learned; empty as a rule.
    var error = ""

    init(exitCode: Int, finishedAt: Timestamp, oomKilled: Bool, error: String = "") {
        self.exitCode = exitCode
        self.finishedAt = finishedAt
        self.oomKilled = oomKilled
        self.error = error
    }

    /// Nothing says how.
    static var unknown: TaskEnd { TaskEnd(exitCode: 255, finishedAt: .now, oomKilled: false, error: "status unknown") }
    /// The shim was killed, and the process ended before another one could look.
    static var lost: TaskEnd { TaskEnd(exitCode: 255, finishedAt: .now, oomKilled: false, error: lostWords) }
    private static let lostWords = "status unknown: supervisor lost"

    init(_ notice: ExitNotice) {
        self.init(
            exitCode: Int(notice.exitStatus), finishedAt: Timestamp(unixNanoseconds: notice.exitedAt?.unixNanoseconds ?? 0),
            oomKilled: notice.oomKilled, error: notice.isUnknown ? Self.lostWords : "")
    }

    init(_ record: ExitRecord) {
        self.init(
            exitCode: Int(record.exitCode), finishedAt: Timestamp(unixNanoseconds: record.exitedAtUnixNanoseconds),
            oomKilled: record.oomKilled, error: record.isUnknown ? Self.lostWords : "")
    }
}

extension Timestamp {
    /// A moment as the kernel and the shims count it.
    init(unixNanoseconds: Int64) {
        let (seconds, nanoseconds) = unixNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        self.init(seconds: seconds, nanoseconds: Int32(nanoseconds))
    }

    /// The seconds up to a later moment that are over; 0 where it is not later.
    func wholeSeconds(until end: Timestamp) -> Int64 {
        max(0, end.seconds - seconds - (end.nanoseconds < nanoseconds ? 1 : 0))
    }

    /// Nanoseconds since 1970; nil for a moment that Docker means as "never", or that is too far away.
    var unixNanoseconds: Int64? {
        let (whole, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflows ? nil : whole + Int64(nanoseconds)
    }
}
