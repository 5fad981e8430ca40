internal import LinuxSyscalls

/// Feeds a process's standard input, a pipe or a terminal's master, with what attach clients or a FIFO send.
/// What comes before there is a process waits for it.
final class InputPump {
    /// Input waiting for the process before no more is taken from whoever sends it.
    static let maximumQueuedByteCount = 65_536

    private enum State {
        case waiting
        case open(Descriptor, Watch)
        case closed
    }

    private let loop: EventLoop
    private let isTerminal: Bool
    private var state = State.waiting
    private var queue = OutboundQueue()
    private var isFinishing = false
    private var roomWaiters: [() -> Void] = []
    /// Called when the process's input has ended.
    var onClose: (() -> Void)?

    /// - Parameter isTerminal: a terminal is read as well, and the end of a client's input leaves it open.
    init(isTerminal: Bool, loop: EventLoop) {
        self.isTerminal = isTerminal
        self.loop = loop
    }

    deinit { if case .open(_, let watch) = state { watch.cancel() } }

    /// What the process reads from at the other end; nil before and after.
    var target: Descriptor? { if case .open(let target, _) = state { target } else { nil } }

    var isSaturated: Bool { queue.count >= Self.maximumQueuedByteCount }

    /// Begins to write to the process.
    var isClosed: Bool { if case .closed = state { true } else { false } }

    func connect(to target: Descriptor) throws(SyscallError) {
        guard case .waiting = state else { return }
        // A duplicate, because epoll knows a descriptor only once and a terminal's master is read as well.
        let writer = isTerminal ? Descriptor(try target.owned.duplicate()) : target
        try setNonBlocking(true, of: writer.number)
        let watch = try loop.watch(writer.number, for: []) { [unowned self] _ in flush() }
        state = .open(writer, watch)
        flush()
    }

    /// Calls `action` once, when there is room for more, or nobody left to read it.
    func whenRoom(_ action: @escaping () -> Void) {
        if isSaturated { roomWaiters.append(action) } else { loop.soon(action) }
    }

    /// Queues input; dropped once the process has closed its end or input was ended.
    func write(_ bytes: some Collection<UInt8>) {
        if case .closed = state { return }
        if isFinishing { return }
        queue.append(bytes)
        flush()
    }

    /// Ends input after what is queued.
    func finish() {
        if isTerminal { return }
        isFinishing = true
        flush()
    }

    /// Ends input at once.
    func close() {
        if case .open(_, let watch) = state { watch.cancel() }
        state = .closed
        queue.removeAll()
        onClose?()
        notifyRoom()
    }

    private func flush() {
        guard case .open(let target, let watch) = state else { return }
        // EPIPE: the process reads no more, which is its right.
        do throws(SyscallError) { try queue.flush(to: target.number) } catch { return close() }
        if isFinishing && queue.isEmpty { return close() }
        if queue.isEmpty { watch.pause() } else { watch.wait(for: .writable) }
        if !isSaturated { notifyRoom() }
    }

    private func notifyRoom() {
        let waiters = roomWaiters
        roomWaiters = []
        for waiter in waiters { loop.soon(waiter) }
    }
}
