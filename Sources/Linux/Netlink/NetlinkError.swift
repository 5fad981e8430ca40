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
    /// The kernel's own words about it; empty where it has none.
    package let words: String

    package init(code: Code, doing: String, cause: SyscallError?, words: String = "") {
        self.code = code
        self.doing = doing
        self.cause = cause
        self.words = words
    }

    package var description: String {
        let failure = code == .malformedAnswer ? "malformed answer from the kernel" : cause?.description ?? ""
        return [doing, failure, words].filter { !$0.isEmpty }.joined(separator: ": ")
    }
}
