internal import Archive
internal import CoreTypes
internal import Registry

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
        /// The policy of this machine does not accept the image.
        case refused
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
    /// No one waits for the result any more.
    static var cancelled: ImageError { ImageError(.cancelled, "the operation was cancelled") }

    /// The disk, the database or the kernel refused.
    static func storage(_ cause: any Error) -> ImageError { ImageError(.storage, "\(cause)", cause: cause) }

    /// A blob turned out to be damaged on its way out.
    static func lostBytes(of digest: Digest) -> ImageError {
        ImageError(.badContent, "the disk lost bytes of \(digest): repair the store with `apus system check --repair`")
    }

    /// Docker's words for a repository that a registry does not let one pull from.
    static func pullDenied(_ name: String, _ cause: RegistryError) -> ImageError {
        ImageError(
            .denied, "pull access denied for \(name), repository does not exist or may require 'docker login': \(cause.cause)", cause: cause
        )
    }

    /// A registry's answer in general; `pull` says what it means for a name.
    static func registry(_ cause: RegistryError) -> ImageError {
        let code: Code =
            switch cause.code {
            case .notFound: .notFound
            case .denied: .denied
            case .unauthorized: .unauthorized
            case .cancelled: .cancelled
            case .badName: .invalid
            case .tooManyRequests, .server, .network, .interrupted, .stalled, .outOfStep, .wrongDigest, .malformed, .receiverStopped,
                .refused:
                .registry
            }
        return ImageError(code, cause.description, cause: cause)
    }

    /// A layer that could not be unpacked: its own fault, or the disk's.
    static func archive(_ cause: ArchiveError, layer: Digest) -> ImageError {
        archive(cause) { "failed to register layer \(layer): \($0)" }
    }

    /// An archive that could not be read.
    static func archive(_ cause: ArchiveError, in what: String) -> ImageError { archive(cause) { "\(what) cannot be read: \($0)" } }

    private static func archive(_ cause: ArchiveError, _ sentence: (ArchiveError) -> String) -> ImageError {
        let code: Code =
            switch cause.code {
            case .cancelled: .cancelled
            case .system, .noSpace, .timedOut, .source: .storage
            case .corruptStream, .truncated, .trailingBytes, .malformed, .refusedEntry, .overLimit: .badContent
            }
        return ImageError(code, sentence(cause), cause: cause)
    }
}
