internal import CoreTypes
internal import Glibc
package import LinuxSyscalls

/// Why a cgroup could not be made, changed, read or removed.
package struct CgroupError: ErrorWithAftermath, Equatable, Sendable {
    /// What a caller can tell apart.
    package enum Code: Sendable {
        /// The configuration's cgroup path leads out of the hierarchy or names nothing.
        case invalidPath
        /// This kernel, this cgroup version or this build cannot do what was asked.
        case unsupported
        /// No cgroup file system is mounted, or none has the controller.
        case unavailable
        /// The cgroup has processes of someone else.
        case notEmpty
        /// The kernel refused.
        case refused
        /// What should have happened did not within its time.
        case timedOut
    }
    package let code: Code
    /// What was being done, with its operands: `set linux.resources.memory.limit: memory.limit_in_bytes to 4096`.
    package let doing: String
    /// Why it failed, where the kernel did not say.
    package let reason: String
    package let cause: SyscallError?
    package var aftermath: [String] = []

    package init(_ code: Code, doing: String, reason: String) {
        self.code = code
        self.doing = doing
        self.reason = reason
        cause = nil
    }

    package init(doing: String, cause: SyscallError) {
        code = .refused
        self.doing = doing
        reason = ""
        self.cause = cause
    }

    /// Whether the group is not there any more.
    package var isOfGroupGone: Bool { [ENOENT, ENODEV].contains(cause?.errno) }

    /// Whether the caller may not do it.
    package var lacksRights: Bool { [EACCES, EPERM, EROFS].contains(cause?.errno) }

    package var description: String { summary + remains }

    package var summary: String { "\(doing): \(cause?.description ?? reason)" }
}

/// Runs kernel calls, putting what was being done in front of a refusal.
func doing<Result: ~Copyable>(
    _ what: @autoclosure () -> String, _ body: () throws(SyscallError) -> Result
) throws(CgroupError) -> Result {
    do throws(SyscallError) { return try body() } catch { throw CgroupError(doing: what(), cause: error) }
}
