internal import CoreTypes
internal import EngineAPI
internal import EngineClient

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
    if let platform = invocation.wantedPlatform { query.append((name: "platform", value: platform)) }
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
