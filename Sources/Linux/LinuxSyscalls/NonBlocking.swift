internal import Glibc
internal import SystemPackage

/// Opens what a descriptor refers to anew, with flags of its own: a pipe's end for both directions, an O_PATH
/// descriptor for reading. Needs procfs. - Source: proc_pid_fd(5).
package func reopen(_ descriptor: Int32, _ flags: OpenFlags) throws(SyscallError) -> OwnedFD {
    try openFile(FilePath("/proc/self/fd/\(descriptor)"), flags)
}

/// Sets or clears O_NONBLOCK of an open file, for everyone who shares it. - Source: fcntl(2), F_SETFL.
package func setNonBlocking(_ nonBlocking: Bool, of descriptor: Int32) throws(SyscallError) {
    let flags = try retryingInterrupted("fcntl F_GETFL", "descriptor \(descriptor)") { fcntl(descriptor, F_GETFL) }
    let wanted = nonBlocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
    try retryingInterrupted("fcntl F_SETFL", "descriptor \(descriptor)") { fcntl(descriptor, F_SETFL, wanted) }
}

/// Lets a program that is executed have the descriptor, or keeps it from it. - Source: fcntl(2), F_SETFD.
package func setCloseOnExec(_ closeOnExec: Bool, of descriptor: Int32) throws(SyscallError) {
    try retryingInterrupted("fcntl F_SETFD", "descriptor \(descriptor)") {
        fcntl(descriptor, F_SETFD, closeOnExec ? FD_CLOEXEC : 0)
    }
}

/// What a read that does not wait found.
package enum ReadOutcome: Equatable, Sendable {
    case bytes(Int)
    case end
    case wouldBlock
}

/// Reads what a non-blocking descriptor has, at most `buffer.count` bytes. A terminal master whose other end
/// is closed says EIO: that is its end. - Source: read(2).
package func readAvailable(_ descriptor: Int32, into buffer: inout [UInt8]) throws(SyscallError) -> ReadOutcome {
    do throws(SyscallError) {
        let count = try readBytes(descriptor, into: &buffer)
        return count == 0 ? .end : .bytes(count)
    } catch {
        switch error.errno {
        case EAGAIN: return .wouldBlock
        case EIO: return .end
        default: throw error
        }
    }
}

/// Writes what a non-blocking descriptor takes and returns how much that was, 0 when it would block.
/// - Source: write(2).
package func writeAvailable(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) throws(SyscallError) -> Int {
    if bytes.isEmpty { return 0 }
    do throws(SyscallError) {
        return try retryingInterrupted("write", "descriptor \(descriptor)") {
            unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
        }
    } catch  where error.errno == EAGAIN {
        return 0
    }
}

extension SyscallError {
    /// The call would have waited, on a descriptor that does not: EAGAIN.
    package var isWouldBlock: Bool { errno == EAGAIN }
    /// The other end of a pipe or socket is gone: EPIPE or ECONNRESET.
    package var isPeerGone: Bool { errno == EPIPE || errno == ECONNRESET }
    /// Nobody listens on the socket: ECONNREFUSED.
    package var isRefused: Bool { errno == ECONNREFUSED }
    /// There is no such file, process or name: ENOENT or ESRCH.
    package var isMissing: Bool { errno == ENOENT || errno == ESRCH }
    /// The kernel has no room for it now: ENOMEM, or ENOSPC of epoll_ctl(2).
    package var isOutOfResources: Bool { errno == ENOMEM || errno == ENOSPC }
    /// What was to be unmounted is no mount point: EINVAL of umount2(2).
    package var isNotMounted: Bool { call == "umount" && errno == EINVAL }
    /// There is such a file already: EEXIST.
    package var isExisting: Bool { errno == EEXIST }
    /// A directory still holds something: ENOTEMPTY.
    package var isNotEmpty: Bool { errno == ENOTEMPTY }
}
