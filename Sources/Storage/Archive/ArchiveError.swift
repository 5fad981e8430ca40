package import LinuxSyscalls

/// Why an archive could not be read or written.
package struct ArchiveError: OperationError, Equatable, Sendable {
    package enum Code: String, OperationErrorCode {
        /// The compressed stream is not what its format says.
        case corruptStream = "corrupt stream"
        /// The stream ends before its format says so.
        case truncated
        /// Bytes follow the end of the compressed stream that are neither padding nor another member.
        case trailingBytes = "trailing bytes"
        /// The tar itself is malformed.
        case malformed
        /// An entry that no layer may hold: a path upwards, a forged whiteout, an unknown type.
        case refusedEntry = "refused entry"
        /// A named limit of `ArchiveLimits` is passed.
        case overLimit = "over limit"
        /// Too little would stay free on the file system.
        case noSpace = "no space left"
        /// The producer of the bytes failed; its words are in `subject`.
        case source = "source failed"
        /// No byte came, or none was taken, before the deadline.
        case timedOut = "timed out"
        /// The other end gave up.
        case cancelled
        /// The kernel refused; see `cause`.
        case system = "system error"
    }

    package let code: Code
    /// What was being done: `unpack entry`.
    package let doing: String
    /// The entry or stream, and what is wrong with it where that helps.
    package let subject: String
    package let cause: SyscallError?

    package init(_ code: Code, doing: String, subject: String = "", cause: SyscallError? = nil) {
        self.code = code
        self.doing = doing
        self.subject = subject
        self.cause = cause
    }
}
