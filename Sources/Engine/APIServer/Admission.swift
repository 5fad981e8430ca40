internal import NIOHTTP1

/// Which requests of a place are looked at. Where anybody's browser may be made to send some, a page's are refused: those that say that
/// they come from a page, and those that name a host that is not this one, which is how a page gets round its own origin.
package enum Admission: Sendable, Equatable {
    /// Who can connect is trusted.
    case everyone
    /// Requests to an address, to this machine's names or to `localhost`; none of a page.
    case noPages(hosts: Set<String>)

    func check(_ head: HTTPRequestHead) throws(APIError) {
        guard case .noPages(let hosts) = self else { return }
        if let origin = head.headers.first(name: "origin") {
            throw APIError(.forbidden, "requests of web pages are not served (Origin: \(origin))")
        }
        guard let host = head.headers.first(name: "host").map(Self.name) else {
            if head.version == .http1_0 { return }
            throw .badRequest("the request names no host")
        }
        guard Self.isAddress(host) || host == "localhost" || hosts.contains(host) else {
            throw APIError(
                .forbidden, "the host \(host) is not this one: ask by an address, or start the daemon with --host tcp://\(host):PORT")
        }
    }

    /// The name of a `Host` header, without its port.
    private static func name(_ text: String) -> String {
        if text.hasPrefix("[") { return String(text.dropFirst().prefix { $0 != "]" }) }
        return text.prefix { $0 != ":" }.lowercased()
    }

    private static func isAddress(_ host: String) -> Bool {
        host.contains(":") || !host.isEmpty && host.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") }
    }
}
