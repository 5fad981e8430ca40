public import EngineAPI

/// Files in and out of containers.
extension Client {
    /// `GET /containers/{id}/export`: an archive, chunk by chunk.
    public func exportContainer(_ name: String, to write: @Sendable ([UInt8]) async throws -> Void) async throws {
        try await withAnswer(to: EngineRequest("GET", "/containers/\(name)/export")) { answer in
            for try await chunk in answer.bytes { try await write(chunk) }
        }
    }

    /// `HEAD /containers/{id}/archive`: what lies at a path of a container; nil where nothing does, or there is no container.
    public func statPath(_ path: String, of name: String) async throws -> ContainerPathStat? {
        do {
            return try await withAnswer(to: archiveRequest("HEAD", name, path)) { try Self.status(in: $0) }
        } catch EngineClientError.refused(status: 404, _) { return nil }
    }

    /// `GET /containers/{id}/archive`: what lies at a path of a container, and an archive of it.
    public func readArchive(
        _ path: String, of name: String, _ body: @Sendable (ContainerPathStat, AnswerBytes) async throws -> Void
    ) async throws {
        try await withAnswer(to: archiveRequest("GET", name, path)) { answer in
            try await body(try Self.status(in: answer), answer.bytes)
        }
    }

    /// `PUT /containers/{id}/archive`: unpacks an archive in a directory of a container.
    /// - Parameters:
    ///   - asUser: whether what is unpacked belongs to the container's user.
    ///   - next: the archive's next bytes; nil is its end.
    public func writeArchive(
        to path: String, of name: String, asUser: Bool, _ next: @escaping @Sendable () async throws -> [UInt8]?
    ) async throws {
        var request = EngineRequest(
            "PUT", "/containers/\(name)/archive",
            query: [(name: "path", value: path), (name: "noOverwriteDirNonDir", value: "true")]
                + (asUser ? [(name: "copyUIDGID", value: "true")] : []))
        request.upload = next
        try await withAnswer(to: request) { _ in }
    }

    private func archiveRequest(_ method: String, _ name: String, _ path: String) -> EngineRequest {
        EngineRequest(method, "/containers/\(name)/archive", query: [(name: "path", value: path)])
    }

    private static func status(in answer: Answer) throws -> ContainerPathStat {
        guard let text = answer.header("X-Docker-Container-Path-Stat") else {
            throw EngineClientError.brokenExchange("it does not say what lies there")
        }
        return try ContainerPathStat(headerText: text)
    }
}
