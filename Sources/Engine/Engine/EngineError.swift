/// Why the engine refused, in Docker's words: the API sends `message` as it stands.
package struct EngineError: Error, Sendable, CustomStringConvertible {
    /// What kind of refusal it is; the API's status follows from it.
    package enum Code: Sendable, Equatable, CaseIterable {
        /// The request asks for what is already so: 304.
        case notModified
        /// The request is wrong in itself: 400.
        case invalidParameter
        /// The registry wants other credentials: 401.
        case unauthorized
        /// The request may not be served to anyone: 403.
        case forbidden
        /// What the request names is not there: 404.
        case notFound
        /// The request does not fit the state of what it names: 409.
        case conflict
        /// The engine failed: 500.
        case system
        /// The request is right, and nothing here serves it: 501.
        case notImplemented
        /// What the engine needs does not answer: 503.
        case unavailable
    }

    package let code: Code
    /// One sentence for the client.
    package let message: String
    /// What failed below, for the daemon's own log.
    package let cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String {
        cause.map { "\(message) (cause: \($0))" } ?? message
    }

    /// A failure of the engine itself while doing something: `write the bundle: open /run/…: ENOSPC (28)`.
    static func system(_ doing: String, _ cause: any Error) -> EngineError {
        EngineError(.system, "\(doing): \(cause)", cause: cause)
    }
}
