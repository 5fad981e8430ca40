internal import LinuxSyscalls
internal import ShimProtocol
internal import Synchronization
internal import SystemPackage

/// All writing to disk, on a thread of its own: a stalled disk holds up nothing but the log.
final class DiskThread {
    /// Output waiting for the disk before the payload's pipe is read no more.
    static let maximumQueuedByteCount = 262_144

    /// One piece of work, done in order.
    enum Job: Sendable {
        case openLog(LogConfiguration)
        case output(LogRecord.Stream, unixNanoseconds: Int64, [UInt8])
        case endOfStream(LogRecord.Stream, unixNanoseconds: Int64)
        case writeDurably([UInt8], path: String)
        case nothing
    }

    /// The error that a job met, in words; nil when it was done.
    typealias Completion = (_ problem: String?) -> Void

    private let shared: SharedQueue
    private let loop: EventLoop
    private var watch: Watch?
    private var completions: [UInt64: Completion] = [:]
    private var nextNumber: UInt64 = 1
    private var roomWaiters: [() -> Void] = []

    init(loop: EventLoop) throws(SyscallError) {
        self.loop = loop
        let shared = try SharedQueue()
        self.shared = shared
        watch = try loop.watch(shared.done.number, for: .readable) { [unowned self] _ in collect() }
        try startThread { DiskWriter(shared).run() }
    }

    /// Bytes of output that the log could not take.
    var droppedByteCount: UInt64 { shared.state.withLock { $0.droppedByteCount } }

    var isSaturated: Bool { shared.state.withLock { $0.queuedByteCount >= Self.maximumQueuedByteCount } }

    /// Calls `action` once, when there is room again.
    func whenRoom(_ action: @escaping () -> Void) { roomWaiters.append(action) }

    /// Queues a job; `completion` runs on the loop when it was done.
    func submit(_ job: Job, _ completion: Completion? = nil) {
        let number = nextNumber
        nextNumber += 1
        if let completion { completions[number] = completion }
        let reports = completion != nil
        shared.state.withLock { state in
            state.jobs.append(QueuedJob(number: number, job: job, reports: reports))
            state.queuedByteCount += job.outputByteCount
        }
        shared.work.raise()
    }

    private func collect() {
        // An eventfd of ours cannot fail but by being empty.
        _ = try? shared.done.take()
        let (finished, hasRoom) = shared.state.withLock { state in
            defer { state.finished = [] }
            return (state.finished, state.queuedByteCount <= Self.maximumQueuedByteCount / 2)
        }
        for report in finished { completions.removeValue(forKey: report.number)?(report.problem) }
        if hasRoom && !roomWaiters.isEmpty {
            let waiters = roomWaiters
            roomWaiters = []
            for waiter in waiters { waiter() }
        }
    }
}

extension DiskThread.Job {
    fileprivate var outputByteCount: Int {
        if case .output(_, _, let bytes) = self { bytes.count } else { 0 }
    }
}

private struct QueuedJob: Sendable {
    let number: UInt64
    let job: DiskThread.Job
    let reports: Bool
}

private struct FinishedJob: Sendable {
    let number: UInt64
    let problem: String?
}

/// What both threads see.
private final class SharedQueue: Sendable {
    struct State: Sendable {
        var jobs: [QueuedJob] = []
        var queuedByteCount = 0
        var finished: [FinishedJob] = []
        var droppedByteCount: UInt64 = 0
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

/// The thread's side: the open log and what it holds back.
private final class DiskWriter {
    private let shared: SharedQueue
    private var log: LogFile?
    private var stdout = LogLines(stream: .stdout)
    private var stderr = LogLines(stream: .stderr)
    /// Text given to the log since it last wrote: what a failure to write costs at most.
    private var unflushedByteCount = 0

    init(_ shared: SharedQueue) { self.shared = shared }

    /// Works until the process ends.
    func run() {
        while true {
            let batch = shared.state.withLock { state in
                defer { state.jobs = [] }
                return state.jobs
            }
            if batch.isEmpty {
                // Blocks; can only fail for a descriptor that is none.
                _ = try? shared.work.take()
                continue
            }
            perform(batch)
        }
    }

    private func perform(_ batch: [QueuedJob]) {
        for queued in batch {
            // What is waited for sees everything before it on disk.
            if queued.reports { flush() }
            let problem = perform(queued.job)
            shared.state.withLock { state in
                state.queuedByteCount -= queued.job.outputByteCount
                if queued.reports { state.finished.append(FinishedJob(number: queued.number, problem: problem)) }
            }
            if queued.reports { shared.done.raise() }
        }
        flush()
        shared.done.raise()
    }

    private func perform(_ job: DiskThread.Job) -> String? {
        switch job {
        case .openLog(let configuration):
            do throws(SyscallError) { log = try LogFile(configuration) } catch { return "\(error)" }
        case .output(.stdout, let time, let bytes): stdout.append(bytes[...], unixNanoseconds: time) { write($0) }
        case .output(.stderr, let time, let bytes): stderr.append(bytes[...], unixNanoseconds: time) { write($0) }
        case .endOfStream(.stdout, let time): stdout.finish(unixNanoseconds: time) { write($0) }
        case .endOfStream(.stderr, let time): stderr.finish(unixNanoseconds: time) { write($0) }
        case .writeDurably(let bytes, let path):
            do throws(SyscallError) { try writeFileDurably(bytes, to: FilePath(path)) } catch { return "\(error)" }
        case .nothing: break
        }
        return nil
    }

    private func write(_ record: LogRecord) {
        guard let log else { return drop(record.text.count) }
        unflushedByteCount += record.text.count
        do throws(SyscallError) { try log.append(record) } catch { dropUnflushed() }
    }

    private func flush() {
        do throws(SyscallError) {
            try log?.flush()
            unflushedByteCount = 0
        } catch { dropUnflushed() }
    }

    private func dropUnflushed() {
        drop(unflushedByteCount)
        unflushedByteCount = 0
    }

    private func drop(_ count: Int) { shared.state.withLock { $0.droppedByteCount += UInt64(count) } }
}
