public import EngineAPI

extension Client {
    /// `GET /images/{name}/history`, the newest step first.
    public func imageHistory(_ name: String) async throws -> [ImageHistoryItem] {
        try await document([ImageHistoryItem].self, EngineRequest("GET", "/images/\(name)/history"))
    }

    /// `POST /images/{name}/push`, and hands on what the daemon says of its progress.
    /// - Parameter tag: empty for every tag of the repository.
    /// - Throws: `EngineClientError.refused` also for an error that comes within the progress.
    public func pushImage(
        _ name: String, tag: String, credentials: AuthConfig?, progress: @Sendable (ProgressMessage) async -> Void
    ) async throws {
        // The daemon wants the field, even with nothing to say.
        let headers = [(name: "X-Registry-Auth", value: try (credentials ?? AuthConfig()).header)]
        let query = tag.isEmpty ? [] : [(name: "tag", value: tag)]
        try await report(EngineRequest("POST", "/images/\(name)/push", query: query, headers: headers), to: progress)
    }

    /// `GET /images/get`: an archive, chunk by chunk.
    public func exportImages(_ names: [String], to write: @Sendable ([UInt8]) async throws -> Void) async throws {
        let request = EngineRequest("GET", "/images/get", query: names.map { (name: "names", value: $0) })
        try await withAnswer(to: request) { answer in
            for try await chunk in answer.bytes { try await write(chunk) }
        }
    }

    /// `POST /images/prune`.
    public func pruneImages(filters: Filters) async throws -> ImagesPruneReport {
        try await document(ImagesPruneReport.self, EngineRequest("POST", "/images/prune", query: try filterQuery(filters)))
    }

    /// `POST /auth`: asks a registry, through the daemon, whether it takes these credentials.
    public func checkCredentials(_ credentials: AuthConfig) async throws -> AuthenticateAnswer {
        try await document(AuthenticateAnswer.self, EngineRequest("POST", "/auth", body: try EngineJSON.encode(credentials)))
    }
}
