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
    OwnedFD(
        owning: try onOwnThread { () throws(SyscallError) in
            try unshareNamespaces(.mount, subject: "mount namespace")
            try mount("", onto: "/", flags: [.isPrivate, .recursive])
            return try open().release()
        })
}

/// Does something on a thread whose working directory is its own, and waits for its end.
/// - Parameter directory: where it begins.
/// - Source: unshare(2), CLONE_FS.
func inOwnWorkingDirectory(_ directory: FilePath, _ body: @escaping @Sendable () throws(SyscallError) -> Void) throws(SyscallError) {
    _ = try onOwnThread { () throws(SyscallError) in
        try checked("unshare", "working directory") { clinux_unshare(cloneFileSystem) }
        try changeDirectory(to: try openFile(directory, [.path, .directory]), subject: directory.string)
        try body()
        return 0
    }
}

/// CLONE_FS of linux/sched.h.
private let cloneFileSystem: Int32 = 0x200

private func onOwnThread(_ body: @escaping @Sendable () throws(SyscallError) -> Int32) throws(SyscallError) -> Int32 {
    let result = ThreadResult()
    try startThread(waits: true) {
        do throws(SyscallError) { result.settle(.success(try body())) } catch { result.settle(.failure(error)) }
    }
    return try result.value.get()
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

/// What a thread came to, on its way to the one that waits for it.
private final class ThreadResult: Sendable {
    private let state = Mutex(Result<Int32, SyscallError>.failure(SyscallError("pthread_create", "a thread", errno: 0)))

    func settle(_ result: Result<Int32, SyscallError>) { state.withLock { $0 = result } }

    var value: Result<Int32, SyscallError> { state.withLock { $0 } }
}
