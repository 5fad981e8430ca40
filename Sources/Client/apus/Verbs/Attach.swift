internal import EngineAPI
internal import EngineClient

let attachVerb = Verb(
    ["attach", "container attach"], "[OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    flags: [
        Flag("detach-keys", nil, .string, "Override the key sequence for detaching a container"),
        Flag("no-stdin", nil, .bool(default: false), "Do not attach STDIN"),
        Flag("sig-proxy", nil, .bool(default: true), "Proxy all received signals to the process"),
    ], operands: .exactly(1)
) { invocation in
    try await attach(invocation)
}

private func attach(_ invocation: Invocation) async throws -> Int32 {
    let arguments = invocation.arguments
    let client = invocation.environment.client
    let keys = try detachKeys(invocation)
    let inspected = try await client.container(arguments.operands[0])
    let state = inspected.state
    if state.paused { throw Complaint("You cannot attach to a paused container, unpause it first") }
    if state.restarting { throw Complaint("You cannot attach to a restarting container, wait until it is running") }
    if !state.running { throw Complaint("You cannot attach to a stopped container, start it first") }
    let takesInput = inspected.config.openStdin && !arguments.bool("no-stdin")
    if inspected.config.tty, takesInput, !StandardStream.input.isTerminal {
        throw Complaint("the input device is not a TTY")
    }
    let attached = AttachedRun(
        client: client, signals: invocation.environment.signals, container: inspected.id,
        streams: AttachedStreams(input: takesInput, output: true, error: true),
        hasTerminal: inspected.config.tty, detachKeys: keys,
        // As docker: who has the terminal in common with the container sends it keys.
        proxiesSignals: arguments.bool("sig-proxy", default: true) && !inspected.config.tty, condition: "not-running")
    return try await attached.join()
}
