internal import CoreTypes
internal import Glibc
package import LinuxSyscalls

/// Why a container's file system could not be set up. Prints as `mount proc onto /proc: EPERM (1)`.
package struct RootfsError: ErrorWithAftermath, Equatable, Sendable {
    /// What kind of failure it is.
    package enum Code: String, Sendable {
        /// The configuration asks for what makes no sense or is not allowed.
        case invalidConfiguration
        /// The configuration asks for what this runtime does not do.
        case unsupported
        /// The kernel refused a step, or a check before it failed; `cause` says how.
        case stepFailed
    }

    package let code: Code
    /// The step and its subject: `mount proc onto /proc`; for configuration the field: `mounts[3]`.
    package let step: String
    /// What is wrong, where no kernel call says so.
    package let problem: String
    package let cause: SyscallError?
    package var aftermath: [String] = []

    init(_ code: Code, _ step: String, _ problem: String) {
        self.code = code
        self.step = step
        self.problem = problem
        cause = nil
    }

    init(_ step: String, _ cause: SyscallError) {
        code = .stepFailed
        self.step = step
        problem = ""
        self.cause = cause
    }

    package var description: String { summary + remains }

    package var summary: String {
        guard let cause else { return "\(step): \(problem)" }
        let what = "\(step): \(errnoName(cause.errno)) (\(cause.errno))"
        if cause.errno == ENOSYS { return "\(what), \(cause.call)\(cause.requirement)" }
        // The call is told where it knows more than the step: which option, which component.
        return cause.subject.isEmpty || step.hasSuffix(cause.subject) ? what : "\(what), \(cause.call) \(cause.subject)"
    }
}
