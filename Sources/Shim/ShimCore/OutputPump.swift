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

    let stream: LogRecord.Stream
    /// Called once, when all output was handed to the sinks.
    var onEnd: (() -> Void)?

    private let loop: EventLoop
    private var source: Descriptor?
    private var watch: Watch?
    private var sinks: [any OutputSink] = []
    private var isLast = false

    init(_ stream: LogRecord.Stream, from source: Descriptor, loop: EventLoop) throws(SyscallError) {
        self.stream = stream
        self.source = source
        self.loop = loop
        try setNonBlocking(true, of: source.number)
        watch = try loop.watch(source.number, for: .readable) { [unowned self] _ in readable() }
    }

    deinit { watch?.cancel() }

    var hasEnded: Bool { source == nil }
    var isSaturated: Bool { sinks.contains { $0.isSaturated } }

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
                switch try readAvailable(source.number, into: &loop.scratch) {
                case .bytes(let count):
                    let piece = loop.scratch[..<count]
                    for sink in sinks { sink.take(piece, from: stream) }
                case .end: return end()
                case .wouldBlock: return isLast ? end() : ()
                }
            } catch { return end() }
        }
        update()
    }

    private func end() {
        guard !hasEnded else { return }
        watch?.cancel()
        watch = nil
        source = nil
        for sink in sinks { sink.end(of: stream) }
        sinks = []
        let action = onEnd
        onEnd = nil
        action?()
    }
}
