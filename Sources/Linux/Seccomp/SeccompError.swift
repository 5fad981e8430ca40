package import LinuxSyscalls

/// Why a system call filter could not be made or loaded.
package struct SeccompError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    package enum Code: String, Sendable {
        /// The profile contradicts itself or holds a value out of range.
        case invalidProfile
        /// The profile asks for what this runtime does not do.
        case unsupported
        /// libseccomp refused to compile the profile.
        case compilationFailed
        /// The kernel refused; `cause` says how.
        case refused
    }

    package let code: Code
    /// What we were doing, and with what: `linux.seccomp.syscalls[3]`, `load seccomp filter`.
    package let doing: String
    package let problem: String
    package let cause: SyscallError?

    init(_ code: Code, _ doing: String, _ problem: String) {
        self.code = code
        self.doing = doing
        self.problem = problem
        cause = nil
    }

    init(_ doing: String, _ cause: SyscallError) {
        code = .refused
        self.doing = doing
        problem = ""
        self.cause = cause
    }

    package var description: String { cause.map { "\(doing): \($0)" } ?? "\(doing): \(problem)" }
}
