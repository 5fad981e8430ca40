/// Where a daemon listens.
public struct EngineEndpoint: Sendable, Equatable, CustomStringConvertible {
    /// The way there.
    public enum Place: Sendable, Equatable {
        /// A unix socket.
        case unix(path: String)
        /// A host's name or address, and a port.
        case tcp(host: String, port: Int)
        /// Another machine's socket, by way of a program there that `ssh` starts.
        case ssh(SSHDestination)
    }

    /// Ports of docker's daemons.
    private static let port = (secure: 2376, plain: 2375)

    /// The way there.
    public let place: Place
    /// How the connection is made secure; nil for not at all.
    public let security: EngineSecurity?

    /// Where `apusd` listens unless told otherwise.
    public static let local = EngineEndpoint(socketPath: "/run/apus/apus.sock")

    /// A unix socket.
    public init(socketPath: String) {
        place = .unix(path: socketPath)
        security = nil
    }

    private init(_ place: Place, _ security: EngineSecurity? = nil) {
        self.place = place
        self.security = security
    }

    /// Reads a value of `-H` or `DOCKER_HOST`: `unix:///run/apus/apus.sock`, `tcp://host:2376` or `host`, `ssh://user@host`; `unix://`
    /// is the usual place.
    /// - Parameter security: of `tcp://`.
    /// - Throws: `EngineClientError.unsupportedEndpoint` for another scheme, and for a place that there cannot be.
    public init(url: String, security: EngineSecurity? = nil) throws(EngineClientError) {
        // As with docker, what names no way there is a host.
        let colon = url.firstRange(of: "://")
        let rest = colon.map { String(url[$0.upperBound...]) } ?? url
        switch colon.map({ String(url[..<$0.lowerBound]) }) ?? "tcp" {
        case "unix": self = try Self.unix(rest, url)
        case "tcp":
            guard let (host, port) = splitPort(rest.hasSuffix("/") ? String(rest.dropLast()) : rest) else {
                throw .unsupportedEndpoint(url, reason: "tcp:// takes HOST:PORT, an address of version 6 in brackets")
            }
            self.init(.tcp(host: host, port: port ?? (security == nil ? Self.port.plain : Self.port.secure)), security)
        case "ssh": self.init(.ssh(try SSHDestination(rest, url)))
        case let scheme: throw .unsupportedEndpoint(url, reason: "\(scheme):// is none of unix://, tcp:// and ssh://")
        }
    }

    private static func unix(_ path: String, _ url: String) throws(EngineClientError) -> EngineEndpoint {
        if path.isEmpty { return .local }
        guard path.hasPrefix("/"), path.utf8.count <= 107 else {
            throw .unsupportedEndpoint(url, reason: "a socket's path is absolute and at most 107 bytes long")
        }
        return EngineEndpoint(socketPath: path)
    }

    /// As a URL.
    public var description: String {
        switch place {
        case .unix(let path): "unix://\(path)"
        case .tcp(let host, let port): host.contains(":") ? "tcp://[\(host)]:\(port)" : "tcp://\(host):\(port)"
        case .ssh(let destination): "\(destination)"
        }
    }
}

/// Whom a client believes over TLS, and who it is. Files in PEM.
public struct EngineSecurity: Sendable, Equatable {
    /// Whose word is taken for the daemon; nil is the machine's own list.
    public var authorities: String?
    /// The client's certificate and its key.
    public var certificate: String?
    /// The key of `certificate`.
    public var key: String?
    /// Whether the daemon must prove itself.
    public var verifies: Bool

    /// All of it.
    public init(authorities: String? = nil, certificate: String? = nil, key: String? = nil, verifies: Bool = true) {
        self.authorities = authorities
        self.certificate = certificate
        self.key = key
        self.verifies = verifies
    }
}

/// Where `ssh` goes, and the daemon's socket there.
public struct SSHDestination: Sendable, Equatable, CustomStringConvertible {
    /// nil leaves it to ssh's own configuration.
    public let user: String?
    /// A name, an address, or a host of ssh's configuration.
    public let host: String
    /// nil leaves it to ssh's own configuration.
    public let port: Int?
    /// The daemon's socket there; nil is the usual one.
    public let socketPath: String?

    /// Reads `[USER@]HOST[:PORT][/SOCKET]`.
    init(_ text: String, _ url: String) throws(EngineClientError) {
        let slash = text.firstIndex(of: "/") ?? text.endIndex
        let path = String(text[slash...])
        let place = text[..<slash]
        let at = place.lastIndex(of: "@")
        user = at.map { String(place[..<$0]) }
        socketPath = path.isEmpty || path == "/" ? nil : path
        guard let (host, port) = splitPort(String(at.map { place[place.index(after: $0)...] } ?? place)) else {
            throw .unsupportedEndpoint(url, reason: "ssh:// takes [USER@]HOST[:PORT][/SOCKET]")
        }
        // A word that begins so would be an option of ssh.
        if host.hasPrefix("-") || user?.hasPrefix("-") == true || user?.contains(":") == true {
            throw .unsupportedEndpoint(url, reason: "no user or host begins with a dash, and a password has no place there")
        }
        (self.host, self.port) = (host, port)
    }

    /// The words of a command line that joins its standard streams with the daemon's socket.
    public var command: [String] {
        ["ssh", "-o", "ConnectTimeout=30", "-T"] + (user.map { ["-l", $0] } ?? []) + (port.map { ["-p", "\($0)"] } ?? [])
            + ["--", host, "apus"] + (socketPath.map { ["--host", "unix://" + Self.quoted($0)] } ?? []) + ["system", "dial-stdio"]
    }

    /// For the other machine's shell.
    private static func quoted(_ text: String) -> String {
        text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-".contains($0)) }
            ? text : "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    /// As a URL.
    public var description: String {
        let place = (user.map { $0 + "@" } ?? "") + (host.contains(":") ? "[\(host)]" : host) + (port.map { ":\($0)" } ?? "")
        return "ssh://" + place + (socketPath ?? "")
    }
}

/// Takes `HOST[:PORT]` apart; nil where it is none.
private func splitPort(_ text: String) -> (host: String, port: Int?)? {
    var host = text[...]
    var rest = text[text.endIndex...]
    if text.hasPrefix("[") {
        guard let end = text.firstIndex(of: "]") else { return nil }
        host = text[text.index(after: text.startIndex)..<end]
        rest = text[text.index(after: end)...]
    } else if let colon = text.firstIndex(of: ":") {
        host = text[..<colon]
        rest = text[colon...]
    }
    guard !host.isEmpty, host.allSatisfy({ !"/?# ".contains($0) }) else { return nil }
    if rest.isEmpty { return (String(host), nil) }
    guard rest.hasPrefix(":"), let port = Int(rest.dropFirst()), (1...65535).contains(port) else { return nil }
    return (String(host), port)
}
