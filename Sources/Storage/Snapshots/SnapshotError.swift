package import LinuxSyscalls

/// Why a snapshot could not be made, found or removed.
package struct SnapshotError: OperationError, Equatable, Sendable {
    package enum Code: String, OperationErrorCode {
        case notFound = "not found"
        case alreadyExists = "already exists"
        /// Something is built on it.
        case inUse = "in use"
        /// A key that is no single safe path component.
        case invalidKey = "invalid key"
        /// More layers than `layerDepthLimit`, or than the kernel takes from this data root.
        case tooDeep = "too many layers"
        /// This back end cannot do it.
        case unsupported
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
}
