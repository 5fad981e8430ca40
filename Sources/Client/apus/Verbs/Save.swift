internal import EngineClient

let saveVerb = Verb(
    ["save", "image save"], "[OPTIONS] IMAGE [IMAGE...]", "Save one or more images to a tar archive (streamed to STDOUT by default)",
    flags: [Flag("output", "o", .string, "Write to a file, instead of STDOUT")], operands: .atLeast(1)
) { invocation in
    let arguments = invocation.arguments
    let client = invocation.environment.client
    guard let path = arguments.string("output"), !path.isEmpty else {
        if StandardStream.output.isTerminal {
            throw Complaint("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        }
        try await client.exportImages(arguments.operands) { StandardStream.output.write($0) }
        return 0
    }
    let file = try NewFile(replacing: path)
    do {
        try await client.exportImages(arguments.operands) { try file.write($0) }
        try file.finish()
    } catch {
        file.discard()
        throw error
    }
    return 0
}
