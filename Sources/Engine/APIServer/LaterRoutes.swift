internal import EngineAPI
internal import NIOHTTP1

/// What docker serves and Apus does not yet: refused by name, so that nobody takes it for a wrong path.
package enum LaterRoutes {
    /// All of them.
    package static var all: [Route] {
        lookups
            + table.flatMap { subject, paths in
                paths.split(separator: " ").flatMap { path in
                    [HTTPMethod.GET, .POST, .DELETE, .PUT, .HEAD].map { method in
                        Route(method, String(path)) { request in
                            throw APIError(
                                .notImplemented,
                                "\(subject) are not implemented by this version of Apus (\(method) /\(request.path.joined(separator: "/")))"
                            )
                        }
                    }
                }
            }
    }

    /// Of a kind that is not served there is none by any name: clients that look for an object of any kind, or leave what they may be part
    /// of, go on.
    private static var lookups: [Route] {
        [
            Route(.GET, "/plugins/{*}/json") { throw APIError(.notFound, "plugin \"\($0.name)\" not found") },
            // Volumes of a swarm alone can be changed.
            Route(.PUT, "/volumes/{}") { _ in
                throw APIError(
                    .serviceUnavailable,
                    "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again."
                )
            },
            // Nothing is kept of builds, so a prune finds nothing.
            Route(.POST, "/build/prune") { _ in try .document(BuildPruneReport()) },
            Route(.POST, "/swarm/leave") { _ in throw APIError(.serviceUnavailable, "This node is not part of a swarm") },
        ]
    }

    private static let table: [(subject: String, paths: String)] = [
        ("image builds", "/build /build/cancel /session /grpc"),
        ("copies by POST", "/containers/{}/copy"),
        ("checkpoints", "/containers/{}/checkpoints /containers/{}/checkpoints/{}"),
        ("plugins", "/plugins /plugins/privileges /plugins/pull /plugins/create /plugins/{*}/json /plugins/{*}"),
        ("swarms", "/swarm /swarm/init /swarm/join /swarm/leave /swarm/update /swarm/unlockkey /swarm/unlock"),
        ("swarm nodes", "/nodes /nodes/{} /nodes/{}/update"),
        ("swarm services", "/services /services/create /services/{} /services/{}/update /services/{}/logs"),
        ("swarm tasks", "/tasks /tasks/{} /tasks/{}/logs"),
        ("secrets", "/secrets /secrets/create /secrets/{} /secrets/{}/update"),
        ("configs", "/configs /configs/create /configs/{} /configs/{}/update"),
    ]
}
