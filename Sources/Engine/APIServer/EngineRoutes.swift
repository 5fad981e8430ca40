internal import Engine
internal import EngineAPI
internal import NIOHTTP1

/// The routes that the engine serves.
struct EngineRoutes: Sendable {
    let engine: ContainerEngine
    let imageLines = ImageLines()
    let containerLines = EncodedDocuments<ContainerSummary>(capacity: 1024)
    let containerDetails = EncodedDocuments<ContainerInspect>(capacity: 256)

    /// All of them.
    var all: [Route] {
        system + images + volumes + containers + containerLife + containerStreams + containerFiles + resources + execs + networks
    }
}

// MARK: - System

extension EngineRoutes {
    var system: [Route] {
        [
            Route(.GET, "/_ping", isQuick: { _ in true }) { _ in Self.ping(body: "OK") },
            Route(.HEAD, "/_ping", isQuick: { _ in true }) { _ in Self.ping(body: "") },
            Route(.GET, "/version") { _ in try .document(engine.version()) },
            Route(.GET, "/info") { request in try .document(try await engine.info(), for: request) },
            Route(.GET, "/events", listen),
            // Ours.
            Route(.POST, "/system/check") { request in
                try .document(
                    try await engine.checkSystem(try request.optionalDocument(SystemCheckRequest.self) ?? SystemCheckRequest()))
            },
            Route(.GET, "/system/df") { request in
                try .document(try await engine.diskUsage(of: request.query.all("type")), for: request)
            },
        ]
    }

    /// One object to a line. `cursor` is ours: the number of the first event that is wanted.
    private func listen(_ request: APIRequest) async throws -> APIResponse {
        var wanted = EventRequest()
        wanted.since = try request.query.moment("since")
        wanted.until = try request.query.moment("until")
        wanted.cursor = try request.query.number("cursor", as: UInt64.self)
        wanted.filters = try request.query.filters()
        let session = try engine.events(wanted)
        let accepted = request.headers[canonicalForm: "accept"].map { String($0.prefix { $0 != ";" }) }
        let mediaType = accepted.first(where: Self.eventMediaTypes.contains) ?? "application/json"
        // RFC 7464: a record separator before each text.
        let separator: [UInt8] = mediaType == "application/json-seq" ? [0x1E] : []
        return .streamed(contentType: mediaType, headAtOnce: true) { writer in
            while let lines = try await session.next() {
                try await writer.write(lines.reduce(into: []) { $0 += separator + $1 })
            }
        }
    }

    private static let eventMediaTypes: Set<String> = ["application/jsonl", "application/x-ndjson", "application/json-seq"]

    private static func ping(body: String) -> APIResponse {
        let headers: HTTPHeaders = [
            // 1 is the classic builder; there is no BuildKit to talk to.
            "Builder-Version": "1", "Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache",
            "Swarm": "inactive", "Content-Type": "text/plain; charset=utf-8",
        ]
        return .whole(.ok, headers, Array(body.utf8))
    }
}
