internal import NIOCore

/// Runs tasks on the thread of an event loop. Those of connections run there: a request is read, looked up and answered without another
/// thread being woken, and what blocks has threads of its own wherever it is called.
final class EventLoopTasks: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
