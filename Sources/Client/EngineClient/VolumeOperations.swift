public import EngineAPI

extension Client {
    /// `GET /volumes`.
    public func volumes(filters: Filters) async throws -> [Volume] {
        try await document(VolumeList.self, EngineRequest("GET", "/volumes", query: try filterQuery(filters))).volumes
    }

    /// `POST /volumes/create`.
    public func createVolume(_ request: VolumeCreateRequest) async throws -> Volume {
        try await document(Volume.self, EngineRequest("POST", "/volumes/create", body: try EngineJSON.encode(request)))
    }

    /// `DELETE /volumes/{name}`.
    public func removeVolume(_ name: String, force: Bool) async throws {
        _ = try await answer(to: EngineRequest("DELETE", "/volumes/\(name)", query: force ? [("force", "1")] : []))
    }

    /// `POST /volumes/prune`.
    public func pruneVolumes(filters: Filters) async throws -> VolumesPruneReport {
        try await document(VolumesPruneReport.self, EngineRequest("POST", "/volumes/prune", query: try filterQuery(filters)))
    }
}
