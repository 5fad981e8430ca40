internal import CLinux
internal import Glibc

/// Waits until one of some descriptors can be read, or has ended.
/// - Parameter timeoutMilliseconds: nil waits as long as it takes.
/// - Returns: the indices of those that are ready, none after the timeout. - Source: poll(2).
package func waitUntilReadable(_ descriptors: [Int32], timeoutMilliseconds: Int32? = nil) throws(SyscallError) -> [Int] {
    var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    return try wait(&entries, timeoutMilliseconds)
}

/// A descriptor and what is to be done with it.
package struct AwaitedDescriptor: Equatable, Sendable {
    package enum Action: Sendable { case read, write }

    package let number: Int32
    package let action: Action

    package init(_ number: Int32, to action: Action) {
        self.number = number
        self.action = action
    }
}

/// Waits until one of some descriptors can be read or written, as is asked of each, or has ended. What can be written takes PIPE_BUF bytes
/// of a pipe without waiting.
/// - Parameter timeoutMilliseconds: nil waits as long as it takes.
/// - Returns: the indices of those that are ready, none after the timeout. - Source: poll(2), pipe(7).
package func waitUntilReady(_ descriptors: [AwaitedDescriptor], timeoutMilliseconds: Int32? = nil) throws(SyscallError) -> [Int] {
    var entries = descriptors.map { pollfd(fd: $0.number, events: Int16($0.action == .read ? POLLIN : POLLOUT), revents: 0) }
    return try wait(&entries, timeoutMilliseconds)
}

private func wait(_ entries: inout [pollfd], _ timeoutMilliseconds: Int32?) throws(SyscallError) -> [Int] {
    let count = nfds_t(entries.count)
    let deadline = timeoutMilliseconds.map { monotonicNanoseconds() + Int64($0) * 1_000_000 }
    var remaining = timeoutMilliseconds ?? -1
    while true {
        let ready = unsafe poll(&entries, count, remaining)
        if ready >= 0 { return entries.indices.filter { entries[$0].revents != 0 } }
        if Glibc.errno != EINTR { throw SyscallError("poll", errno: Glibc.errno) }
        if let deadline { remaining = Int32(clamping: max(0, (deadline - monotonicNanoseconds()) / 1_000_000)) }
    }
}

/// Both ends of a pipe, close-on-exec. - Source: pipe2(2).
@frozen package struct Pipe: ~Copyable {
    package let readEnd: OwnedFD
    package let writeEnd: OwnedFD

    package init() throws(SyscallError) {
        var ends: [Int32] = [-1, -1]
        try checked("pipe2") { unsafe clinux_pipe(&ends) }
        readEnd = OwnedFD(owning: ends[0])
        writeEnd = OwnedFD(owning: ends[1])
    }

    /// Gives the reading end away and closes the other: the pipe ends with its last foreign writer.
    package consuming func takeReadEnd() -> OwnedFD { readEnd }
}

/// Locks an open file against others that lock it, without waiting. - Returns: false where another holds the lock. - Source: flock(2).
package func tryLockFile(_ file: borrowing OwnedFD, subject: String) throws(SyscallError) -> Bool {
    let number = file.number
    do {
        try retryingInterrupted("flock", subject) { flock(number, LOCK_EX | LOCK_NB) }
        return true
    } catch  where error.errno == EWOULDBLOCK { return false }
}
