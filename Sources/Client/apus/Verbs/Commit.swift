internal import CoreTypes
internal import EngineClient

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
    if arguments.operands.count == 2, !arguments.operands[1].isEmpty {
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
