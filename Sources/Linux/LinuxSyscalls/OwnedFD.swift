internal import Glibc

/// A file descriptor with one owner: lent by `borrowing`, given away by `consuming`, closed at the end
/// of its life. Call `close()` where the result matters.
package struct OwnedFD: ~Copyable, Sendable {
    /// The descriptor number, for a call made while this value is alive.
    package let number: Int32

    /// Takes ownership of an open descriptor.
    package init(owning number: Int32) {
        precondition(number >= 0, "descriptor \(number) is not open")
        self.number = number
    }

    deinit { _ = Glibc.close(number) }

    /// Closes the descriptor and reports what close(2) said. It is gone whatever the result: Linux frees
    /// the number even on EINTR.
    package consuming func close() throws(SyscallError) {
        let closing = number
        discard self
        if Glibc.close(closing) == -1 && Glibc.errno != EINTR {
            throw SyscallError("close", "descriptor \(closing)", errno: Glibc.errno)
        }
    }

    /// Gives up ownership: the caller now closes the number.
    package consuming func release() -> Int32 {
        let released = number
        discard self
        return released
    }

    /// A second descriptor of the same open file, close-on-exec (F_DUPFD_CLOEXEC).
    package func duplicate() throws(SyscallError) -> OwnedFD {
        OwnedFD(
            owning: try retryingInterrupted("fcntl F_DUPFD_CLOEXEC", "descriptor \(number)") {
                fcntl(number, F_DUPFD_CLOEXEC, 3)
            })
    }
}
