internal import EngineAPI
internal import EngineClient

let rmiVerb = Verb(
    ["rmi", "image rm", "image remove"], "[OPTIONS] IMAGE [IMAGE...]", "Remove one or more images",
    flags: [
        Flag("force", "f", .bool(default: false), "Force removal of the image"),
        Flag("no-prune", nil, .bool(default: false), "Do not delete untagged parents"),
        platformFlag("Remove only the given platform variant", kind: .commaSeparated),
    ], operands: .atLeast(1)
) { invocation in
    let arguments = invocation.arguments
    let platforms = try arguments.platforms()
    return await forEachOperand(invocation) { name in
        do {
            let items = try await invocation.environment.client.removeImage(
                name, force: arguments.bool("force"), keepParents: arguments.bool("no-prune"), platforms: platforms)
            for item in items {
                StandardStream.output.write(item.untagged.isEmpty ? "Deleted: \(item.deleted)\n" : "Untagged: \(item.untagged)\n")
            }
        } catch EngineClientError.refused(status: 404, let message) where arguments.bool("force") {
            StandardStream.error.write("\(EngineClientError.refused(status: 404, message: message))\n")
        }
    }
}
