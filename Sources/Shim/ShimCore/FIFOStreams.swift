internal import LinuxSyscalls
internal import ShimProtocol

/// A FIFO that somebody else reads, as a sink. It is held open both ways, so a reader that leaves costs
/// neither a signal nor an error: output waits for the next one.
final class FIFOSink: OutputSink {
    private static let maximumQueuedByteCount = 65_536

    private let loop: EventLoop
    private var fifo: Descriptor?
    private var watch: Watch?
    private var queue = OutboundQueue()
    private var hasEnded = false
    private let hasRoom: () -> Void
    /// Nothing more comes, and the FIFO has all that came.
    var isClosed: Bool { fifo == nil }
    /// Called then.
    var onClose: (() -> Void)?

    /// - Parameter hasRoom: called when it is saturated no more.
    init(_ fifo: Descriptor, loop: EventLoop, hasRoom: @escaping () -> Void) throws(SyscallError) {
        self.fifo = fifo
        self.loop = loop
        self.hasRoom = hasRoom
        try setNonBlocking(true, of: fifo.number)
        watch = try loop.watch(fifo.number, for: []) { [unowned self] _ in flush() }
        watch?.pause()
    }

    deinit { watch?.cancel() }

    var isSaturated: Bool { queue.count >= Self.maximumQueuedByteCount }

    func take(_ bytes: ArraySlice<UInt8>, from stream: LogRecord.Stream) {
        queue.append(bytes)
        flush()
    }

    func end(of stream: LogRecord.Stream) {
        hasEnded = true
        if queue.isEmpty { close() }
    }

    private func flush() {
        guard let fifo else { return }
        let wasSaturated = isSaturated
        do throws(SyscallError) { try queue.flush(to: fifo.number) } catch { queue.removeAll() }
        if queue.isEmpty { watch?.pause() } else { watch?.wait(for: .writable) }
        if hasEnded && queue.isEmpty { close() }
        if wasSaturated && !isSaturated { loop.soon(hasRoom) }
    }

    private func close() {
        watch?.cancel()
        watch = nil
        fifo = nil
        let action = onClose
        onClose = nil
        action?()
    }
}

/// Copies a FIFO that containerd's client writes to a terminal.
final class FIFOSource {
    private let loop: EventLoop
    private let fifo: Descriptor
    private let input: InputPump
    private var watch: Watch?

    init(_ fifo: Descriptor, into input: InputPump, loop: EventLoop) throws(SyscallError) {
        self.fifo = fifo
        self.input = input
        self.loop = loop
        try setNonBlocking(true, of: fifo.number)
        watch = try loop.watch(fifo.number, for: .readable) { [unowned self] _ in readable() }
    }

    deinit { watch?.cancel() }

    func close() {
        watch?.cancel()
        watch = nil
    }

    private func readable() {
        do throws(SyscallError) {
            guard case .bytes(let count) = try loop.read(fifo.number) else { return }
            input.write(loop.scratch[..<count])
            guard input.isSaturated else { return }
            watch?.pause()
            input.whenRoom { [weak self] in self?.watch?.wait(for: .readable) }
        } catch { close() }
    }
}
