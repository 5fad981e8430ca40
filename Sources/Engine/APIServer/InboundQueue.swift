internal import NIOCore
internal import Synchronization

/// Parts between the event loop, which adds them, and the connection's task, which takes them. While it is full the
/// socket is not read.
final class InboundQueue: Sendable {
    /// The most parts that wait.
    static let capacity = 16

    private struct State {
        var parts: [InboundPart] = []
        var failure: (any Error)?
        var isFinished = false
        /// By when the next part is to be there, and what it is if it is not.
        var expected: (deadline: NIODeadline, failure: any Error)?
        /// When the clock is looked at next.
        var alarm: (deadline: NIODeadline, task: Scheduled<Void>)?
        var isReadHeldBack = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Adds a part and wakes the taker, though not for a head: its end mostly comes in the same read, behind which `readEnded` is called.
    func add(_ part: InboundPart) {
        if case .head = part { return state.withLock { $0.parts.append(part) } }
        change { $0.parts.append(part) }
    }

    /// A read is over: wakes the taker, where that has brought it something.
    func readEnded() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.parts.isEmpty { return nil }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// There will be no more parts; `failure` says why, unless the client just ended.
    func finish(_ failure: (any Error)? = nil) {
        change {
            guard !$0.isFinished else { return }
            $0.isFinished = true
            $0.failure = failure
        }
    }

    // MARK: - Stalls

    /// Finishes with `failure` unless `expectNothing` is said in time. Clients keep to it but for a few: so the event loop is asked for an
    /// alarm once, and not for each request; when that is due, it looks for how long it has still to wait.
    func expect(within patience: TimeAmount, or failure: any Error, on loop: any EventLoop) {
        let deadline = loop.now + patience
        state.withLock { state in
            state.expected = (deadline, failure)
            if let alarm = state.alarm, alarm.deadline <= deadline { return }
            state.alarm?.task.cancel()
            state.alarm = (deadline, loop.scheduleTask(deadline: deadline) { self.lookAtTheClock(loop) })
        }
    }

    /// What was expected has come.
    func expectNothing() { state.withLock { $0.expected = nil } }

    /// There is nobody left of whom anything is expected.
    func stopWatching() {
        state.withLock { state in
            state.alarm?.task.cancel()
            (state.alarm, state.expected) = (nil, nil)
        }
    }

    private func lookAtTheClock(_ loop: any EventLoop) {
        let failure = state.withLock { state -> (any Error)? in
            state.alarm = nil
            guard let expected = state.expected else { return nil }
            if expected.deadline <= loop.now { return expected.failure }
            state.alarm = (expected.deadline, loop.scheduleTask(deadline: expected.deadline) { self.lookAtTheClock(loop) })
            return nil
        }
        if let failure { finish(failure) }
    }

    // MARK: - Taking

    /// Whether the socket may be read now. When not, `next` will say so later.
    func mayRead() -> Bool {
        state.withLock { state in
            state.isReadHeldBack = state.parts.count >= Self.capacity
            return !state.isReadHeldBack
        }
    }

    /// The next part; nil after the last, and when the task is cancelled. One task at a time may call this.
    /// - Parameter resumeReading: called when the queue has room again after a read was held back.
    func next(resumeReading: () -> Void) async throws -> InboundPart? {
        while true {
            let (part, isOver, resumes) = try take()
            if resumes { resumeReading() }
            if part != nil || isOver || Task.isCancelled { return part }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isReady = state.withLock { state -> Bool in
                        let isReady = !state.parts.isEmpty || state.isFinished || Task.isCancelled
                        if !isReady { state.waiter = continuation }
                        return isReady
                    }
                    if isReady { continuation.resume() }
                }
            } onCancel: {
                change { _ in }
            }
        }
    }

    private func take() throws -> (part: InboundPart?, isOver: Bool, resumes: Bool) {
        try state.withLock { state in
            guard !state.parts.isEmpty else {
                if let failure = state.failure { throw failure }
                return (nil, state.isFinished, false)
            }
            let part = state.parts.removeFirst()
            let resumes = state.isReadHeldBack && state.parts.count < Self.capacity / 2
            if resumes { state.isReadHeldBack = false }
            return (part, false, resumes)
        }
    }

    private func change(_ body: (inout sending State) -> Void) {
        let waiter = state.withLock { state in
            body(&state)
            let waiter = state.waiter
            state.waiter = nil
            return waiter
        }
        waiter?.resume()
    }
}

/// The tail of a connection's pipeline: fills the queue, holds reads back, and notes the client's leaving.
final class InboundQueueHandler: ChannelDuplexHandler {
    typealias InboundIn = InboundPart
    typealias OutboundIn = OutboundPart

    private let queue: InboundQueue
    private let departure: ClientDeparture

    init(queue: InboundQueue, departure: ClientDeparture) {
        self.queue = queue
        self.departure = departure
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { queue.add(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) {
        queue.readEnded()
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if queue.mayRead() { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            queue.finish()
            departure.inputEnded.set()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        queue.finish()
        departure.inputEnded.set()
        departure.closed.set()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { queue.finish(error) }
}

/// The two ways in which a client leaves.
struct ClientDeparture: Sendable {
    /// It will send no more: outside of a hijack that means that it has gone.
    let inputEnded = Latch()
    /// The connection is closed.
    let closed = Latch()
}

/// Something that happens once, and can be waited for.
final class Latch: Sendable {
    private struct State {
        var isSet = false
        var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
        var nextID = 0
    }

    private let state = Mutex(State())

    /// It has happened.
    func set() {
        let waiters = state.withLock { state in
            state.isSet = true
            let waiters = state.waiters.values.map { $0 }
            state.waiters = [:]
            return waiters
        }
        for waiter in waiters { waiter.finish() }
    }

    /// Returns when it has happened, or the task is cancelled.
    func wait() async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        let id = state.withLock { state -> Int? in
            guard !state.isSet else { return nil }
            state.nextID += 1
            state.waiters[state.nextID] = continuation
            return state.nextID
        }
        guard let id else { return }
        for await _ in stream {}
        state.withLock { _ = $0.waiters.removeValue(forKey: id) }
    }
}
