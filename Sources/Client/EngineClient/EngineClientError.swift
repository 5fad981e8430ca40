/// Why a request to the daemon came to nothing.
public enum EngineClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not a place this client can speak to.
    case unsupportedEndpoint(String, reason: String)
    /// Nobody answers there.
    case cannotConnect(EngineEndpoint, Obstacle)
    /// The other side did not prove itself, or we not to it.
    case insecure(EngineEndpoint, reason: String)
    /// A name is empty that the request is about: of a `container`, say.
    case emptyName(kind: String)
    /// The daemon refused: the HTTP status, and the message of its error document.
    case refused(status: Int, message: String)
    /// The daemon had begun to tell of its progress, and then failed: the message of that.
    case failed(message: String)
    /// The connection ended, or what came over it is not what was asked for.
    case brokenExchange(String)

    /// What keeps a connection from being made.
    public enum Obstacle: Equatable, Sendable {
        /// The socket is there, and not for this user.
        case permissionDenied
        /// ssh ended before the daemon answered: why, it has told itself.
        case dialEnded
        /// What the system says of a place where nobody listens.
        case unreachable(String)

        /// What the system's refusal of a connection says.
        package init(errno: Int32) { self = errno == Self.accessErrno ? .permissionDenied : .unreachable("errno \(errno)") }

        /// EACCES.
        private static let accessErrno: Int32 = 13
    }

    /// The line that a user is shown.
    public var description: String {
        switch self {
        case .unsupportedEndpoint(let url, let reason):
            "unable to parse docker host `\(url)`: \(reason)"
        case .cannotConnect(let endpoint, .permissionDenied):
            "permission denied while trying to connect to the apus daemon socket at \(endpoint)"
        case .cannotConnect(let endpoint, .dialEnded): "error during connect: \(endpoint): ssh has ended before the daemon answered"
        case .cannotConnect(let endpoint, .unreachable):
            "Cannot connect to the apus daemon at \(endpoint). Is the apus daemon running?"
        case .insecure(let endpoint, let reason): "error during connect: \(endpoint) is not secure: \(reason)"
        case .emptyName(let kind): "invalid \(kind) name or ID: value is empty"
        case .refused(_, let message): "Error response from daemon: \(message)"
        case .failed(let message): message
        case .brokenExchange(let what): "the daemon's answer broke off: \(what)"
        }
    }
}
