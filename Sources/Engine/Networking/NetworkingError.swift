internal import CoreTypes
internal import LinuxSyscalls
package import Netlink

/// Why a network could not be made as asked.
package struct NetworkingError: ErrorWithAftermath, Sendable {
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
    package let summary: String
    package var aftermath: [String] = []

    package init(_ code: Code, _ summary: String) {
        self.code = code
        self.summary = summary
    }

    package init(_ error: NetlinkError) {
        let tooManyPorts: Int32 = 54  // EXFULL
        guard error.cause?.errno == tooManyPorts else {
            self.init(.kernel, error.description)
            return
        }
        self.init(.exhausted, "the network is full: a bridge of Linux has at most 1023 ports; make a further network for more containers")
    }

    package var description: String { summary + remains }

    /// One of several steps of taking something away: also done where one before failed, and its failure put behind the first.
    package static func collect(in failure: inout NetworkingError?, _ step: () throws(NetworkingError) -> Void) {
        if let first = failure {
            failure = first.followed(by: step)
            return
        }
        do throws(NetworkingError) { try step() } catch { failure = error }
    }
}
