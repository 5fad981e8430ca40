internal import Dispatch

/// The end of a thread's work, for another thread to wait for.
final class DispatchEnd: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func signal() { semaphore.signal() }

    func wait() { semaphore.wait() }
}
