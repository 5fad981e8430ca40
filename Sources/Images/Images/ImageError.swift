/// Why an image operation failed; `message` is what Docker's client would print.
package struct ImageError: Error, Sendable, CustomStringConvertible {
    /// What a caller can tell apart.
    package enum Code: Equatable, Sendable {
        /// The name, reference or platform is malformed.
        case invalid
        /// No such image here, or no such manifest in the registry.
        case notFound
        /// The registry refused these credentials.
        case unauthorized
        /// The registry will not serve these credentials, or there is no such repository.
        case denied
        /// A short id that several images begin with.
        case ambiguous
        /// The image is in use, or has further names.
        case conflict
        /// The registry did not answer, or answered nonsense.
        case registry
        /// What arrived is not what its digest says, or no well-formed image.
        case badContent
        /// The disk, the database or the kernel refused.
        case storage
        /// The caller went away.
        case cancelled
    }

    package let code: Code
    /// One sentence, without the operation's name.
    package let message: String
    /// The error of the layer below, for the log.
    package let cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String { message }
}

extension ImageError {
    /// The disk, the database or the kernel refused.
    static func storage(_ cause: any Error) -> ImageError { ImageError(.storage, "\(cause)", cause: cause) }
}
