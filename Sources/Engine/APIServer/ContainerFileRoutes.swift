internal import Engine
internal import EngineAPI
internal import NIOHTTP1

/// Files in and out of containers.
extension EngineRoutes {
    var containerFiles: [Route] {
        [
            Route(.HEAD, "/containers/{}/archive") { request in
                let stat = try await engine.statContainerPath(request.name, path: try Self.path(request))
                return .whole(.ok, try Self.header(stat), [])
            },
            Route(.GET, "/containers/{}/archive") { request in
                let path = try Self.path(request)
                return .streamed(contentType: "application/x-tar", headAtOnce: false) { writer in
                    try await engine.readContainerArchive(
                        request.name, path: path, begin: { writer.add(headers: try Self.header($0)) }, to: { try await writer.write($0) })
                }
            },
            Route(.PUT, "/containers/{}/archive", takesStream: true) { request in
                let body = try request.bodyStream()
                let query = request.query
                try await engine.writeContainerArchive(
                    request.name, path: try Self.path(request), keepsKinds: query.flag("noOverwriteDirNonDir"),
                    asUser: query.flag("copyUIDGID"), body: { try await body.next() })
                return .empty(.ok)
            },
            Route(.GET, "/containers/{}/export") { request in
                .streamed(contentType: "application/octet-stream", headAtOnce: false) { writer in
                    try await engine.exportContainer(request.name, to: { try await writer.write($0) })
                }
            },
            Route(.GET, "/containers/{}/changes") { request in
                let changes = try await engine.containerChanges(request.name)
                // Docker's word for none.
                return try changes.isEmpty ? .whole(.ok, ["Content-Type": "application/json"], Array("null\n".utf8)) : .document(changes)
            },
        ]
    }

    private static func path(_ request: APIRequest) throws(APIError) -> String {
        let path = request.query["path"]
        guard !path.isEmpty else { throw .badRequest("bad parameter: 'path' cannot be empty") }
        guard !path.utf8.contains(0) else { throw .badRequest("bad parameter: 'path' holds a NUL byte") }
        return path
    }

    private static func header(_ stat: ContainerPathStat) throws -> HTTPHeaders {
        ["X-Docker-Container-Path-Stat": try stat.headerText]
    }
}
