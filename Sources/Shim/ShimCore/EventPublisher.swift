internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// Forwards events to containerd, in order, one at a time. A containerd that is away holds up nothing: events
/// wait, the oldest are dropped when too many do, and the connection is tried again ever less often.
final class EventPublisher {
    /// Events that wait.
    static let maximumQueuedCount = 1024
    private static let answerDeadline = Duration.seconds(10)
    private static let retryDelays = [1, 2, 5, 10, 30, 60].map { Duration.seconds($0) }

    private let loop: EventLoop
    private let address: FilePath
    private var queue: [EventEnvelope] = []
    private var link: Link?
    private var failures = 0
    private var retryTimer: UInt64?
    private var answerTimer: UInt64?
    private var drainWaiters: [() -> Void] = []

    private struct Link {
        let socket: Descriptor
        let watch: Watch
        var decoder = TtrpcFrameDecoder()
        var outbound = OutboundQueue()
        var nextStreamID: UInt32 = 1
        var isAwaitingAnswer = false
    }

    /// - Parameter address: a socket's path, with or without `unix://`.
    init(address: String, loop: EventLoop) {
        self.loop = loop
        self.address = FilePath(address.hasPrefix("unix://") ? String(address.dropFirst(7)) : address)
    }

    func publish(_ envelope: EventEnvelope) {
        // The oldest but for the one that is on its way: its answer takes it away.
        if queue.count == Self.maximumQueuedCount { queue.remove(at: link?.isAwaitingAnswer == true ? 1 : 0) }
        queue.append(envelope)
        // Not now: what the event is about is to be answered first.
        loop.soon { [self] in advance() }
    }

    /// Calls `action` when nothing waits any more, at the latest after `limit`.
    func whenDrained(limit: Duration, _ action: @escaping () -> Void) {
        if queue.isEmpty { return loop.soon(action) }
        let once = Once(action)
        drainWaiters.append(once.run)
        loop.after(limit, once.run)
    }

    private func advance() {
        guard retryTimer == nil, let envelope = queue.first else { return }
        if link == nil && !connect() { return retryLater() }
        guard var open = link, !open.isAwaitingAnswer else { return }
        let request = TtrpcRequest(
            service: ForwardEventRequest.service, method: ForwardEventRequest.method,
            payload: ForwardEventRequest(envelope: envelope))
        let frame = TtrpcFrame(streamID: open.nextStreamID, request: request)
        // A Create nearly as long as a frame makes an event that is longer than one.
        if frame.isTooLong { return forgetFirst() }
        open.outbound.append(frame.encoded())
        open.nextStreamID += 2
        open.isAwaitingAnswer = true
        link = open
        answerTimer = loop.after(Self.answerDeadline) { [unowned self] in fail() }
        flush()
    }

    private func connect() -> Bool {
        do throws(SyscallError) {
            let socket = Descriptor(try connectUnixSocket(address, .nonBlockingStream))
            let watch = try loop.watch(socket.number, for: .readable) { [unowned self] in ready($0) }
            link = Link(socket: socket, watch: watch)
            return true
        } catch { return false }
    }

    private func ready(_ readiness: Readiness) {
        if readiness.contains(.writable) { flush() }
        guard link != nil else { return }
        if readiness.contains(.readable) { read() } else if !readiness.isDisjoint(with: [.failed, .hungUp]) { fail() }
    }

    private func read() {
        guard let socket = link?.socket else { return }
        do throws(SyscallError) {
            switch try loop.read(socket.number) {
            case .wouldBlock: return
            case .end: return fail()
            case .bytes(let count): link?.decoder.append(loop.scratch[..<count])
            }
        } catch { return fail() }
        do throws(WireError) {
            while let frame = try link?.decoder.next() {
                if frame.kind == .response { answered() }
            }
        } catch { fail() }
    }

    /// Whatever the answer says, the event was heard: a refusal would only come again.
    private func answered() {
        guard link?.isAwaitingAnswer == true else { return }
        link?.isAwaitingAnswer = false
        failures = 0
        if let answerTimer { loop.cancelTimer(answerTimer) }
        answerTimer = nil
        forgetFirst()
    }

    /// Goes on to the next event.
    private func forgetFirst() {
        if !queue.isEmpty { queue.removeFirst() }
        if queue.isEmpty {
            let waiters = drainWaiters
            drainWaiters = []
            for waiter in waiters { waiter() }
        } else {
            loop.soon { [self] in advance() }
        }
    }

    private func flush() {
        guard var open = link else { return }
        do throws(SyscallError) { try open.outbound.flush(to: open.socket.number) } catch { return fail() }
        open.watch.wait(for: open.outbound.isEmpty ? .readable : [.readable, .writable])
        link = open
    }

    private func fail() {
        link?.watch.cancel()
        link = nil
        if let answerTimer { loop.cancelTimer(answerTimer) }
        answerTimer = nil
        if !queue.isEmpty { retryLater() }
    }

    private func retryLater() {
        guard retryTimer == nil else { return }
        let delay = Self.retryDelays[min(failures, Self.retryDelays.count - 1)]
        failures += 1
        retryTimer = loop.after(delay) { [unowned self] in
            retryTimer = nil
            advance()
        }
    }
}
