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
            Route(.POST, "/volumes/{}/rename") { request in
                try await engine.renameVolume(request.name, to: request.query["name"])
                return .empty(.noContent)
            },
            Route(.POST, "/volumes/{}/clone") { request in
                try .document(try await engine.cloneVolume(request.name, as: request.query["name"]), status: .created)
            },
            Route(.GET, "/volumes/{}/export") { request in
                .streamed(contentType: "application/x-tar", headAtOnce: false) { writer in
                    try await engine.exportVolume(request.name, to: { try await writer.write($0) })
                }
            },
            Route(.POST, "/volumes/{}/import", takesStream: true) { request in
                let body = try request.bodyStream()
                try await engine.importVolume(request.name, body: { try await body.next() })
                return .empty(.noContent)
            },
        ]
    }
}
