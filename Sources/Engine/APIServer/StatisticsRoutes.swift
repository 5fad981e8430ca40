internal import Engine
internal import EngineAPI
internal import NIOHTTP1

extension EngineRoutes {
    /// What containers use, and what they may use.
    var resources: [Route] {
        [
            Route(.GET, "/containers/{}/stats", containerStatistics),
            Route(.GET, "/containers/{}/top") { request in
                try .document(try await engine.containerProcesses(request.name, options: request.query["ps_args"]))
            },
            Route(.POST, "/containers/{}/update") { request in
                var changes = try request.document(HostConfig.self)
                if request.version < APIVersion(1, 40) { changes.pidsLimit = nil }
                if request.version >= APIVersion(1, 42) { changes.kernelMemory = nil }
                return try .document(try await engine.updateContainer(request.name, changes: changes))
            },
        ]
    }

    private func containerStatistics(_ request: APIRequest) async throws -> APIResponse {
        let streams = !request.query.contains("stream") || request.query.flag("stream")
        let isOnce = request.query.flag("one-shot") && request.version >= APIVersion(1, 41)
        if streams && isOnce { throw APIError.badRequest("cannot have stream=true and one-shot=true") }
        let session = try engine.containerStatistics(request.name, rhythm: streams ? .stream : isOnce ? .once : .compared)
        return .streamed(contentType: "application/json", headAtOnce: streams) { writer in
            while let sample = try await session.next() { try await writer.write(EngineJSON.encode(sample)) }
        }
    }
}
