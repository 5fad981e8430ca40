internal import EngineClient

let exportVerb = Verb(
    ["export", "container export"], "[OPTIONS] CONTAINER", "Export a container's filesystem as a tar archive",
    flags: [Flag("output", "o", .string, "Write to a file, instead of STDOUT")], operands: .exactly(1)
) { invocation in
    let client = invocation.environment.client
    let container = invocation.arguments.operands[0]
    try await keepArchive(invocation.arguments, orSay: "failed to export container") { try await client.exportContainer(container, to: $0) }
    return 0
}
