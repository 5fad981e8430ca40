internal import LinuxSyscalls

/// Why the server of names could not do something.
package struct NameServiceError: Error, Sendable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// The kernel refused.
        case kernel
        /// A file or an order is not what it should be.
        case malformed
    }

    package let code: Code
    /// One sentence.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ doing: String, _ error: SyscallError) { self.init(.kernel, "\(doing): \(error)") }

    package var description: String { message }
}
