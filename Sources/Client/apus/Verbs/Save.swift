internal import EngineClient
internal import Templates

let saveVerb = Verb(
    ["save", "image save"], "[OPTIONS] IMAGE [IMAGE...]", "Save one or more images to a tar archive (streamed to STDOUT by default)",
    flags: [
        Flag(
            "format", nil, .string,
            "What is written: oci-archive, a tar that Docker reads, too, or oci-dir, an OCI layout in a new folder (--output names it)",
            defaultText: "oci-archive"), Flag("output", "o", .string, "Write to a file, instead of STDOUT"),
        platformFlag("Save only the given platform variant"),
    ], operands: .atLeast(1)
) { invocation in
    let client = invocation.environment.client
    let images = invocation.arguments.operands
    let platform = try invocation.arguments.platform()
    switch invocation.arguments.string("format") ?? "oci-archive" {
    case "oci-archive":
        try await keepArchive(invocation.arguments, orSay: "failed to save image") {
            try await client.exportImages(images, platform: platform, to: $0)
        }
    case "oci-dir":
        guard let path = invocation.arguments.string("output"), !path.isEmpty else {
            throw Complaint("--format oci-dir needs the name of a folder: use the -o flag")
        }
        try await keepFolder(path) { send in
            // Where unpacking has ended, its error is the one that is told.
            try await client.exportImages(images, platform: platform) { if await !send($0) { throw Complaint("\(path) takes no more") } }
        }
    case let other: throw Complaint("--format takes oci-archive or oci-dir, not \(goQuoted(other))")
    }
    return 0
}

/// Makes a folder of an archive. It comes into being whole or not at all.
private func keepFolder(
    _ path: String, _ receive: (@escaping @Sendable ([UInt8]) async -> Bool) async throws -> Void
) async throws {
    let folder = try NewFolder(path)
    do {
        try await unpacking({ try folder.unpack($0) }, from: receive)
        try folder.finish()
    } catch {
        do throws(Complaint) { try folder.discard() } catch let second { throw Complaint("\(error); and \(second)") }
        throw error
    }
}
