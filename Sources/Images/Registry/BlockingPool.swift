internal import Dispatch
internal import LinuxSyscalls
internal import Synchronization

/// Threads for calls that block, so that they hold up no task, and no call of another pool. At most `width` run; the others wait in order.
///
/// They are threads of the pool's own: libdispatch has a few for all concurrent queues, and no more than 255 for all serial ones.
package final class BlockingPool: Sendable {
    /// How many threads stay for the next call, and for how long; others end with the call that they were made for.
    private static let restingLimit = 4
    private static let rest: DispatchTimeInterval = .seconds(5)
    /// How long the first of its threads waits to be asked for again where the kernel gives none.
    private static let refusalPause: DispatchTimeInterval = .milliseconds(100)

    private struct State {
        /// Calls at a time.
        var width: Int
        /// Threads that live.
        var threads = 0
        /// Threads that rest, less those that have been woken and have not looked yet.
        var resting = 0
        var waiting: [@Sendable () -> Void] = []

        var running: Int { threads - resting }
    }

    private enum Step {
        case work(@Sendable () -> Void)
        case rest
        case end
    }

    /// How many calls run at a time.
    package var width: Int { state.withLock(\.width) }
    private let name: String
    private let state: Mutex<State>
    // Dispatch traps when a semaphore dies below the value it was born with, so it is born empty.
    private let wake = DispatchSemaphore(value: 0)

    /// - Parameter name: what it is for.
    package init(name: String, width: Int) {
        precondition(width > 0, "a pool without threads runs nothing")
        self.name = name
        state = Mutex(State(width: width))
    }

    /// Lets so many calls run at a time from now on; those that run go on.
    package func limit(to width: Int) {
        precondition(width > 0, "a pool without threads runs nothing")
        let (woken, new) = state.withLock { state in
            state.width = width
            let wanted = max(0, min(state.waiting.count, width - state.running))
            let woken = min(wanted, state.resting)
            state.resting -= woken
            state.threads += wanted - woken
            return (woken, wanted - woken)
        }
        for _ in 0..<woken { wake.signal() }
        for _ in 0..<new { startThread() }
    }

    /// Runs `body` on one of the threads. A cancelled task still waits for it: pass `body` a `Cancellation` to end it early.
    package func run<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            start { continuation.resume(returning: Result(catching: body)) }
        }
        return try result.get()
    }

    /// Runs `body` on one of the threads, for whoever does not wait for it.
    package func start(_ body: @escaping @Sendable () -> Void) { _ = add(waits: true, body) }

    /// Runs `body` if a thread is idle now. - Returns: whether it will run.
    package func runIfIdle(_ body: @escaping @Sendable () -> Void) -> Bool { add(waits: false, body) }

    /// - Parameter waits: whether it may wait for a thread.
    /// - Returns: whether it will run.
    private func add(waits: Bool, _ body: @escaping @Sendable () -> Void) -> Bool {
        enum Means {
            case restingThread
            case newThread
            case busyThread
            case none
        }
        let means: Means = state.withLock { state in
            // Those that wait before it have the threads that are woken for them.
            let isFree = state.running < state.width
            guard isFree || waits else { return .none }
            state.waiting.append(body)
            guard isFree else { return .busyThread }
            if state.resting > 0 {
                state.resting -= 1
                return .restingThread
            }
            state.threads += 1
            return .newThread
        }
        switch means {
        case .restingThread: wake.signal()
        case .newThread: startThread()
        case .busyThread: break
        case .none: return false
        }
        return true
    }

    private func startThread() {
        do throws(SyscallError) { try LinuxSyscalls.startThread(named: shortName) { self.serve() } } catch {
            // The kernel gives no thread now. Another one of the pool takes the call; where there is none, it waits until there is.
            let isAlone = state.withLock { state in
                if state.threads == 1 { return true }
                state.threads -= 1
                return false
            }
            if isAlone { DispatchQueue(label: name).asyncAfter(deadline: .now() + Self.refusalPause) { self.startThread() } }
        }
    }

    /// The kernel keeps 15 bytes of a thread's name: the last words say more than the first one.
    private var shortName: String { name.split(separator: ".").dropFirst().joined(separator: ".") }

    private func nameThread(_ name: String) {
        // It works without a name as well.
        do throws(SyscallError) { try setProcessName(name) } catch {}
    }

    /// One thread's life.
    private func serve() {
        while true {
            let step: Step = state.withLock { state in
                // Of those that are too many since the width became less, each leaves what waits to the others.
                if !state.waiting.isEmpty, state.running <= state.width { return .work(state.waiting.removeFirst()) }
                guard state.resting < Self.restingLimit else {
                    state.threads -= 1
                    return .end
                }
                state.resting += 1
                return .rest
            }
            switch step {
            case .work(let body): body()
            case .rest: if !takesRest() { return }
            case .end: return
            }
        }
    }

    /// - Returns: whether there may be work; false is the thread's end.
    private func takesRest() -> Bool {
        // Who counts a pool's threads then knows those that still work.
        nameThread("resting")
        defer { nameThread(shortName) }
        if wake.wait(timeout: .now() + Self.rest) == .success { return true }
        let ends = state.withLock { state in
            // Where as many have been woken as rest, one of the signals is for this one.
            guard state.resting > 0 else { return false }
            state.resting -= 1
            state.threads -= 1
            return true
        }
        if !ends { wake.wait() }
        return !ends
    }
}
