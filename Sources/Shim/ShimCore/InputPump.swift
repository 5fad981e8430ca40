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
    /// Whether what was taken is to outlive this shim.
    private let isSpooled: Bool
    private var state = State.waiting
    private var queue = OutboundQueue()
    /// In place of the queue; there from the first input on, or since the process is.
    private var spool: InputSpool?
    private var isFinishing = false
    private var roomWaiters: [() -> Void] = []
    /// Called when the process's input has ended.
    var onClose: (() -> Void)?

    /// - Parameters:
    ///   - isTerminal: a terminal is read as well, and the end of a client's input leaves it open.
    ///   - isSpooled: clients count what they send, and another shim may go on with it.
    init(isTerminal: Bool, isSpooled: Bool, loop: EventLoop) {
        self.isTerminal = isTerminal
        self.isSpooled = isSpooled
        self.loop = loop
    }

    deinit { if case .open(_, let watch) = state { watch.cancel() } }

    /// What the process reads from at the other end; nil before and after.
    var target: Descriptor? { if case .open(let target, _) = state { target } else { nil } }

    /// What a killed shim's successor needs as well; nil before and after.
    var spoolFile: Descriptor? { spool?.file }

    private var count: Int { spool?.count ?? queue.count }
    var isSaturated: Bool { count >= Self.maximumQueuedByteCount }

    var isClosed: Bool { if case .closed = state { true } else { false } }

    /// Begins to write to the process.
    /// - Parameter left: what a killed shim had taken for it.
    func connect(to target: Descriptor, left: Descriptor? = nil) throws(SyscallError) {
        guard case .waiting = state else { return }
        if isSpooled && spool == nil { spool = if let left { try InputSpool(left) } else { try InputSpool() } }
        isFinishing = isFinishing || spool?.isEnded == true
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

    /// Queues input that nobody counts; dropped once the process has closed its end or input was ended.
    func write(_ bytes: some Collection<UInt8>) {
        if case .closed = state { return }
        if isFinishing { return }
        queue.append(bytes)
        flush()
    }

    /// Takes input of a client: from the return on, it outlives this shim. Dropped once the process has closed its end or input was ended.
    func take(_ bytes: [UInt8], from client: UInt64) throws(SyscallError) {
        if case .closed = state { return }
        if isFinishing { return }
        let spool = if let spool { spool } else { try InputSpool() }
        self.spool = spool
        try spool.append(bytes, from: client)
        flush()
    }

    /// Bytes of a client's input that were taken, by this shim or one before.
    func place(of client: UInt64) -> UInt64 { spool?.place(of: client) ?? 0 }

    /// Ends input after what is queued.
    func finish() {
        if isTerminal || isFinishing { return }
        isFinishing = true
        // Where it cannot be noted, clients that are back say so again.
        try? spool?.end()
        flush()
    }

    /// Ends input at once.
    func close() {
        if case .open(_, let watch) = state { watch.cancel() }
        state = .closed
        queue.removeAll()
        spool = nil
        onClose?()
        notifyRoom()
    }

    private func flush() {
        guard case .open(let target, let watch) = state else { return }
        // EPIPE: the process reads no more, which is its right.
        do throws(SyscallError) {
            if let spool {
                try spool.deliver(to: target.number, isTerminal: isTerminal)
            } else {
                try queue.flush(to: target.number)
            }
        } catch { return close() }
        if isFinishing && count == 0 { return close() }
        if count == 0 { watch.pause() } else { watch.wait(for: .writable) }
        if !isSaturated { notifyRoom() }
    }

    private func notifyRoom() {
        let waiters = roomWaiters
        roomWaiters = []
        for waiter in waiters { loop.soon(waiter) }
    }
}
