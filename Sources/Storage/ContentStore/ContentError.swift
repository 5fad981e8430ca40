package import LinuxSyscalls

/// Why the content store could not do what it was asked.
package struct ContentError: OperationError, Equatable, Sendable {
    package enum Code: String, OperationErrorCode {
        /// No such blob.
        case notFound = "not found"
        /// Another ingest of the same digest is open.
        case busy
        /// The bytes hash to another digest than the one they were announced under.
        case digestMismatch = "digest mismatch"
        /// More or fewer bytes than announced.
        case sizeMismatch = "size mismatch"
        /// More bytes than the caller's limit.
        case tooLarge = "too large"
        /// The ingest has been committed or discarded already.
        case closed
        /// The store's own directory is not what this version writes.
        case unsupportedFormat = "unsupported format"
        /// The file system has less room than is needed.
        case noSpace = "no space left on device"
        /// The kernel refused; see `cause`.
        case system = "system error"
    }

    package let code: Code
    /// What was being done, as a reader would say it: `commit blob`.
    package let doing: String
    /// The blob or path, and what was found instead where that helps.
    package let subject: String
    package let cause: SyscallError?

    package init(_ code: Code, doing: String, subject: String, cause: SyscallError? = nil) {
        self.code = code
        self.doing = doing
        self.subject = subject
        self.cause = cause
    }
}
