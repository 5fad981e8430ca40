/// Writes an archive where `--output` says, or to the standard output. A file comes into being whole or not at all.
/// - Throws: `Complaint` for a terminal, which has no use for an archive; what `produce` throws.
func keepArchive(
    _ arguments: Arguments, _ produce: (@escaping @Sendable ([UInt8]) async throws -> Void) async throws -> Void
) async throws {
    guard let path = arguments.string("output"), !path.isEmpty else {
        if StandardStream.output.isTerminal {
            throw Complaint("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        }
        return try await produce { StandardStream.output.write($0) }
    }
    let file = try NewFile(replacing: path)
    do {
        try await produce { try file.write($0) }
        try file.finish()
    } catch {
        file.discard()
        throw error
    }
}
