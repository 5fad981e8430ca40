package import LinuxSyscalls

/// Why a request to the kernel's network configuration failed.
package struct NetlinkError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    package enum Code: Sendable {
        /// A socket call failed; `cause` says which.
        case transport
        /// The kernel understood the request and refused it; `cause` holds its errno.
        case refused
        /// The answer is not what rtnetlink(7) promises.
        case malformedAnswer
    }

    package let code: Code
    /// What was asked for: `bring lo up`.
    package let doing: String
    /// The kernel's refusal, where there is one.
    package let cause: SyscallError?

    package var description: String {
        if let cause { return "\(doing): \(cause)" }
        return "\(doing): malformed answer from the kernel"
    }
}
