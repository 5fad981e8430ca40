internal import LinuxSyscalls
internal import Logging
internal import Synchronization

/// The one thread that reads from and writes to all shims, and that hears of changed logs.
///
/// It holds a connection for as long as that is open. Deadlines are looked at four times a second while a call has one.
final class ShimReactor: Sendable {
    private static let wakeUpToken: UInt64 = 0
    private static let deadlineCheckMilliseconds: Int32 = 250

    private struct State {
        var sources: [UInt64: any ReactorSource] = [:]
        var connections: [UInt64: ShimConnection] = [:]
        var nextToken: UInt64 = 1
        var isStopped = false
    }

    private let epoll: Epoll
    private let wakeUp: EventCounter
    private let state = Mutex(State())
    /// Calls under way that have a deadline.
    private let timedCalls = Atomic<Int>(0)
    private let logger: Logger

    init(logger: Logger) throws(SyscallError) {
        epoll = try Epoll()
        wakeUp = try EventCounter(blocking: false)
        self.logger = logger
        try epoll.add(wakeUp.number, for: .readable, token: Self.wakeUpToken)
    }

    /// Starts the thread, which ends with `stop`.
    func start() throws(SyscallError) {
        try startThread(named: "shims") { [self] in run() }
    }

    /// Whether `stop` was called: connections that break from then on say nothing about shims.
    var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Closes every connection; shims and containers go on.
    func stop() {
        state.withLock { $0.isStopped = true }
        wakeUp.raise()
    }

    /// Takes over a connected, non-blocking socket.
    func connect(_ socket: consuming OwnedFD, name: String) throws(SyscallError) -> ShimConnection {
        let token = newToken()
        let connection = ShimConnection(socket: socket, token: token, name: name, reactor: self)
        state.withLock { $0.connections[token] = connection }
        do throws(SyscallError) {
            try epoll.add(connection.descriptor, for: .readable, token: token)
        } catch {
            state.withLock { _ = $0.connections.removeValue(forKey: token) }
            throw error
        }
        return connection
    }

    /// Serves one more descriptor for as long as the thread runs.
    func serve(_ source: any ReactorSource) throws(SyscallError) {
        try serve(source, token: newToken())
    }

    /// Calls once, on the thread, when a process has ended.
    /// - Throws: ESRCH where there is none of that number.
    func tellEnd(of process: Int32, _ tell: @escaping @Sendable () -> Void) throws(SyscallError) {
        let token = newToken()
        let watch = ProcessEndWatch(try openProcess(process)) { [weak self] descriptor in
            self?.release(token, descriptor)
            tell()
        }
        do throws(SyscallError) { try serve(watch, token: token) } catch {
            state.withLock { _ = $0.sources.removeValue(forKey: token) }
            throw error
        }
    }

    private func serve(_ source: any ReactorSource, token: UInt64) throws(SyscallError) {
        state.withLock { $0.sources[token] = source }
        try epoll.add(source.descriptor, for: .readable, token: token)
    }

    private func release(_ token: UInt64, _ descriptor: Int32) {
        do throws(SyscallError) { try epoll.remove(descriptor) } catch { logger.debug("a process that has ended: \(error)") }
        state.withLock { _ = $0.sources.removeValue(forKey: token) }
    }

    private func newToken() -> UInt64 {
        state.withLock { state in
            defer { state.nextToken += 1 }
            return state.nextToken
        }
    }

    // MARK: - For connections

    func setInterest(_ readiness: Readiness, of connection: ShimConnection) {
        do throws(SyscallError) { try epoll.change(connection.descriptor, for: readiness, token: connection.token) } catch {
            logger.debug("shim connection: \(error)", metadata: ["shim": "\(connection.name)"])
        }
    }

    /// Lets go of a connection that has closed itself.
    func forget(_ connection: ShimConnection) {
        guard state.withLock({ $0.connections.removeValue(forKey: connection.token) }) != nil else { return }
        do throws(SyscallError) { try epoll.remove(connection.descriptor) } catch {
            logger.debug("shim connection: \(error)", metadata: ["shim": "\(connection.name)"])
        }
    }

    func callBegan() {
        if timedCalls.add(1, ordering: .relaxed).oldValue == 0 { wakeUp.raise() }
    }

    func callEnded() { timedCalls.subtract(1, ordering: .relaxed) }

    // MARK: - The thread

    private func run() {
        while true {
            let isTimed = timedCalls.load(ordering: .relaxed) > 0
            let events: [ReadyEvent]
            do throws(SyscallError) {
                events = try epoll.wait(timeoutMilliseconds: isTimed ? Self.deadlineCheckMilliseconds : nil)
                if events.contains(where: { $0.token == Self.wakeUpToken }) { try wakeUp.take() }
            } catch {
                logger.error("the shim thread ends: \(error)")
                return closeAll("the daemon lost its connections: \(error)")
            }
            if state.withLock({ $0.isStopped }) { return closeAll("the daemon is shutting down") }
            for event in events where event.token != Self.wakeUpToken {
                source(event.token)?.handle(event.readiness)
            }
            if isTimed {
                let now = monotonicNanoseconds()
                for connection in state.withLock({ Array($0.connections.values) }) { connection.expireCalls(now: now) }
            }
        }
    }

    private func source(_ token: UInt64) -> (any ReactorSource)? {
        state.withLock { $0.connections[token] ?? $0.sources[token] }
    }

    private func closeAll(_ reason: String) {
        let everyone = state.withLock { state in Array(state.sources.values) + Array(state.connections.values) }
        for source in everyone { source.reactorStopped(reason) }
    }
}
