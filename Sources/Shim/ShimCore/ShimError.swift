package import LinuxSyscalls
package import Protobuf
package import ShimProtocol

/// Why the shim refused or failed.
package struct ShimError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure, for those who act on it.
    package enum Code: Sendable {
        case invalidRequest
        case notFound
        case alreadyExists
        /// The process or the container stands elsewhere than the request needs.
        case wrongState
        case unsupported
        case limitReached
        case timedOut
        /// The runtime executable said no; the cause is its own line.
        case runtime
        /// The kernel said no.
        case kernel
        /// Another program spoke the protocol wrongly.
        case protocolViolation
        /// A file that a shim wrote is damaged, or a newer shim's.
        case unreadable
    }

    package let code: Code
    /// What we were doing, operands included: `mount overlay onto /run/…/rootfs`. May be empty for the runtime's own words.
    package let doing: String
    package let cause: String

    package init(_ code: Code, _ doing: String, cause: String = "") {
        self.code = code
        self.doing = doing
        self.cause = cause
    }

    package init(_ doing: String, _ error: SyscallError) { self.init(.kernel, doing, cause: "\(error)") }

    package init(_ doing: String, _ error: WireError) { self.init(.protocolViolation, doing, cause: "\(error)") }

    package var description: String { [doing, cause].filter { !$0.isEmpty }.joined(separator: ": ") }

    /// The longest text of a status: the request that it quotes may be as long as a frame.
    private static let statusByteCount = 4096

    /// The failure as a caller over ttrpc reads it.
    package var status: TtrpcStatus {
        TtrpcStatus(statusCode, String(decoding: description.utf8.prefix(Self.statusByteCount), as: UTF8.self))
    }

    private var statusCode: TtrpcStatus.Code {
        switch code {
        case .invalidRequest, .protocolViolation: .invalidArgument
        case .notFound: .notFound
        case .alreadyExists: .alreadyExists
        case .wrongState: .failedPrecondition
        case .unsupported: .unimplemented
        case .limitReached: .resourceExhausted
        case .timedOut: .deadlineExceeded
        case .runtime, .kernel, .unreadable: .unknown
        }
    }
}
