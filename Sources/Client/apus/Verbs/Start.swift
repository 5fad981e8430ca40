internal import EngineAPI
internal import EngineClient

let startVerb = Verb(
    ["start", "container start"], "[OPTIONS] CONTAINER [CONTAINER...]", "Start one or more stopped containers",
    flags: [
        Flag("attach", "a", .bool(default: false), "Attach STDOUT/STDERR and forward signals"),
        Flag("detach-keys", nil, .string, "Override the key sequence for detaching a container"),
        Flag("interactive", "i", .bool(default: false), "Attach container's STDIN"),
    ], operands: .atLeast(1)
) { invocation in
    let arguments = invocation.arguments
    guard arguments.bool("attach") || arguments.bool("interactive") else {
        var failed: [String] = []
        let code = await forEachOperand(invocation) { name in
            do {
                try await invocation.environment.client.act("start", on: name)
            } catch {
                if case EngineClientError.cannotConnect = error { throw error }
                failed.append(name)
                throw error
            }
            StandardStream.output.write(name + "\n")
        }
        if !failed.isEmpty { StandardStream.error.write("Error: failed to start containers: \(failed.joined(separator: ", "))\n") }
        return code
    }
    guard arguments.operands.count == 1 else {
        throw Complaint("you cannot start and attach multiple containers at once")
    }
    return try await startAttached(invocation)
}

private func startAttached(_ invocation: Invocation) async throws -> Int32 {
    let arguments = invocation.arguments
    let client = invocation.environment.client
    let keys = try detachKeys(invocation)
    let inspected = try await client.container(arguments.operands[0])
    let run = AttachedRun(
        client: client, signals: invocation.environment.signals, container: inspected.id,
        streams: AttachedStreams(input: arguments.bool("interactive") && inspected.config.openStdin, output: true, error: true),
        hasTerminal: inspected.config.tty, detachKeys: keys, proxiesSignals: true,
        condition: inspected.hostConfig.autoRemove ? "removed" : "next-exit")
    do {
        return try await run.run()
    } catch let error as StartError {
        StandardStream.error.write("\(error)\n")
        return 1
    }
}
