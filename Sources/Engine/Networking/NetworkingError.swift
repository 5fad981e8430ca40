package import Netlink

/// Why a network could not be made as asked.
package struct NetworkingError: Error, Sendable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// The kernel refused.
        case kernel
        /// No address or block is left.
        case exhausted
        /// An address that was asked for belongs to another container.
        case addressTaken
        /// The request fits no network: an address outside, a name that is too long.
        case invalid
    }

    package let code: Code
    /// One sentence.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package init(_ error: NetlinkError) { self.init(.kernel, error.description) }

    package var description: String { message }
}
