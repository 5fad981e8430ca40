internal import Engine
internal import EngineAPI
package import NIOHTTP1

/// A refusal with its status, in the words that the client is shown.
package struct APIError: Error, Sendable {
    /// The status of the answer.
    package let status: HTTPResponseStatus
    /// One sentence; empty with 304, which has no body.
    package let message: String

    /// A refusal in the words of `message`.
    package init(_ status: HTTPResponseStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    /// 400.
    package static func badRequest(_ message: String) -> APIError { APIError(.badRequest, message) }

    /// What dockerd says to a path or method that it does not know.
    package static let pageNotFound = APIError(.notFound, "page not found")

    /// The refusal that any error below becomes.
    package init(_ error: any Error) {
        switch error {
        case let error as APIError: self = error
        case let error as DetachKeysError: self = .badRequest("\(error)")
        case let error as EngineError: self.init(Self.status(of: error.code), error.message)
        case is CancellationError: self.init(.serviceUnavailable, "the daemon is shutting down")
        default: self.init(.internalServerError, "\(error)")
        }
    }

    private static func status(of code: EngineError.Code) -> HTTPResponseStatus {
        switch code {
        case .notModified: .notModified
        case .invalidParameter: .badRequest
        case .unauthorized: .unauthorized
        case .forbidden: .forbidden
        case .notFound: .notFound
        case .conflict: .conflict
        case .system: .internalServerError
        case .notImplemented: .notImplemented
        case .unavailable: .serviceUnavailable
        }
    }
}
