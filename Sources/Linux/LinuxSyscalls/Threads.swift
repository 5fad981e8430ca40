internal import CLinux

/// Runs `body` on a thread of its own, with all signals blocked. The thread ends with `body`.
/// - Source: pthread_create(3).
package func startThread(_ body: @escaping @Sendable () -> Void) throws(SyscallError) {
    let box = unsafe Unmanaged.passRetained(ThreadBody(body)).toOpaque()
    do throws(SyscallError) {
        try checked("pthread_create") {
            unsafe clinux_start_thread(
                { argument in
                    guard let argument = unsafe argument else { return }
                    let box = unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
                    box.body()
                }, box)
        }
    } catch {
        unsafe Unmanaged<ThreadBody>.fromOpaque(box).release()
        throw error
    }
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
