internal import CoreTypes
internal import EngineAPI
internal import EngineClient

let loadVerb = Verb(
    ["load", "image load"], "[OPTIONS]", "Load an image from a tar archive or STDIN",
    flags: [
        Flag("input", "i", .string, "Read from tar archive file, or from a folder with an OCI layout, instead of STDIN"),
        platformFlag("Load only the given platform variant"),
        Flag("quiet", "q", .bool(default: false), "Suppress the load output"),
    ]
) { invocation in
    let arguments = invocation.arguments
    let path = arguments.string("input")
    if path == nil, StandardStream.input.isTerminal {
        throw Complaint("requested load from stdin, but stdin is empty")
    }
    let isQuiet = arguments.bool("quiet") || !StandardStream.output.isTerminal
    let display = isQuiet ? nil : PullDisplay(stream: .output)
    let (client, platform) = (invocation.environment.client, try arguments.platform())
    let load = { (next: @escaping @Sendable () async throws -> [UInt8]?) in
        try await client.loadImages(next, platform: platform, quiet: isQuiet) { message in
            if !message.stream.isEmpty {
                StandardStream.output.write(printable(String(message.stream.prefix { $0 != "\n" })) + "\n")
            } else {
                await display?.show(message)
            }
        }
    }
    if let path, let folder = try ImageFolder(path) {
        try await packing({ try folder.pack(to: $0) }, to: load)
    } else {
        let source = try ByteFile(path)
        try await load { try source.next() }
    }
    return 0
}
