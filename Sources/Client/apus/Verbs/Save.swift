internal import EngineClient

let saveVerb = Verb(
    ["save", "image save"], "[OPTIONS] IMAGE [IMAGE...]", "Save one or more images to a tar archive (streamed to STDOUT by default)",
    flags: [Flag("output", "o", .string, "Write to a file, instead of STDOUT")], operands: .atLeast(1)
) { invocation in
    let client = invocation.environment.client
    let images = invocation.arguments.operands
    try await keepArchive(invocation.arguments) { try await client.exportImages(images, to: $0) }
    return 0
}

let exportVerb = Verb(
    ["export", "container export"], "[OPTIONS] CONTAINER", "Export a container's filesystem as a tar archive",
    flags: [Flag("output", "o", .string, "Write to a file, instead of STDOUT")], operands: .exactly(1)
) { invocation in
    let client = invocation.environment.client
    let container = invocation.arguments.operands[0]
    try await keepArchive(invocation.arguments) { try await client.exportContainer(container, to: $0) }
    return 0
}

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
