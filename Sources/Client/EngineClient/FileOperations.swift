/// Files in and out of containers.
extension Client {
    /// `GET /containers/{id}/export`: an archive, chunk by chunk.
    public func exportContainer(_ name: String, to write: @Sendable ([UInt8]) async throws -> Void) async throws {
        try await withAnswer(to: EngineRequest("GET", "/containers/\(name)/export")) { answer in
            for try await chunk in answer.bytes { try await write(chunk) }
        }
    }
}
