public import CoreTypes
public import EngineAPI

extension Client {
    /// `GET /images/{name}/history`, the newest step first.
    /// - Parameter platform: what the image must be of; nil is any.
    public func imageHistory(_ name: String, platform: Platform? = nil) async throws -> [ImageHistoryItem] {
        let query = try platform.map { [try $0.parameter("platform")] } ?? []
        return try await document([ImageHistoryItem].self, EngineRequest("GET", "/images/\(name)/history", query: query))
    }

    /// `POST /images/{name}/push`, and hands on what the daemon says of its progress.
    /// - Parameter tag: empty for every tag of the repository.
    /// - Parameter platform: what the image must be of; nil is any.
    /// - Throws: `EngineClientError.failed` for an error that comes within the progress.
    public func pushImage(
        _ name: String, tag: String, platform: Platform? = nil, credentials: AuthConfig?,
        progress: @Sendable (ProgressMessage) async -> Void
    ) async throws {
        // The daemon wants the field, even with nothing to say.
        let headers = [(name: "X-Registry-Auth", value: try (credentials ?? AuthConfig()).header)]
        var query = tag.isEmpty ? [] : [(name: "tag", value: tag)]
        if let platform { query.append(try platform.parameter("platform")) }
        try await report(EngineRequest("POST", "/images/\(name)/push", query: query, headers: headers), to: progress)
    }

    /// `GET /images/get`: an archive, chunk by chunk.
    /// - Parameter platform: what the images must be of; nil is any.
    public func exportImages(
        _ names: [String], platform: Platform? = nil, to write: @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        var query = names.map { (name: "names", value: $0) }
        if let platform { query.append(try platform.parameter("platform")) }
        let request = EngineRequest("GET", "/images/get", query: query)
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

    /// `POST /images/load`.
    /// - Parameter archive: chunk by chunk; nil is its end.
    /// - Throws: `EngineClientError.failed` for an error that comes within the progress.
    public func loadImages(
        _ archive: @escaping @Sendable () async throws -> [UInt8]?, platform: Platform?, quiet: Bool,
        progress: @Sendable (ProgressMessage) async -> Void
    ) async throws {
        var query = [(name: "quiet", value: quiet ? "1" : "0")]
        if let platform { query.append(try platform.parameter("platform")) }
        var request = EngineRequest("POST", "/images/load", query: query)
        request.upload = archive
        try await report(request, to: progress)
    }

    /// `POST /images/create` with an archive.
    /// - Parameter query: `repo`, `tag`, `message`, `changes`, `platform`.
    public func importImage(
        _ archive: @escaping @Sendable () async throws -> [UInt8]?, query: [(name: String, value: String)],
        progress: @Sendable (ProgressMessage) async -> Void
    ) async throws {
        var request = EngineRequest("POST", "/images/create", query: [(name: "fromSrc", value: "-")] + query)
        request.upload = archive
        try await report(request, to: progress)
    }

    /// `POST /images/create` with the address of an archive, which the daemon fetches.
    /// - Parameter query: as of the other.
    public func importImage(
        at address: String, query: [(name: String, value: String)], progress: @Sendable (ProgressMessage) async -> Void
    ) async throws {
        try await report(EngineRequest("POST", "/images/create", query: [(name: "fromSrc", value: address)] + query), to: progress)
    }

    /// `POST /commit`.
    /// - Parameter query: `container`, `repo`, `tag`, `comment`, `author`, `pause`, `changes`.
    /// - Returns: the image's id.
    public func commit(query: [(name: String, value: String)]) async throws -> String {
        try await document(CommitAnswer.self, EngineRequest("POST", "/commit", query: query)).id
    }
}
