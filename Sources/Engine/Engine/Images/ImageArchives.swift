internal import Images

extension ContainerEngine {
    /// Writes images as an archive.
    /// - Parameter write: takes the archive chunk by chunk; the next one waits for it.
    /// - Throws: `EngineError`; what `write` throws.
    package func exportImages(_ names: [String], to write: ([UInt8]) async throws -> Void) async throws {
        let library = try parts().services.images
        do { try await library.export(names, to: write) } catch let error as ImageError { throw EngineError(error) }
    }
}
