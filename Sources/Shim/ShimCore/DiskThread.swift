internal import LinuxSyscalls
internal import ShimProtocol
internal import Synchronization

/// All writing to disk, on a thread of its own: a stalled disk holds up nothing but the log.
final class DiskThread {
    /// Output waiting for the disk before the payload's pipe is read no more.
    static let maximumQueuedByteCount = 262_144
    /// What stays in a spool while clients are attached, though it is in the log: a killed shim may owe them as much.
    private static let keptByteCount: UInt64 = 524_288

    /// One piece of work, done in order.
    enum Job: Sendable {
        /// Goes on with what the spools hold up to those places, and the log does not.
        case openLog(LogConfiguration, SpoolFiles, upTo: StreamCounts, isNew: Bool)
        /// The next bytes of a stream's spool.
        case output(LogRecord.Stream, unixNanoseconds: Int64, byteCount: Int)
        case endOfStream(LogRecord.Stream, unixNanoseconds: Int64)
        /// The next bytes of a stream's spool could not wait for the disk, and were dropped.
        case dropped(LogRecord.Stream, unixNanoseconds: Int64, byteCount: UInt64)
        case clearLog
        case adoptPackedLog(sequence: UInt64)
        case writeDurably([UInt8], path: String)
        case add([UInt8], to: AddedFile)
        case nothing
        /// Nothing has come for a while.
        case rest
    }

    /// The error that a job met, in words; nil when it was done.
    typealias Completion = (_ problem: String?) -> Void

    private let shared: DiskQueue
    private let loop: EventLoop
    private var watch: Watch?
    private var completions: [UInt64: Completion] = [:]
    private var nextNumber: UInt64 = 1
    private var roomWaiters: [() -> Void] = []
    private var sentWaiters: [() -> Void] = []
    /// Called with the number of each file of the log that is written no more, where such are to be compressed.
    var onRotation: ((UInt64) -> Void)?
    /// Output that may wait for the disk before more of it is dropped; nil where the payload waits.
    private var dropLimitByteCount: Int?
    /// Dropped since the log was told of it last.
    private var untold: [LogRecord.Stream: UInt64] = [:]
    /// Where output waits for the log; there while there is a log.
    private(set) var spools: LogSpools?

    init(loop: EventLoop) throws(SyscallError) {
        self.loop = loop
        let shared = try DiskQueue()
        self.shared = shared
        watch = try loop.watch(shared.done.number, for: .readable) { [unowned self] _ in collect() }
        try startThread(named: "disk") { DiskWriter(shared).run() }
    }

    /// Bytes of output that the log could not take.
    var droppedByteCount: UInt64 { shared.state.withLock { $0.droppedByteCount } }

    /// Whether output shall wait where it is; never where it is dropped instead.
    var isSaturated: Bool { dropLimitByteCount == nil && queuedByteCount >= Self.maximumQueuedByteCount }

    private var queuedByteCount: Int { shared.state.withLock { $0.queuedByteCount } }

    /// Opens the log before any output, and writes what a former shim took from the streams and did not write.
    /// - Parameters:
    ///   - isNew: refuses where the log cannot be opened, or lines are to go to a server that is not there. Else what is written already goes
    ///     on: what cannot be opened now is tried again.
    ///   - completion: is not called after a throw.
    func openLog(
        _ configuration: LogConfiguration, _ layout: ShimLayout, isNew: Bool, _ completion: @escaping Completion
    ) throws(SyscallError) {
        if configuration.delivery.isNonBlocking { dropLimitByteCount = Int(clamping: configuration.delivery.bufferByteLimit) }
        let files = try SpoolFiles(layout)
        let spools = try LogSpools(files)
        self.spools = spools
        shared.state.withLock { $0.givenBack = files.progress.readGivenBack() ?? spools.byteCounts }
        // What comes after these is told of piece by piece.
        submit(.openLog(configuration, files, upTo: spools.byteCounts, isNew: isNew), completion)
    }

    /// Whether clients may have to be told again what went through the spools last.
    func keep(forClients isKept: Bool) {
        let isOver = shared.state.withLock { state in
            defer { state.keptByteCount = isKept ? Self.keptByteCount : 0 }
            return state.keptByteCount > 0 && !isKept
        }
        if isOver { submit(.nothing) }
    }

    /// What is there still of a stream from a place on.
    func kept(_ stream: LogRecord.Stream, from place: UInt64) -> [UInt8] {
        spools?.kept(stream, from: place) { [shared] in shared.state.withLock { $0.givenBack } } ?? []
    }

    /// Takes so many bytes more of a stream's spool for the log.
    func log(_ byteCount: Int, from stream: LogRecord.Stream, unixNanoseconds: Int64) {
        if let dropLimitByteCount {
            let queued = queuedByteCount
            // As Docker: what meets an empty queue is taken however small the buffer is.
            if queued > 0 && queued + byteCount > dropLimitByteCount {
                untold[stream, default: 0] += UInt64(byteCount)
                let kept = shared.state.withLock { state in
                    state.droppedByteCount += UInt64(byteCount)
                    return state.keptByteCount
                }
                // Here, and not by the thread that the disk holds up.
                spools?.spool(stream).dropLast(byteCount, keeping: kept)
                return
            }
            spools?.spool(stream).keepLast()
            tellDrops(unixNanoseconds: unixNanoseconds)
        }
        submit(.output(stream, unixNanoseconds: unixNanoseconds, byteCount: byteCount))
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

    /// Calls `action` when the server that lines go to has all that is in the log, at the latest after `limit`.
    func whenSent(limit: Duration, _ action: @escaping () -> Void) {
        guard let forwarder = shared.state.withLock({ $0.forwarder }), !forwarder.isCaughtUp else { return action() }
        let once = Once(action)
        loop.after(limit, once.run)
        sentWaiters.append(once.run)
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
        if !sentWaiters.isEmpty, shared.state.withLock({ $0.forwarder?.isCaughtUp ?? true }) {
            let waiters = sentWaiters
            sentWaiters = []
            for waiter in waiters { waiter() }
        }
        if hasRoom && !roomWaiters.isEmpty {
            let waiters = roomWaiters
            roomWaiters = []
            for waiter in waiters { waiter() }
        }
    }
}
