internal import LinuxSyscalls

/// Everything the shim does, on one thread: descriptors that became ready, and moments that came.
///
/// Nothing here may wait for anything but the loop itself.
final class EventLoop {
    /// The longest read of one call.
    static let readByteCount = 32_768

    /// What every read goes through, so that idle connections and pipes own no memory.
    private(set) var scratch: [UInt8] = []

    private let epoll: Epoll
    private var watches: [UInt64: Watch] = [:]
    private var timers: [UInt64: Timer] = [:]
    private var deferred: [() -> Void] = []
    private var nextToken: UInt64 = 1
    private var isStopping = false
    private var idleWork: (() -> Void)?
    private var idleWorkDoneAt: Int64?
    /// For how long nobody ran this process although one of its moments had come, all in all: it was stopped or frozen, or others had the
    /// processors.
    private(set) var stoodStillNanoseconds: Int64 = 0

    /// Quiet this long before idle work is done, and this long between two times of it.
    private static let idleMilliseconds: Int32 = 1000
    private static let retryDelay = Duration.milliseconds(100)
    /// What is later than this is more than the usual wait for a processor.
    private static let latenessNanoseconds: Int64 = 500_000_000
    private static let idleWorkNanoseconds: Int64 = 30_000_000_000
    /// What comes this soon after idle work is its own: the disk's thread tells that it is done.
    private static let echoNanoseconds: Int64 = 100_000_000

    private struct Timer {
        let deadline: Int64
        let action: () -> Void
    }

    init() throws(SyscallError) { epoll = try Epoll() }

    /// Calls `handler` whenever `descriptor` is ready, until the watch is cancelled.
    func watch(
        _ descriptor: Int32, for readiness: Readiness, _ handler: @escaping (Readiness) -> Void
    ) throws(SyscallError) -> Watch {
        let watch = Watch(loop: self, descriptor: descriptor, token: takeToken(), handler: handler)
        try epoll.add(descriptor, for: readiness, token: watch.token)
        watch.state = .waiting(readiness)
        watches[watch.token] = watch
        return watch
    }

    /// Calls `action` once, after `delay`. Returns what `cancelTimer` takes.
    @discardableResult
    func after(_ delay: Duration, _ action: @escaping () -> Void) -> UInt64 {
        let token = takeToken()
        let (seconds, attoseconds) = delay.components
        let nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        timers[token] = Timer(deadline: monotonicNanoseconds() + nanoseconds, action: action)
        return token
    }

    func cancelTimer(_ token: UInt64) { timers[token] = nil }

    /// Calls `action` before the loop waits again: for what must not run inside the caller.
    func soon(_ action: @escaping () -> Void) { deferred.append(action) }

    /// Calls `action` now and then, when nothing has happened for a second after something had.
    func whenIdle(_ action: @escaping () -> Void) { idleWork = action }

    /// Reads what is there, without waiting, into `scratch`.
    func read(_ descriptor: Int32) throws(SyscallError) -> ReadOutcome {
        if scratch.isEmpty { scratch = [UInt8](repeating: 0, count: Self.readByteCount) }
        return try readAvailable(descriptor, into: &scratch)
    }

    /// Ends `run` after what is ready was handled.
    func stop() { isStopping = true }

    /// Serves until `stop`.
    func run() throws(SyscallError) {
        var hasWorked = true
        while !isStopping {
            runDeferred()
            if isStopping { return }
            let idleWait = hasWorked ? millisecondsToIdleWork : nil
            let untilTimer = millisecondsToNextTimer()
            let untilSomething = idleWait.map { min(untilTimer ?? .max, $0) } ?? untilTimer
            let timeout = deferred.isEmpty ? untilSomething : 0
            let beganWaiting = monotonicNanoseconds()
            let events = try epoll.wait(timeoutMilliseconds: timeout)
            if let timeout {
                let late = monotonicNanoseconds() - beganWaiting - Int64(timeout) * 1_000_000
                if late > Self.latenessNanoseconds { stoodStillNanoseconds += late }
            }
            if let idleWait, events.isEmpty, timeout == idleWait {
                hasWorked = false
                idleWorkDoneAt = monotonicNanoseconds()
                scratch = []
                idleWork?()
            }
            if !events.isEmpty && !isEchoOfIdleWork { hasWorked = true }
            for event in events {
                // A handler before this one may have cancelled the watch: tokens are never used twice.
                guard let watch = watches[event.token], case .waiting = watch.state else { continue }
                watch.handler(event.readiness)
            }
            runTimers()
        }
    }

    /// How long nothing must happen before idle work is done; nil where there is none. What happened soon after the last time is waited for as well.
    private var millisecondsToIdleWork: Int32? {
        guard idleWork != nil else { return nil }
        guard let idleWorkDoneAt else { return Self.idleMilliseconds }
        let rest = (idleWorkDoneAt + Self.idleWorkNanoseconds - monotonicNanoseconds()) / 1_000_000
        return max(Self.idleMilliseconds, Int32(clamping: rest))
    }

    /// Idle work that called for idle work would never end.
    private var isEchoOfIdleWork: Bool { idleWorkDoneAt.map { monotonicNanoseconds() - $0 < Self.echoNanoseconds } ?? false }

    fileprivate func set(_ watch: Watch, to state: Watch.State) {
        do throws(SyscallError) {
            switch (watch.state, state) {
            case (.waiting(let old), .waiting(let new)):
                if old != new { try epoll.change(watch.descriptor, for: new, token: watch.token) }
            case (.paused, .waiting(let new)): guard try enter(watch, for: new) else { return }
            case (.waiting, .paused), (.waiting, .cancelled): try epoll.remove(watch.descriptor)
            case (.paused, .paused), (.paused, .cancelled), (.cancelled, _): break
            }
        } catch {
            // Only a descriptor that was closed under a live watch comes here.
            preconditionFailure("\(error)")
        }
        if case .cancelled = watch.state { return }
        watch.state = state
        if case .cancelled = state { watches[watch.token] = nil }
    }

    /// Puts a paused watch back into the set. A kernel without room for it is asked again a little later.
    private func enter(_ watch: Watch, for readiness: Readiness) throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            try epoll.add(watch.descriptor, for: readiness, token: watch.token)
            return true
        } catch  where error.isOutOfResources {
            after(Self.retryDelay) { if case .paused = watch.state { watch.wait(for: readiness) } }
            return false
        }
    }

    private func takeToken() -> UInt64 {
        defer { nextToken += 1 }
        return nextToken
    }

    /// Those that are there now: what they defer comes after a look at the descriptors, which must not wait for work that begets work.
    private func runDeferred() {
        let batch = deferred
        deferred = []
        for action in batch { action() }
    }

    private func millisecondsToNextTimer() -> Int32? {
        guard let deadline = timers.values.map(\.deadline).min() else { return nil }
        let milliseconds = (deadline - monotonicNanoseconds() + 999_999) / 1_000_000
        return Int32(min(max(milliseconds, 0), 3_600_000))
    }

    private func runTimers() {
        if timers.isEmpty { return }
        let now = monotonicNanoseconds()
        for (token, timer) in timers where timer.deadline <= now {
            // An earlier action of this turn may have cancelled it.
            if timers.removeValue(forKey: token) != nil { timer.action() }
        }
    }
}

/// One descriptor's place in the loop.
final class Watch {
    enum State {
        case waiting(Readiness)
        /// Out of the set: unlike an empty readiness, silent about hang-ups too.
        case paused
        case cancelled
    }

    fileprivate let loop: EventLoop
    fileprivate let descriptor: Int32
    fileprivate let token: UInt64
    fileprivate let handler: (Readiness) -> Void
    fileprivate(set) var state = State.paused

    fileprivate init(loop: EventLoop, descriptor: Int32, token: UInt64, handler: @escaping (Readiness) -> Void) {
        self.loop = loop
        self.descriptor = descriptor
        self.token = token
        self.handler = handler
    }

    func wait(for readiness: Readiness) { loop.set(self, to: .waiting(readiness)) }
    func pause() { loop.set(self, to: .paused) }
    /// Call before the descriptor is closed.
    func cancel() { loop.set(self, to: .cancelled) }
}

/// An open file that several objects hold; it closes with the last of them.
final class Descriptor {
    let owned: OwnedFD
    init(_ owned: consuming OwnedFD) { self.owned = owned }
    var number: Int32 { owned.number }
}
