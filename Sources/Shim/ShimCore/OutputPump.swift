internal import LinuxSyscalls
internal import ShimProtocol

/// Somebody who takes a process's output.
protocol OutputSink: AnyObject {
    /// Takes a piece. Only called while not saturated, but whoever is must take one piece more.
    func take(_ bytes: ArraySlice<UInt8>, from stream: LogRecord.Stream)
    /// Nothing more comes from `stream`.
    func end(of stream: LogRecord.Stream)
    /// Enough waits here: the payload shall wait as well. Whoever says so calls the pump's `update` when it is over.
    var isSaturated: Bool { get }
}

/// Copies one output of a process, a pipe or a terminal's master, to its sinks as fast as the slowest takes it.
final class OutputPump {
    /// Reads before other descriptors get their turn.
    private static let readsPerTurn = 4
    private static let retryDelay = Duration.milliseconds(100)
    /// Read at most after the process is gone, while others go on writing: as much as a pipe may hold.
    private static let lastByteLimit = 1_048_576

    let stream: LogRecord.Stream
    /// Called once, when all output was handed to the sinks.
    var onEnd: (() -> Void)?

    private let loop: EventLoop
    private let drain: OutputDrain?
    private(set) var source: Descriptor?
    private var watch: Watch?
    private var sinks: [any OutputSink] = []
    private var isLast = false
    private var lastByteCount = 0
    /// Where output lies until it is in the log; nil where there is no log.
    private var logged: (spool: Spool, log: LogSink)?
    private var stage: TerminalStage?

    /// - Parameter drain: where a pipe goes that has writers left when its process's output has ended; nil for a terminal, whose end they notice.
    init(_ stream: LogRecord.Stream, from source: Descriptor, drain: OutputDrain?, loop: EventLoop) throws(SyscallError) {
        self.stream = stream
        self.drain = drain
        self.source = source
        self.loop = loop
        try setNonBlocking(true, of: source.number)
        watch = try loop.watch(source.number, for: .readable) { [unowned self] _ in readable() }
    }

    deinit { watch?.cancel() }

    var hasEnded: Bool { source == nil }
    /// Output stays where it is, for clients who are about to come.
    var isHeld = false {
        didSet { if oldValue && !isHeld { update() } }
    }
    var isSaturated: Bool { isHeld || logged?.log.isSaturated == true || sinks.contains { $0.isSaturated } }

    /// Has all output go through a spool into the log; before any was read.
    /// - Parameter stage: for a terminal's output, which cannot be moved into a spool by itself.
    func log(to log: LogSink, through spool: Spool, stage: TerminalStage?) {
        logged = (spool, log)
        self.stage = stage
    }

    func add(_ sink: any OutputSink) {
        if hasEnded { return sink.end(of: stream) }
        sinks.append(sink)
        update()
    }

    func remove(_ sink: any OutputSink) {
        sinks.removeAll { $0 === sink }
        update()
    }

    /// Looks again whether the sinks have room.
    func update() {
        guard !hasEnded else { return }
        if isSaturated { return watch?.pause() ?? () }
        watch?.wait(for: .readable)
        // What is left is asked for, not waited for: nobody may write any more.
        if isLast { loop.soon { [weak self] in self?.readable() } }
    }

    /// The process is gone: takes what the pipe holds and ends, whoever else still has its other end open.
    func finishWithWhatIsThere() {
        isLast = true
        if !isSaturated { readable() }
    }

    private func readable() {
        for _ in 0..<Self.readsPerTurn {
            guard let source, !isSaturated else { break }
            do throws(SyscallError) {
                switch try take(from: source.number) {
                case .bytes(let count):
                    if isLast { lastByteCount += count }
                    if lastByteCount >= Self.lastByteLimit { return end(hasWriters: true) }
                case .end: return end()
                case .wouldBlock: return isLast ? end(hasWriters: true) : ()
                }
            } catch  where logged != nil && error.isOutOfResources {
                return waitForRoom()
            } catch { return end() }
        }
        update()
    }

    private func take(from source: Int32) throws(SyscallError) -> ReadOutcome {
        guard let (spool, log) = logged else {
            let outcome = try loop.read(source)
            if case .bytes(let count) = outcome { handOn(loop.scratch[..<count]) }
            return outcome
        }
        let outcome = if let stage { try spool.take(from: source, through: stage) } else { try spool.take(from: source) }
        guard case .bytes(let count) = outcome else { return outcome }
        // The log is told last: once it has the bytes, the spool need not have them any more.
        defer { log.take(count, from: stream) }
        if !sinks.isEmpty { handOn(try spool.last(count)[...]) }
        return outcome
    }

    private func handOn(_ piece: ArraySlice<UInt8>) { for sink in sinks { sink.take(piece, from: stream) } }

    /// The file system of the spool is full: the pipe keeps what it has.
    private func waitForRoom() {
        watch?.pause()
        loop.after(Self.retryDelay) { [weak self] in self?.update() }
    }

    private func end(hasWriters: Bool = false) {
        guard !hasEnded else { return }
        watch?.cancel()
        watch = nil
        if hasWriters, let source { drain?.take(source) }
        source = nil
        logged?.log.end(of: stream)
        for sink in sinks { sink.end(of: stream) }
        sinks = []
        let action = onEnd
        onEnd = nil
        action?()
    }
}
