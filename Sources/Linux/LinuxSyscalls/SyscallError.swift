internal import CLinux
internal import Glibc

/// A kernel refusal: which call, on what, and why.
///
/// Prints as `open /srv/config.json: ENOENT (2)`.
package struct SyscallError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The call as the man pages spell it, with a direction where one helps: `open`, `mount`, `pivot_root`.
    package let call: String
    /// The operands that matter, as a reader would say them: `/srv onto /data`. May be empty.
    package let subject: String
    /// The error number of errno(3), positive.
    package let errno: Int32

    package init(_ call: String, _ subject: String = "", errno: Int32) {
        self.call = call
        self.subject = subject
        self.errno = errno
    }

    package var description: String {
        let operands = subject.isEmpty ? call : "\(call) \(subject)"
        return "\(operands): \(errnoName(errno)) (\(errno))\(requirement)"
    }

    /// Which Linux is needed, or what of a file system, where that is why: to be appended; empty otherwise.
    package var requirement: String {
        switch errno {
        case ENOSYS: Self.kernels[call].map { ", Linux \($0) has it, or a filter denies it" } ?? ""
        // "No space" says of it only half: bytes may be free in plenty. What sysfs and its cgroups lack is none of it.
        case ENOSPC where Self.makers.contains(call) && !subject.hasPrefix("/sys/"): ", a free inode and a free block are needed"
        default: ""
        }
    }

    /// Calls that make a file.
    private static let makers = ["open", "mkdir", "mknod", "symlink"]

    /// Whether it may be that the kernel has no such call, or that a filter denies it: older ones say EPERM of what they do not know.
    package var mayLackCall: Bool { errno == ENOSYS || errno == EPERM }

    /// The first Linux with a call that there is not always another way for. - Source: the calls' man pages, docs/decisions/0022.
    private static let kernels = [
        "open_tree": "5.2", "move_mount": "5.2", "fsopen": "5.2", "fsconfig": "5.2", "fsmount": "5.2", "mount_setattr": "5.12",
        "mount_setattr idmap": "5.12", "mount by descriptors": "5.12", "close_range": "5.11", "pidfd_open": "5.3",
        "pidfd_send_signal": "5.1",
        "pidfd_getfd": "5.6",
    ]
}

/// The symbolic name of an error number, `ENOENT` for 2; `errno N` where the C library knows none.
package func errnoName(_ number: Int32) -> String {
    guard let name = unsafe clinux_errno_name(number) else { return "errno \(number)" }
    return unsafe String(cString: name)
}

/// The C library's sentence for an error number, `No such file or directory` for 2.
package func errnoMessage(_ number: Int32) -> String {
    guard let text = unsafe clinux_errno_message(number) else { return "unknown error" }
    return unsafe String(cString: text)
}

/// Runs a libc call that returns -1 and sets errno on failure, again as long as a signal interrupts it.
/// - Throws: `SyscallError` with the errno that the call left.
@discardableResult
package func retryingInterrupted<Result: FixedWidthInteger & SignedInteger>(
    _ call: String, _ subject: @autoclosure () -> String = "", _ body: () -> Result
) throws(SyscallError) -> Result {
    while true {
        let result = body()
        if result != -1 { return result }
        let number = Glibc.errno
        if number != EINTR { throw SyscallError(call, subject(), errno: number) }
    }
}

/// Turns CLinux's "value or -errno" into a value or a thrown error, running the call again on EINTR.
@discardableResult
package func checked(
    _ call: String, _ subject: @autoclosure () -> String = "", _ body: () -> Int32
) throws(SyscallError) -> Int32 {
    while true {
        let result = body()
        if result >= 0 { return result }
        if result != -EINTR { throw SyscallError(call, subject(), errno: -result) }
    }
}
