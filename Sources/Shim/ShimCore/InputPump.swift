internal import LinuxSyscalls

/// Feeds a process's standard input, a pipe or a terminal's master, with what attach clients or a FIFO send.
final class InputPump {
    /// Input waiting for the process before no more is taken from whoever sends it.
    static let maximumQueuedByteCount = 65_536

    private let loop: EventLoop
    private var target: Descriptor?
    private var watch: Watch?
    private var queue = OutboundQueue()
    private var isFinishing = false
    private var roomWaiters: [() -> Void] = []

    /// - Parameter isTerminal: the target is read as well, and the end of input leaves it open.
    init(to target: Descriptor, isTerminal: Bool, loop: EventLoop) throws(SyscallError) {
        self.loop = loop
        // A duplicate, because epoll knows a descriptor only once and a terminal's master is read as well.
        let writer = isTerminal ? Descriptor(try target.owned.duplicate()) : target
        self.target = writer
        try setNonBlocking(true, of: writer.number)
        watch = try loop.watch(writer.number, for: []) { [unowned self] _ in flush() }
        watch?.pause()
    }

    var isSaturated: Bool { queue.count >= Self.maximumQueuedByteCount }

    /// Calls `action` once, when there is room for more, or nobody left to read it.
    func whenRoom(_ action: @escaping () -> Void) {
        if isSaturated { roomWaiters.append(action) } else { loop.soon(action) }
    }

    /// Queues input; dropped once the process has closed its end or input was ended.
    func write(_ bytes: some Collection<UInt8>) {
        guard target != nil, !isFinishing else { return }
        queue.append(bytes)
        flush()
    }

    /// Ends input after what is queued.
    func finish() {
        isFinishing = true
        if queue.isEmpty { close() }
    }

    /// Ends input at once.
    func close() {
        watch?.cancel()
        watch = nil
        target = nil
        queue.removeAll()
        notifyRoom()
    }

    private func flush() {
        guard let target else { return }
        // EPIPE: the process reads no more, which is its right.
        do throws(SyscallError) { try queue.flush(to: target.number) } catch { return close() }
        if queue.isEmpty { watch?.pause() } else { watch?.wait(for: .writable) }
        if isFinishing && queue.isEmpty { return close() }
        if !isSaturated { notifyRoom() }
    }

    private func notifyRoom() {
        let waiters = roomWaiters
        roomWaiters = []
        for waiter in waiters { loop.soon(waiter) }
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

    func close() {
        watch?.cancel()
        watch = nil
    }

    private func readable() {
        do throws(SyscallError) {
            guard case .bytes(let count) = try readAvailable(fifo.number, into: &loop.scratch) else { return }
            input.write(loop.scratch[..<count])
            guard input.isSaturated else { return }
            watch?.pause()
            input.whenRoom { [weak self] in self?.watch?.wait(for: .readable) }
        } catch { close() }
    }
}
