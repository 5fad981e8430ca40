/// A registry that could not be asked, or that said no.
package struct RegistryError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What a caller can tell apart.
    package enum Code: Equatable, Sendable {
        /// The registry knows the repository but not this manifest or blob: 404.
        case notFound
        /// The registry will not serve these credentials, or hides what is not theirs: 401 after a token was given, 403.
        case denied
        /// The credentials were refused, by the registry or by its token service.
        case unauthorized
        /// Too many requests, and still so after every retry: 429.
        case tooManyRequests
        /// The registry itself failed: 5xx.
        case server
        /// No answer: name resolution, connection, TLS, time-out.
        case network
        /// The connection ended in the middle, or a name was not found: it may be otherwise in a moment.
        case interrupted
        /// Nothing came for as long as may be: it may go on in a moment, and may not.
        case stalled
        /// The registry stands elsewhere in an upload than we do: 416.
        case outOfStep
        /// The registry found other bytes in an upload than its digest is of.
        case wrongDigest
        /// The answer breaks the protocol or a limit.
        case malformed
        /// Whoever takes the bytes would take no more; they know why.
        case receiverStopped
        /// Something that is refused by policy: a redirect to plain http, a realm that may not see a password.
        case refused
        /// What was given as a registry's name is none.
        case badName
        /// The caller went away.
        case cancelled
    }

    package let code: Code
    /// What was asked, with the method: `GET "https://registry-1.docker.io/v2/…"`. No secrets, no query.
    package let doing: String
    /// Why it failed: the registry's own `code: message`, or what the connection said.
    package let cause: String
    /// How long the registry wants to be left alone; nil where it does not say.
    package let retryAfterSeconds: Double?

    package init(_ code: Code, doing: String, cause: String, retryAfterSeconds: Double? = nil) {
        self.code = code
        self.doing = doing
        self.cause = cause
        self.retryAfterSeconds = retryAfterSeconds
    }

    package var description: String { doing.isEmpty ? cause : "\(doing): \(cause)" }
}
