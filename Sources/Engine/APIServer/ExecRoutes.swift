internal import Engine
internal import EngineAPI
internal import NIOHTTP1

extension EngineRoutes {
    var execs: [Route] {
        [
            Route(.POST, "/containers/{}/exec") { request in
                let document = try request.document(ExecCreateRequest.self)
                guard !(document.cmd?.words.isEmpty ?? true) else { throw APIError.badRequest("No exec command specified") }
                _ = try DetachKeys(document.detachKeys)
                return try .document(try await engine.createExec(request.name, request: document), status: .created)
            },
            Route(.POST, "/exec/{}/start", startExec),
            Route(.POST, "/exec/{}/resize") { request in
                let (height, width) = try Self.terminalSize(request)
                try await engine.resizeExec(request.name, height: height, width: width)
                return .empty(.ok)
            },
            Route(.GET, "/exec/{}/json") { request in try .document(try await engine.inspectExec(request.name)) },
        ]
    }

    private func startExec(_ request: APIRequest) async throws -> APIResponse {
        let document = try request.document(ExecStartRequest.self)
        let exec = try await engine.inspectExec(request.name)
        let detachKeys = try DetachKeys(exec.detachKeys)
        guard let session = try await engine.startExec(request.name, request: document) else { return .empty(.ok) }
        let mediaType = StreamMediaType.of(isTerminal: session.isTerminal, for: request.version)
        return .hijacked(contentType: mediaType) { stream in
            // A client asks for the exit code as soon as the stream ends.
            await AttachBridge(session: session, stream: stream, takesInput: exec.openStdin, detachKeys: detachKeys) {
                try await engine.waitForExec(request.name)
            }.run()
        }
    }
}
