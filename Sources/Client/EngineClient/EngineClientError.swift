/// Why a request to the daemon came to nothing.
public enum EngineClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not a place this client can speak to.
    case unsupportedEndpoint(String, reason: String)
    /// Nobody answers there.
    case cannotConnect(EngineEndpoint, reason: String)
    /// The other side did not prove itself, or we not to it.
    case insecure(EngineEndpoint, reason: String)
    /// The daemon refused: the HTTP status, and the message of its error document.
    case refused(status: Int, message: String)
    /// The connection ended, or what came over it is not what was asked for.
    case brokenExchange(String)

    static let dialEnded = "ssh has ended before the daemon answered"

    /// The line that a user is shown.
    public var description: String {
        switch self {
        case .unsupportedEndpoint(let url, let reason):
            "unable to parse docker host `\(url)`: \(reason)"
        case .cannotConnect(let endpoint, reason: "permission denied"):
            "permission denied while trying to connect to the apus daemon socket at \(endpoint)"
        case .cannotConnect(let endpoint, Self.dialEnded): "error during connect: \(endpoint): \(Self.dialEnded)"
        case .cannotConnect(let endpoint, _):
            "Cannot connect to the apus daemon at \(endpoint). Is the apus daemon running?"
        case .insecure(let endpoint, let reason): "error during connect: \(endpoint) is not secure: \(reason)"
        case .refused(_, let message): "Error response from daemon: \(message)"
        case .brokenExchange(let what): "the daemon's answer broke off: \(what)"
        }
    }
}
