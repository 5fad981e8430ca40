internal import LinuxSyscalls
internal import ShimProtocol
internal import Synchronization
internal import SystemPackage

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

    private let shared: SharedQueue
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
        let shared = try SharedQueue()
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

extension DiskThread.Job {
    /// What a piece of output takes in memory beside its bytes, however short it is.
    private static let overheadByteCount = 64

    fileprivate var outputByteCount: Int {
        if case .output(_, _, let byteCount) = self { byteCount + Self.overheadByteCount } else { 0 }
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

/// The thread's side: the open log and what it holds back.
private final class DiskWriter {
    private let shared: SharedQueue
    private var log: LogFile?
    private var forwarder: LogForwarder?
    private var copy: JSONLogCopy?
    /// What could not be opened, and is tried again at that moment.
    private var missing: (server: LogConfiguration?, copy: LogConfiguration?) = (nil, nil)
    private var nextTry: Int64 = 0
    private static let retryNanoseconds: Int64 = 1_000_000_000
    /// Files that are written no more, until the server has what they hold.
    private var unsentRotated: [UInt64] = []
    private var stdout: SpoolReader?
    private var stderr: SpoolReader?
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
        giveBackSpool()
        shared.done.raise()
    }

    /// What is in the log needs no place elsewhere.
    private func giveBackSpool() {
        guard let log else { return }
        let (before, kept) = shared.state.withLock { ($0.givenBack, $0.keptByteCount) }
        var after = before
        if let stdout { after.stdout = stdout.end(ofGivingBackUpTo: log.covered.stdout - min(kept, log.covered.stdout)) }
        if let stderr { after.stderr = stderr.end(ofGivingBackUpTo: log.covered.stderr - min(kept, log.covered.stderr)) }
        guard after != before else { return }
        shared.state.withLock { $0.givenBack = after }
        log.note(givenBack: after)
        stdout?.giveBack(upTo: after.stdout)
        stderr?.giveBack(upTo: after.stderr)
    }

    private func perform(_ job: DiskThread.Job) -> String? {
        do throws(SyscallError) {
            switch job {
            case .openLog(let configuration, let spools, let ends, let isNew):
                return isNew ? begin(configuration, spools, ends) : goOn(configuration, spools, ends)
            case .output(.stdout, let time, let count): stdout?.take(count, unixNanoseconds: time) { write($0, $1) }
            case .output(.stderr, let time, let count): stderr?.take(count, unixNanoseconds: time) { write($0, $1) }
            case .endOfStream(let stream, let time):
                if stream == .stdout { stdout?.finish(unixNanoseconds: time) { write($0, $1) } }
                if stream == .stderr { stderr?.finish(unixNanoseconds: time) { write($0, $1) } }
                log?.tellLoss(unixNanoseconds: time)
            case .dropped(let stream, let time, let byteCount):
                if stream == .stdout { stdout?.drop(byteCount, unixNanoseconds: time) { write($0, $1) } }
                if stream == .stderr { stderr?.drop(byteCount, unixNanoseconds: time) { write($0, $1) } }
            case .clearLog:
                try log?.clear()
                try copy?.clear()
            case .adoptPackedLog(let sequence): try log?.adoptPacked(sequence)
            case .writeDurably(let bytes, let path): try writeFileDurably(bytes, to: FilePath(path))
            case .add(let bytes, let file): try file.add(bytes)
            case .nothing: log?.tellLoss(unixNanoseconds: unixNanoseconds())
            case .rest:
                log?.releaseMemory()
                releaseUnusedStack()
            }
        } catch { return "\(error)" }
        return nil
    }

    /// For a container that is not there yet: whatever is wrong is its end.
    private func begin(_ configuration: LogConfiguration, _ spools: SpoolFiles, _ ends: StreamCounts) -> String? {
        do throws(SyscallError) { try connect(configuration, requiresServer: true) } catch {
            return "failed to initialize logging driver: \(error)"
        }
        do throws(SyscallError) {
            let opened = LogFile(configuration, progress: spools.progress)
            try opened.open()
            try openCopy(configuration)
            take(opened, spools, ends)
            return nil
        } catch { return "\(error)" }
    }

    /// For one that runs: whatever is wrong is reported, and tried again.
    private func goOn(_ configuration: LogConfiguration, _ spools: SpoolFiles, _ ends: StreamCounts) -> String? {
        var problems: [String] = []
        do throws(SyscallError) { try connect(configuration, requiresServer: false) } catch {
            missing.server = configuration
            problems.append("\(error)")
        }
        let opened = LogFile(configuration, progress: spools.progress)
        do throws(SyscallError) { try opened.open() } catch { problems.append("\(error)") }
        do throws(SyscallError) { try openCopy(configuration) } catch {
            missing.copy = configuration
            problems.append("\(error)")
        }
        take(opened, spools, ends)
        return problems.isEmpty ? nil : problems.joined(separator: "; ")
    }

    private func openMissing() {
        guard missing.server != nil || missing.copy != nil, monotonicNanoseconds() >= nextTry else { return }
        nextTry = monotonicNanoseconds() + Self.retryNanoseconds
        // What fails again was reported.
        if let server = missing.server, (try? connect(server, requiresServer: false)) != nil { missing.server = nil }
        if let copy = missing.copy, (try? openCopy(copy)) != nil { missing.copy = nil }
    }

    private func connect(_ configuration: LogConfiguration, requiresServer: Bool) throws(SyscallError) {
        let forwarder = try LogForwarder(configuration, requiresServer: requiresServer) { [shared] in shared.done.raise() }
        self.forwarder = forwarder
        shared.state.withLock { $0.forwarder = forwarder }
    }

    private func openCopy(_ configuration: LogConfiguration) throws(SyscallError) {
        if let target = configuration.delivery.jsonFile { copy = try JSONLogCopy(configuration, target) }
    }

    private func take(_ opened: LogFile, _ spools: SpoolFiles, _ ends: StreamCounts) {
        opened.willRotate = { [unowned self] log in copy?.follow(upTo: log.end) }
        log = opened
        let givenBack = shared.state.withLock { $0.givenBack }
        stdout = SpoolReader(.stdout, spools.stdout, from: opened.covered.stdout, heldFrom: givenBack.stdout)
        stderr = SpoolReader(.stderr, spools.stderr, from: opened.covered.stderr, heldFrom: givenBack.stderr)
        let now = unixNanoseconds()
        stdout?.take(upTo: ends.stdout, unixNanoseconds: now) { write($0, $1) }
        stderr?.take(upTo: ends.stderr, unixNanoseconds: now) { write($0, $1) }
    }

    private func write(_ record: LogRecord, _ coveredByteCount: UInt64) { log?.append(record, covering: coveredByteCount) }

    private func flush() {
        guard let log else { return }
        log.flush()
        openMissing()
        copy?.follow(upTo: log.end)
        forwarder?.wrote(upTo: log.end)
        noteRotated(log.takeRotated())
        let lost = log.lostByteCount - reportedByteCount
        guard lost > 0 else { return }
        reportedByteCount = log.lostByteCount
        shared.state.withLock { $0.droppedByteCount += lost }
    }

    /// Files are compressed once the server has them: it is sent what lies there as it is.
    private func noteRotated(_ sequences: [UInt64]) {
        unsentRotated += sequences
        if unsentRotated.isEmpty { return }
        let firstUnsent = missing.server == nil ? forwarder?.sequence ?? .max : 0
        let sent = unsentRotated.filter { $0 < firstUnsent }
        unsentRotated.removeAll { $0 < firstUnsent }
        if !sent.isEmpty { shared.state.withLock { $0.rotated += sent } }
    }
}
