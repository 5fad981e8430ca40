internal import Engine
internal import EngineAPI
internal import NIOHTTP1

/// The routes that the engine serves.
struct EngineRoutes: Sendable {
    let engine: ContainerEngine

    /// All of them.
    var all: [Route] { system + images + volumes + containers + containerLife + containerStreams + containerFiles + resources + execs + networks }
}

// MARK: - System

extension EngineRoutes {
    var system: [Route] {
        [
            Route(.GET, "/_ping") { _ in Self.ping(body: "OK") },
            Route(.HEAD, "/_ping") { _ in Self.ping(body: "") },
            Route(.GET, "/version") { _ in try .document(engine.version()) },
            Route(.GET, "/info") { request in try .document(try await engine.info(), for: request) },
            Route(.GET, "/events", listen),
        ]
    }

    /// One object to a line, from the moment of the request on.
    private func listen(_ request: APIRequest) async throws -> APIResponse {
        let session = try engine.events(
            since: try request.query.moment("since"), until: try request.query.moment("until"), filters: try request.query.filters())
        return .streamed(contentType: "application/json", headAtOnce: true) { writer in
            while let message = await session.next() { try await writer.write(EngineJSON.encode(message)) }
        }
    }

    private static func ping(body: String) -> APIResponse {
        let headers: HTTPHeaders = [
            // 1 is the classic builder; there is no BuildKit to talk to.
            "Builder-Version": "1", "Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache",
            "Swarm": "inactive", "Content-Type": "text/plain; charset=utf-8",
        ]
        return .whole(.ok, headers, Array(body.utf8))
    }
}
