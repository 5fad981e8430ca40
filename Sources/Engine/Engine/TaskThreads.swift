internal import Dispatch
package import LinuxSyscalls
internal import Synchronization

/// The threads that run the daemon's tasks, but for what the thread that reads connections answers itself, in place of libdispatch's: those are shared
/// with whoever uses a concurrent queue, and are watched by a monitor that ends the process where it cannot open `/proc/TID/stat`, as when descriptors
/// have run out.
package final class TaskThreads: TaskExecutor {
    /// Tasks are short, for what blocks has threads of its own.
    private static let count = 4

    /// The daemon's.
    package static let daemon = TaskThreads()

    private struct Jobs {
        /// The next one last.
        var leaving: [UnownedJob] = []
        var arriving: [UnownedJob] = []

        mutating func popFirst() -> UnownedJob? {
            if leaving.isEmpty {
                leaving = arriving.reversed()
                arriving.removeAll(keepingCapacity: true)
            }
            return leaving.popLast()
        }
    }

    private let jobs = Mutex(Jobs())
    // Dispatch traps when a semaphore dies below the value it was born with, so it is born empty.
    private let filled = DispatchSemaphore(value: 0)

    private init() {}

    /// Starts them; once, before the first task that prefers them.
    package func start() throws(SyscallError) {
        for _ in 0..<Self.count { try startThread(named: "tasks") { self.serve() } }
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.arriving.append(job) }
        filled.signal()
    }

    private func serve() -> Never {
        while true {
            filled.wait()
            // As many signals as jobs: there is one.
            guard let job = jobs.withLock({ $0.popFirst() }) else { continue }
            unsafe job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}

/// Lets time pass. The timers are a serial queue's, which libdispatch gives a thread that no monitor watches.
package enum Pause {
    private static let queue = DispatchQueue(label: "apus.pauses")

    /// Ends when the time is over, or at once when the task is cancelled.
    package static func wait(for duration: Duration) async throws(CancellationError) {
        let over = OneShot<Void>()
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler { over.settle(()) }
        timer.schedule(deadline: .now() + .nanoseconds(Int(max(0, duration.nanoseconds))))
        timer.activate()
        defer { timer.cancel() }
        try await over.value()
    }
}
