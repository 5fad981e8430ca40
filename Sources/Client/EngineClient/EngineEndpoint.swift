/// Where a daemon listens.
public struct EngineEndpoint: Sendable, Equatable, CustomStringConvertible {
    /// The path of its unix socket.
    public let socketPath: String

    /// Where `apusd` listens unless told otherwise.
    public static let local = EngineEndpoint(socketPath: "/run/apus/apus.sock")

    /// A unix socket.
    public init(socketPath: String) {
        self.socketPath = socketPath
    }

    /// Reads a value of `-H` or `DOCKER_HOST`: `unix:///run/apus/apus.sock`; `unix://` is the usual place.
    /// - Throws: `EngineClientError.unsupportedEndpoint` for another scheme, and for a path that a unix socket cannot have.
    public init(url: String) throws(EngineClientError) {
        guard let colon = url.firstRange(of: "://") else {
            throw .unsupportedEndpoint(url, reason: "expected unix://PATH")
        }
        let scheme = url[..<colon.lowerBound]
        let path = String(url[colon.upperBound...])
        guard scheme == "unix" else {
            throw .unsupportedEndpoint(url, reason: "\(scheme):// is not supported yet; use unix://PATH")
        }
        if path.isEmpty {
            self = .local
            return
        }
        guard path.hasPrefix("/"), path.utf8.count <= 107 else {
            throw .unsupportedEndpoint(url, reason: "a socket's path is absolute and at most 107 bytes long")
        }
        self.init(socketPath: path)
    }

    /// As a URL.
    public var description: String { "unix://\(socketPath)" }
}

/// Why a request to the daemon came to nothing.
public enum EngineClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not a place this client can speak to.
    case unsupportedEndpoint(String, reason: String)
    /// Nobody answers there.
    case cannotConnect(EngineEndpoint, reason: String)
    /// The daemon refused: the HTTP status, and the message of its error document.
    case refused(status: Int, message: String)
    /// The connection ended, or what came over it is not what was asked for.
    case brokenExchange(String)

    /// The line that a user is shown.
    public var description: String {
        switch self {
        case .unsupportedEndpoint(let url, let reason):
            "unable to parse docker host `\(url)`: \(reason)"
        case .cannotConnect(let endpoint, reason: "permission denied"):
            "permission denied while trying to connect to the apus daemon socket at \(endpoint)"
        case .cannotConnect(let endpoint, _):
            "Cannot connect to the apus daemon at \(endpoint). Is the apus daemon running?"
        case .refused(_, let message): "Error response from daemon: \(message)"
        case .brokenExchange(let what): "the daemon's answer broke off: \(what)"
        }
    }
}
