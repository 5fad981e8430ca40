internal import NIOCore

/// Runs tasks on the thread of an event loop. Those of connections run there: what is quick to answer (`Route.isQuick`) is read, looked up and
/// answered without another thread being woken.
final class EventLoopTasks: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
