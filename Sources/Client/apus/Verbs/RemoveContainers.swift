internal import EngineClient

let rmVerb = Verb(
    ["rm", "container rm", "container remove"], "[OPTIONS] CONTAINER [CONTAINER...]", "Remove one or more containers",
    flags: [
        Flag("force", "f", .bool(default: false), "Force the removal of a running container (uses SIGKILL)"),
        Flag("link", "l", .bool(default: false), "Remove the specified link"),
        Flag("volumes", "v", .bool(default: false), "Remove anonymous volumes associated with the container"),
    ], operands: .atLeast(1)
) { invocation in
    let arguments = invocation.arguments
    return await forEachOperand(invocation) { name in
        do {
            try await invocation.environment.client.removeContainer(
                name, force: arguments.bool("force"), volumes: arguments.bool("volumes"), link: arguments.bool("link"))
        } catch EngineClientError.refused(status: 404, let message) where arguments.bool("force") {
            // As docker: with --force what is gone already is no failure.
            StandardStream.error.write("\(EngineClientError.refused(status: 404, message: message))\n")
            return
        }
        StandardStream.output.write(name + "\n")
    }
}
