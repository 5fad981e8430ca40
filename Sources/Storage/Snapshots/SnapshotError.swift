package import LinuxSyscalls

/// Why a snapshot could not be made, found or removed.
package struct SnapshotError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case notFound = "not found"
        case alreadyExists = "already exists"
        /// Something is built on it.
        case inUse = "in use"
        /// A key that is no single safe path component.
        case invalidKey = "invalid key"
        /// More layers than `layerDepthLimit`, or than the kernel takes from this data root.
        case tooDeep = "too many layers"
        /// The store's directory is not what this version writes.
        case unsupportedFormat = "unsupported format"
        /// The kernel refused; see `cause`.
        case system = "system error"
    }

    package let code: Code
    package let doing: String
    package let subject: String
    package let cause: SyscallError?

    package init(_ code: Code, doing: String, subject: String, cause: SyscallError? = nil) {
        self.code = code
        self.doing = doing
        self.subject = subject
        self.cause = cause
    }

    package var description: String {
        if let cause { return "\(doing) \(subject): \(cause)" }
        return "\(doing) \(subject): \(code.rawValue)"
    }
}

/// Runs kernel calls and says what they were for when one is refused.
func wrapping<Result: ~Copyable>(
    _ doing: String, _ subject: @autoclosure () -> String, _ body: () throws(SyscallError) -> Result
) throws(SnapshotError) -> Result {
    do throws(SyscallError) { return try body() } catch {
        throw SnapshotError(.system, doing: doing, subject: subject(), cause: error)
    }
}
