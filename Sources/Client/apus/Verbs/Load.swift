internal import CoreTypes
internal import EngineAPI
internal import EngineClient

let loadVerb = Verb(
    ["load", "image load"], "[OPTIONS]", "Load an image from a tar archive or STDIN",
    flags: [
        Flag("input", "i", .string, "Read from tar archive file, or from a folder with an OCI layout, instead of STDIN"),
        Flag(
            "platform", nil, .string, "Load only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"),
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
    let (client, platform) = (invocation.environment.client, arguments.string("platform"))
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

let importVerb = Verb(
    ["import", "image import"], "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    flags: [
        Flag("change", "c", .list, "Apply Dockerfile instruction to the created image"),
        Flag("message", "m", .string, "Set commit message for imported image"),
        Flag("platform", nil, .string, "Set platform if server is multi-platform capable"),
    ], operands: .between(1, 2)
) { invocation in
    let arguments = invocation.arguments
    let path = arguments.operands[0]
    var query = arguments.list("change").map { (name: "changes", value: $0) }
    if let message = arguments.string("message") { query.append((name: "message", value: message)) }
    if let platform = arguments.string("platform") { query.append((name: "platform", value: platform)) }
    if arguments.operands.count == 2 {
        let name = try parsedReference(arguments.operands[1])
        query.append((name: "repo", value: name.familiarName))
        query.append((name: "tag", value: name.tag ?? ""))
    }
    let client = invocation.environment.client
    if path.hasPrefix("http://") || path.hasPrefix("https://") {
        let display = PullDisplay(stream: .output)
        try await client.importImage(at: path, query: query) { await display.show($0) }
    } else {
        let source = try ByteFile(path == "-" ? nil : path)
        try await client.importImage({ try source.next() }, query: query) { message in
            StandardStream.output.write("\(printable(message.status))\n")
        }
    }
    return 0
}

let commitVerb = Verb(
    ["commit", "container commit"], "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]", "Create a new image from a container's changes",
    flags: [
        Flag("author", "a", .string, "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")"),
        Flag("change", "c", .list, "Apply Dockerfile instruction to the created image"),
        Flag("message", "m", .string, "Commit message"),
        Flag("pause", "p", .bool(default: true), "Pause container during commit"),
    ], operands: .between(1, 2)
) { invocation in
    let arguments = invocation.arguments
    var query = [(name: "container", value: arguments.operands[0])]
    if arguments.operands.count == 2 {
        let name = try parsedReference(arguments.operands[1])
        if name.digest != nil { throw Complaint("refusing to create a tag with a digest reference") }
        query.append((name: "repo", value: name.name))
        query.append((name: "tag", value: name.tag ?? ImageReference.defaultTag))
    }
    query.append((name: "comment", value: arguments.string("message") ?? ""))
    query.append((name: "author", value: arguments.string("author") ?? ""))
    if !arguments.bool("pause", default: true) { query.append((name: "pause", value: "0")) }
    query += arguments.list("change").map { (name: "changes", value: $0) }
    let id = try await invocation.environment.client.commit(query: query)
    StandardStream.output.write("\(id)\n")
    return 0
}
