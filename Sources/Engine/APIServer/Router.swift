package import EngineAPI
package import NIOHTTP1

/// What serves the requests of one method and path.
package struct Route: Sendable {
    /// Turns a request into an answer.
    package typealias Handler = @Sendable (APIRequest) async throws -> APIResponse

    /// GET, POST, …
    package let method: HTTPMethod
    /// The path's shape.
    package let pattern: RoutePattern
    /// Whether the handler takes the body as it comes, of any length.
    package let takesStream: Bool
    /// Whether a request is answered in much less than a millisecond, and by nothing that may block. It is served on the thread that reads all
    /// connections, which every other one holds up.
    let isQuick: @Sendable (APIRequest) -> Bool
    /// What serves it.
    package let handler: Handler

    /// Serves `method` on paths of the shape `pattern`.
    /// - Parameters:
    ///   - takesStream: whether the body is not read beforehand, but by the handler.
    ///   - isQuick: whether a request holds up nobody; no other one is served where it is read.
    package init(
        _ method: HTTPMethod, _ pattern: String, takesStream: Bool = false,
        isQuick: @escaping @Sendable (APIRequest) -> Bool = { _ in false }, _ handler: @escaping Handler
    ) {
        self.method = method
        self.takesStream = takesStream
        self.isQuick = isQuick
        self.pattern = RoutePattern(pattern)
        self.handler = handler
    }
}

/// A path with open pieces: `{}` is one segment, `{*}` one or more (an image's name holds slashes).
package struct RoutePattern: Sendable {
    private enum Piece: Sendable, Equatable {
        case literal(String)
        case segment
        case segments
    }

    /// As it was written.
    package let text: String
    private let pieces: [Piece]

    /// Reads a pattern such as `/images/{*}/json`.
    package init(_ text: String) {
        self.text = text
        pieces = text.split(separator: "/").map { word in
            switch word {
            case "{}": .segment
            case "{*}": .segments
            default: .literal(String(word))
            }
        }
    }

    /// What a path puts in the open pieces; nil when it has another shape.
    package func match(_ path: [String]) -> [String]? { Self.match(pieces[...], path[...]) }

    private static func match(_ pieces: ArraySlice<Piece>, _ path: ArraySlice<String>) -> [String]? {
        guard let piece = pieces.first else { return path.isEmpty ? [] : nil }
        let rest = pieces.dropFirst()
        switch piece {
        case .literal(let word):
            return path.first == word ? match(rest, path.dropFirst()) : nil
        case .segment:
            guard let segment = path.first else { return nil }
            return match(rest, path.dropFirst()).map { [segment] + $0 }
        case .segments:
            // A pattern has at most one of these: what stands behind it fixes its length.
            let count = path.count - rest.count
            guard count >= 1, let tail = match(rest, path.dropFirst(count)) else { return nil }
            return [path.prefix(count).joined(separator: "/")] + tail
        }
    }
}

/// What a request is for, by its first line.
package struct RequestTarget: Sendable {
    let version: APIVersion
    let path: [String]
    let query: Query
    /// What serves it, and what it puts in the route's open pieces.
    let found: Result<(route: Route, captures: [String]), APIError>
}

/// Finds the route of a request.
package struct Router: Sendable {
    private let routes: [Route]
    private let oldest: APIVersion

    /// Looks through `routes` in order.
    /// - Parameter oldest: of the versions of the API that are spoken.
    package init(_ routes: [Route], oldest: APIVersion = .oldest) {
        self.routes = routes
        self.oldest = oldest
    }

    /// The first route that matches.
    /// - Throws: `APIError.pageNotFound`.
    package func route(_ method: HTTPMethod, _ path: [String]) throws(APIError) -> (route: Route, captures: [String]) {
        for route in routes where route.method == method {
            if let captures = route.pattern.match(path) { return (route, captures) }
        }
        throw .pageNotFound
    }

    /// - Throws: `APIError` 400 for a version that is not spoken.
    func target(of head: HTTPRequestHead) throws(APIError) -> RequestTarget {
        let (version, path, query) = try Self.split(head.uri, oldest: oldest)
        let found = Result { () throws(APIError) in try route(head.method, path) }
        return RequestTarget(version: version, path: path, query: query, found: found)
    }

    /// Takes the version off a request target's path.
    /// - Parameter oldest: spoken.
    /// - Throws: `APIError` 400 for a version that is not spoken, in docker's words.
    package static func split(_ target: String, oldest: APIVersion = .oldest) throws(APIError) -> (
        version: APIVersion, path: [String], query: Query
    ) {
        // By bytes, of which slash and question mark are one each, whatever stands behind them.
        let parts = target.utf8.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false).map { Substring($0) }
        let decoded = PercentEncoding.decode(parts.first ?? "", plusIsSpace: false)
        var path = decoded.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
        let query = Query(parts.count == 2 ? parts[1] : "")
        guard let first = path.first, first.hasPrefix("v"), let version = APIVersion(first.dropFirst()) else {
            return (.newest, path, query)
        }
        path.removeFirst()
        if version > .newest {
            throw .badRequest("client version \(version) is too new. Maximum supported API version is \(APIVersion.newest)")
        }
        if version < oldest {
            throw .badRequest(
                "client version \(version) is too old. Minimum supported API version is \(oldest), "
                    + "please upgrade your client to a newer version")
        }
        return (version, path, query)
    }
}
