internal import EngineAPI
internal import EngineClient

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
