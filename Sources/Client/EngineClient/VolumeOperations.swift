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

    /// `POST /volumes/{name}/rename`.
    public func renameVolume(_ name: String, to new: String) async throws {
        _ = try await answer(to: EngineRequest("POST", "/volumes/\(name)/rename", query: [("name", new)]))
    }

    /// `POST /volumes/{name}/clone`.
    public func cloneVolume(_ name: String, as new: String) async throws -> Volume {
        try await document(Volume.self, EngineRequest("POST", "/volumes/\(name)/clone", query: [("name", new)]))
    }

    /// `GET /volumes/{name}/export`: an archive, chunk by chunk.
    public func exportVolume(_ name: String, to write: @Sendable ([UInt8]) async throws -> Void) async throws {
        try await withAnswer(to: EngineRequest("GET", "/volumes/\(name)/export")) { answer in
            for try await chunk in answer.bytes { try await write(chunk) }
        }
    }

    /// `POST /volumes/{name}/import` with an archive: its next bytes; nil is its end.
    public func importVolume(_ name: String, _ archive: @escaping @Sendable () async throws -> [UInt8]?) async throws {
        var request = EngineRequest("POST", "/volumes/\(name)/import")
        request.upload = archive
        _ = try await answer(to: request)
    }

    /// `POST /volumes/prune`.
    public func pruneVolumes(filters: Filters) async throws -> VolumesPruneReport {
        try await document(VolumesPruneReport.self, EngineRequest("POST", "/volumes/prune", query: try filterQuery(filters)))
    }
}
