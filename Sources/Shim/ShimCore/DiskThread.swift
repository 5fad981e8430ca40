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
        /// Output that could not wait for the disk was dropped here.
        case dropped(LogRecord.Stream, unixNanoseconds: Int64, byteCount: UInt64)
        case clearLog
        case adoptPackedLog(sequence: UInt64)
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
    /// Called with the number of each file of the log that is written no more, where such are to be compressed.
    var onRotation: ((UInt64) -> Void)?
    /// Output that may wait for the disk before more of it is dropped; nil where the payload waits.
    private var dropLimitByteCount: Int?
    /// Dropped since the log was told of it last.
    private var untold: [LogRecord.Stream: UInt64] = [:]

    init(loop: EventLoop) throws(SyscallError) {
        self.loop = loop
        let shared = try SharedQueue()
        self.shared = shared
        watch = try loop.watch(shared.done.number, for: .readable) { [unowned self] _ in collect() }
        try startThread { DiskWriter(shared).run() }
    }

    /// Bytes of output that the log could not take.
    var droppedByteCount: UInt64 { shared.state.withLock { $0.droppedByteCount } }

    /// Whether output shall wait where it is; never where it is dropped instead.
    var isSaturated: Bool { dropLimitByteCount == nil && queuedByteCount >= Self.maximumQueuedByteCount }

    private var queuedByteCount: Int { shared.state.withLock { $0.queuedByteCount } }

    /// Opens the log before any output.
    func openLog(_ configuration: LogConfiguration, _ completion: @escaping Completion) {
        if configuration.delivery.isNonBlocking { dropLimitByteCount = Int(clamping: configuration.delivery.bufferByteLimit) }
        submit(.openLog(configuration), completion)
    }

    /// Takes output for the log.
    func log(_ bytes: ArraySlice<UInt8>, from stream: LogRecord.Stream, unixNanoseconds: Int64) {
        if let dropLimitByteCount {
            let queued = queuedByteCount
            // As Docker: what meets an empty queue is taken however small the buffer is.
            if queued > 0 && queued + bytes.count > dropLimitByteCount {
                untold[stream, default: 0] += UInt64(bytes.count)
                shared.state.withLock { $0.droppedByteCount += UInt64(bytes.count) }
                return
            }
            tellDrops(unixNanoseconds: unixNanoseconds)
        }
        submit(.output(stream, unixNanoseconds: unixNanoseconds, Array(bytes)))
    }

    /// Nothing more comes from a stream.
    func logEnd(of stream: LogRecord.Stream, unixNanoseconds: Int64) {
        tellDrops(unixNanoseconds: unixNanoseconds)
        submit(.endOfStream(stream, unixNanoseconds: unixNanoseconds))
    }

    private func tellDrops(unixNanoseconds: Int64) {
        if untold.isEmpty { return }
        for (stream, byteCount) in untold { submit(.dropped(stream, unixNanoseconds: unixNanoseconds, byteCount: byteCount)) }
        untold = [:]
    }

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
        let (finished, rotated, hasRoom) = shared.state.withLock { state in
            defer { (state.finished, state.rotated) = ([], []) }
            return (state.finished, state.rotated, state.queuedByteCount <= Self.maximumQueuedByteCount / 2)
        }
        for sequence in rotated { onRotation?(sequence) }
        // Also when nothing more comes for a while.
        if hasRoom { tellDrops(unixNanoseconds: unixNanoseconds()) }
        for report in finished { completions.removeValue(forKey: report.number)?(report.problem) }
        if hasRoom && !roomWaiters.isEmpty {
            let waiters = roomWaiters
            roomWaiters = []
            for waiter in waiters { waiter() }
        }
    }
}

extension DiskThread.Job {
    /// What a piece of output takes in memory beside its bytes, however short it is.
    private static let overheadByteCount = 64

    fileprivate var outputByteCount: Int {
        if case .output(_, _, let bytes) = self { bytes.count + Self.overheadByteCount } else { 0 }
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
        var rotated: [UInt64] = []
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
    /// What of the log's losses is counted already.
    private var reportedByteCount: UInt64 = 0

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
        do throws(SyscallError) {
            switch job {
            case .openLog(let configuration): log = try LogFile(configuration)
            case .output(.stdout, let time, let bytes): stdout.append(bytes[...], unixNanoseconds: time) { write($0) }
            case .output(.stderr, let time, let bytes): stderr.append(bytes[...], unixNanoseconds: time) { write($0) }
            case .endOfStream(let stream, let time):
                if stream == .stdout { stdout.finish(unixNanoseconds: time) { write($0) } }
                if stream == .stderr { stderr.finish(unixNanoseconds: time) { write($0) } }
                log?.tellLoss(unixNanoseconds: time)
            case .dropped(let stream, let time, let byteCount):
                if stream == .stdout { stdout.endLine(unixNanoseconds: time) { write($0) } }
                if stream == .stderr { stderr.endLine(unixNanoseconds: time) { write($0) } }
                let text = LogMarker.dropped(byteCount)
                write(LogRecord(unixNanoseconds: time, stream: stream, isPartial: false, text: text[...]))
            case .clearLog: try log?.clear()
            case .adoptPackedLog(let sequence): try log?.adoptPacked(sequence)
            case .writeDurably(let bytes, let path): try writeFileDurably(bytes, to: FilePath(path))
            case .nothing: log?.tellLoss(unixNanoseconds: unixNanoseconds())
            }
        } catch { return "\(error)" }
        return nil
    }

    private func write(_ record: LogRecord) { log?.append(record) }

    private func flush() {
        guard let log else { return }
        log.flush()
        let rotated = log.takeRotated()
        if !rotated.isEmpty { shared.state.withLock { $0.rotated += rotated } }
        let lost = log.lostByteCount - reportedByteCount
        guard lost > 0 else { return }
        reportedByteCount = log.lostByteCount
        shared.state.withLock { $0.droppedByteCount += lost }
    }
}
