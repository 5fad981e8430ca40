internal import SystemPackage

/// A value of `--host`.
enum HostAddress: Equatable, Sendable {
    case unix(FilePath)
    case internet(host: String, port: Int)
    /// Sockets that the service manager listens at.
    case inherited

    /// Ports of docker's daemons, with TLS and without.
    private static let port = (secure: 2376, plain: 2375)

    /// Reads `unix:///run/apus/apus.sock`, `tcp://HOST:PORT`, `fd://`.
    /// - Parameter isSecure: which port is meant where none is named.
    init(_ url: String, isSecure: Bool) throws(UsageError) {
        let parts = url.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, parts[0].hasSuffix(":"), parts[1].isEmpty else {
            throw UsageError("--host takes a URL such as unix:///run/apus/apus.sock or tcp://127.0.0.1:2376, not '\(url)'")
        }
        switch parts[0] {
        case "unix:": self = .unix(try Self.path(parts[2]))
        case "tcp:": self = try Self.internet(parts[2], port: isSecure ? Self.port.secure : Self.port.plain)
        case "fd:": self = .inherited
        default: throw UsageError("--host takes unix://, tcp:// or fd://, not '\(url)'")
        }
    }

    private static func path(_ text: String) throws(UsageError) -> FilePath {
        let path = FilePath(text)
        guard path.isAbsolute, path.string.utf8.count <= ListeningSocket.maximumPathByteCount else {
            throw UsageError(
                "--host unix:// takes an absolute path of at most \(ListeningSocket.maximumPathByteCount) bytes, not '\(path)'")
        }
        return path
    }

    private static func internet(_ text: String, port: Int) throws(UsageError) -> HostAddress {
        // An address of version 6 stands in brackets.
        let end = text.hasPrefix("[") ? text.firstIndex(of: "]").map { text.index(after: $0) } ?? text.endIndex : text.firstIndex(of: ":")
        let host = end.map { text[..<$0] } ?? text[...]
        let rest = end.map { text[$0...] } ?? ""
        guard rest.isEmpty || rest.hasPrefix(":"), let number = rest.isEmpty ? port : Int(rest.dropFirst()), (1...65535).contains(number),
            !host.isEmpty
        else { throw UsageError("--host tcp:// takes HOST:PORT, an address of version 6 in brackets, not '\(text)'") }
        return .internet(host: String(host.filter { $0 != "[" && $0 != "]" }), port: number)
    }
}
