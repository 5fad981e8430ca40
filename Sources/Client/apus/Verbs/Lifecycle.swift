internal import EngineAPI
internal import EngineClient

let stopVerb = Verb(
    ["stop", "container stop"], "[OPTIONS] CONTAINER [CONTAINER...]", "Stop one or more running containers",
    flags: stopFlags, operands: .atLeast(1)
) { invocation in
    await actOnEach(invocation, "stop", query: stopQuery(invocation.arguments))
}

let restartVerb = Verb(
    ["restart", "container restart"], "[OPTIONS] CONTAINER [CONTAINER...]", "Restart one or more containers",
    flags: stopFlags, operands: .atLeast(1)
) { invocation in
    await actOnEach(invocation, "restart", query: stopQuery(invocation.arguments))
}

let killVerb = Verb(
    ["kill", "container kill"], "[OPTIONS] CONTAINER [CONTAINER...]", "Kill one or more running containers",
    flags: [Flag("signal", "s", .string, "Signal to send to the container")], operands: .atLeast(1)
) { invocation in
    await actOnEach(invocation, "kill", query: [("signal", invocation.arguments.string("signal") ?? "KILL")])
}

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

let waitVerb = Verb(
    ["wait", "container wait"], "CONTAINER [CONTAINER...]", "Block until one or more containers stop, then print their exit codes",
    operands: .atLeast(1)
) { invocation in
    await forEachOperand(invocation) { name in
        let exit = try await invocation.environment.client.waitForExit(of: name, condition: "not-running")
        if let error = exit.error, !error.message.isEmpty { throw EngineClientError.refused(status: 500, message: error.message) }
        StandardStream.output.write("\(exit.statusCode)\n")
    }
}

private let stopFlags = [
    Flag("signal", "s", .string, "Signal to send to the container"),
    Flag("timeout", "t", .integer, "Seconds to wait before killing the container"),
    Flag("time", nil, .integer, "Seconds to wait before killing the container", isHidden: true),
]

private func stopQuery(_ arguments: Arguments) -> [(name: String, value: String)] {
    var query: [(name: String, value: String)] = []
    if let signal = arguments.string("signal") { query.append(("signal", signal)) }
    if let seconds = arguments.string("timeout") ?? arguments.string("time") { query.append(("t", seconds)) }
    return query
}

/// Does `action` to each container and echoes its name as typed.
func actOnEach(_ invocation: Invocation, _ action: String, query: [(name: String, value: String)] = []) async -> Int32 {
    await forEachOperand(invocation) { name in
        try await invocation.environment.client.act(action, on: name, query: query)
        StandardStream.output.write(name + "\n")
    }
}
