internal import LinuxSyscalls
internal import ShimProtocol
internal import Synchronization

extension DiskThread.Job {
    /// What a piece of output takes in memory beside its bytes, however short it is.
    private static let overheadByteCount = 64

    var outputByteCount: Int {
        if case .output(_, _, let byteCount) = self { byteCount + Self.overheadByteCount } else { 0 }
    }
}

/// A job on its way to the disk.
struct QueuedJob: Sendable {
    let number: UInt64
    let job: DiskThread.Job
    /// Whether somebody waits for its end.
    let reports: Bool
}

/// A job that somebody waits for, done.
struct FinishedJob: Sendable {
    let number: UInt64
    let problem: String?
}

/// What the loop's thread and the disk's both see: jobs one way, and what came of them the other.
final class DiskQueue: Sendable {
    struct State: Sendable {
        var jobs: [QueuedJob] = []
        var queuedByteCount = 0
        var finished: [FinishedJob] = []
        var droppedByteCount: UInt64 = 0
        /// What is no more in the spools, and what stays there although it is in the log.
        var givenBack = StreamCounts()
        var keptByteCount: UInt64 = 0
        var rotated: [UInt64] = []
        /// There while lines go to a server.
        var forwarder: LogForwarder?
    }

    let state = Mutex(State())
    /// Raised by the loop.
    let work: EventCounter
    /// Raised by the writer.
    let done: EventCounter

    init() throws(SyscallError) {
        work = try EventCounter(blocking: true)
        done = try EventCounter(blocking: false)
    }
}
