internal import CLinux
internal import Synchronization
internal import SystemPackage

/// Runs `body` on a thread of its own, with all signals blocked. The thread ends with `body`.
/// - Parameter name: what it is for, at most 15 bytes, for who counts the threads of a process: a thread has that of the one that started it otherwise.
/// - Source: pthread_create(3).
package func startThread(named name: String, _ body: @escaping @Sendable () -> Void) throws(SyscallError) {
    try startThread(waits: false) {
        // It works without a name as well.
        do throws(SyscallError) { try setProcessName(name) } catch {}
        body()
    }
}

/// Opens something on a thread that is in a mount namespace of its own, a private copy of this one, and waits for its end. The namespace
/// ends with the thread: what `open` mounts there is seen by nobody else, and lives on for as long as the descriptor is open.
/// - Source: mount_namespaces(7); unshare(2), CLONE_NEWNS.
package func openInOwnMountNamespace(_ open: @escaping @Sendable () throws(SyscallError) -> OwnedFD) throws(SyscallError) -> OwnedFD {
    let result = OpeningResult()
    try startThread(waits: true) {
        do throws(SyscallError) {
            try unshareNamespaces(.mount, subject: "mount namespace")
            try mount("", onto: "/", flags: [.isPrivate, .recursive])
            result.settle(.success(try open().release()))
        } catch { result.settle(.failure(error)) }
    }
    return OwnedFD(owning: try result.value.get())
}

private func startThread(waits: Bool, _ body: @escaping @Sendable () -> Void) throws(SyscallError) {
    let box = unsafe Unmanaged.passRetained(ThreadBody(body)).toOpaque()
    do throws(SyscallError) {
        try checked("pthread_create") {
            unsafe clinux_start_thread(
                { argument in
                    guard let argument = unsafe argument else { return }
                    let box = unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
                    box.body()
                }, box, waits ? 1 : 0)
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

/// A descriptor, or why there is none, on its way from a thread to the one that waits for it.
private final class OpeningResult: Sendable {
    private let state = Mutex(Result<Int32, SyscallError>.failure(SyscallError("open", "in a thread", errno: 0)))

    func settle(_ result: Result<Int32, SyscallError>) { state.withLock { $0 = result } }

    var value: Result<Int32, SyscallError> { state.withLock { $0 } }
}
