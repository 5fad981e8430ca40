public import EngineAPI

extension Client {
    /// `GET /images/search`.
    public func searchImages(
        _ term: String, limit: Int?, filters: Filters, credentials: AuthConfig?
    ) async throws -> [ImageSearchResult] {
        var query = [(name: "term", value: term)] + (try filterQuery(filters))
        if let limit { query.append(("limit", String(limit))) }
        return try await document(
            [ImageSearchResult].self, EngineRequest("GET", "/images/search", query: query, headers: try registryHeaders(credentials)))
    }

    /// `GET /distribution/{name}/json`.
    public func inspectDistribution(_ name: String, credentials: AuthConfig?) async throws -> DistributionInspect {
        try await document(
            DistributionInspect.self, EngineRequest("GET", "/distribution/\(name)/json", headers: try registryHeaders(credentials)))
    }

    /// `GET /distribution/{name}/manifest`: what the registry holds, byte for byte.
    public func manifest(of name: String, credentials: AuthConfig?) async throws -> [UInt8] {
        try await answer(to: EngineRequest("GET", "/distribution/\(name)/manifest", headers: try registryHeaders(credentials)))
    }

    /// `PUT /distribution/{name}/manifest`.
    /// - Parameter repository: of the same registry, which lends what the manifest refers to; nil where all of it is there.
    /// - Returns: the digest.
    public func storeManifest(
        _ bytes: [UInt8], as name: String, from repository: String?, credentials: AuthConfig?
    ) async throws -> String {
        let query = repository.map { [(name: "from", value: $0)] } ?? []
        let request = EngineRequest(
            "PUT", "/distribution/\(name)/manifest", query: query, headers: try registryHeaders(credentials), body: bytes)
        return try await document(StoredManifest.self, request).digest
    }

    private func registryHeaders(_ credentials: AuthConfig?) throws -> [(name: String, value: String)] {
        guard let credentials else { return [] }
        return [(name: "X-Registry-Auth", value: try credentials.header)]
    }
}
