internal import Engine
internal import EngineAPI
internal import NIOHTTP1

extension EngineRoutes {
    var execs: [Route] {
        [
            Route(.POST, "/containers/{}/exec") { request in
                var document = try request.document(ExecCreateRequest.self)
                if request.version < APIVersion(1, 42) { document.consoleSize = nil }
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

    /// The head goes out before the process starts, as dockerd's does: docker-py loses what comes together with it.
    private func startExec(_ request: APIRequest) async throws -> APIResponse {
        let document = try startRequest(request)
        let exec = try await engine.inspectExec(request.name)
        if document.detach {
            _ = try await engine.startExec(request.name, request: document)
            return .empty(.ok)
        }
        try await checkStart(of: exec)
        let detachKeys = try DetachKeys(exec.detachKeys)
        // As dockerd: whether there are frames is what the start asks for, whatever the process has.
        let isRaw = document.tty
        return .hijacked(contentType: StreamMediaType.of(isTerminal: isRaw, for: request.version)) { stream in
            do throws(EngineError) {
                guard let session = try await engine.startExec(request.name, request: document) else { return }
                // A client asks for the exit code as soon as the stream ends.
                await AttachBridge(
                    session: session, stream: stream, takesInput: exec.openStdin, detachKeys: detachKeys, isFramed: !isRaw
                ) {
                    try await engine.waitForExec(request.name)
                }.run()
            } catch {
                await stream.report(error, isTerminal: isRaw)
            }
        }
    }

    private func startRequest(_ request: APIRequest) throws -> ExecStartRequest {
        var document = try request.document(ExecStartRequest.self)
        if request.version < APIVersion(1, 42) { document.consoleSize = nil }
        return document
    }

    /// What can be refused is refused while there is still a status to refuse with.
    private func checkStart(of exec: ExecInspect) async throws {
        if exec.running { throw APIError(.conflict, "Error: Exec command \(exec.id) is already running") }
        if exec.exitCode != nil { throw APIError(.conflict, "Error: Exec command \(exec.id) has already run") }
        guard try await engine.inspectContainer(exec.containerID, size: false).state.running else {
            throw APIError(.conflict, "container \(exec.containerID) is not running")
        }
    }
}
