internal import Engine
internal import EngineAPI
internal import NIOHTTP1

extension EngineRoutes {
    var volumes: [Route] {
        [
            Route(.GET, "/volumes") { request in try .document(try await engine.volumes(try request.query.filters())) },
            Route(.POST, "/volumes/create") { request in
                try .document(try await engine.createVolume(try request.document(VolumeCreateRequest.self)), status: .created)
            },
            Route(.POST, "/volumes/prune") { request in
                // Before 1.42 what a user had named went, too.
                let report = try await engine.pruneVolumes(
                    try request.query.filters(), takesNamed: request.version < APIVersion(1, 42))
                return try .document(report)
            },
            Route(.GET, "/volumes/{}") { request in try .document(try await engine.inspectVolume(request.name)) },
            Route(.DELETE, "/volumes/{}") { request in
                try await engine.removeVolume(request.name, force: request.query.flag("force"))
                return .empty(.noContent)
            },
            Route(.PUT, "/volumes/{}") { _ in
                throw APIError(
                    .serviceUnavailable,
                    "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again."
                )
            },
        ]
    }
}
