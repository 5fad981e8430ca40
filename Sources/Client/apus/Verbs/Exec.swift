internal import EngineAPI
internal import EngineClient
internal import Glibc

let execVerb = Verb(
    ["exec", "container exec"], "[OPTIONS] CONTAINER COMMAND [ARG...]", "Execute a command in a running container",
    flags: [
        Flag("detach", "d", .bool(default: false), "Detached mode: run command in the background"),
        Flag("detach-keys", nil, .string, "Override the key sequence for detaching a container"),
        Flag("env", "e", .list, "Set environment variables", check: ValueCheck.variable),
        Flag("env-file", nil, .list, "Read in a file of environment variables"),
        Flag("interactive", "i", .bool(default: false), "Keep STDIN open even if not attached"),
        Flag("privileged", nil, .bool(default: false), "Give extended privileges to the command"),
        Flag("tty", "t", .bool(default: false), "Allocate a pseudo-TTY"),
        Flag("user", "u", .string, "Username or UID (format: \"<name|uid>[:<group|gid>]\")"),
        Flag("workdir", "w", .string, "Working directory inside the container"),
    ], operands: .atLeast(2), interspersed: false
) { invocation in
    try await execute(invocation)
}

private func execute(_ invocation: Invocation) async throws -> Int32 {
    let arguments = invocation.arguments
    let client = invocation.environment.client
    let container = arguments.operands[0]
    let isDetached = arguments.bool("detach")
    let takesInput = arguments.bool("interactive") && !isDetached
    let hasTerminal = arguments.bool("tty")
    if hasTerminal, takesInput, !StandardStream.input.isTerminal {
        throw Complaint("the input device is not a TTY")
    }
    let keys = try DetachKeys(arguments.string("detach-keys"))
    var request = ExecCreateRequest()
    request.cmd = StringSlice(Array(arguments.operands.dropFirst()))
    request.env = try environmentVariables(invocation)
    request.user = arguments.string("user") ?? ""
    request.workingDir = arguments.string("workdir") ?? ""
    request.privileged = arguments.bool("privileged")
    request.tty = hasTerminal
    request.attachStdin = takesInput
    request.attachStdout = !isDetached
    request.attachStderr = !isDetached
    request.detachKeys = arguments.string("detach-keys") ?? ""
    let id = try await client.createExec(in: container, request)
    var start = ExecStartRequest()
    start.detach = isDetached
    start.tty = hasTerminal
    if hasTerminal, let size = StandardStream.output.size { start.consoleSize = [Int(size.rows), Int(size.columns)] }
    let startRequest = EngineRequest("POST", "/exec/\(id)/start", body: try EngineJSON.encode(start))
    do {
        if isDetached {
            _ = try await client.answer(to: startRequest)
            return 0
        }
        let signals = invocation.environment.signals.listen(for: hasTerminal ? [SIGWINCH] : [])
        let end = try await client.withAnswer(to: startRequest, upgrading: true) { answer in
            let proxy = SignalProxy(
                signals: signals, container: nil, resizePath: hasTerminal ? "/exec/\(id)/resize" : nil, client: client)
            let relay = StreamRelay(hasTerminal: hasTerminal, forwardsInput: takesInput, detachKeys: keys)
            return try await proxy.passingOn { try await relay.run(over: answer) }
        }
        if end == .detached { return 0 }
    } catch EngineClientError.refused(let status, let message) {
        let refusal = EngineClientError.refused(status: status, message: message)
        StandardStream.error.write("\(refusal)\n")
        let code = isDetached ? 1 : startFailureCode(message)
        return code == 125 ? 1 : code
    }
    return Int32(truncatingIfNeeded: try await client.exec(id).exitCode ?? 0)
}
