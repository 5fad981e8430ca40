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
    let keys = try detachKeys(invocation)
    let request = try execRequest(invocation, keys)
    let id = try await client.createExec(in: arguments.operands[0], request)
    do {
        if arguments.bool("detach") {
            _ = try await client.answer(to: try startRequest(id, request))
            return 0
        }
        if try await relay(id, request, keys, invocation.environment) == .detached { throw Complaint("read escape sequence") }
    } catch EngineClientError.refused(let status, let message) {
        StandardStream.error.write("\(EngineClientError.refused(status: status, message: message))\n")
        // Only a command line that stays until the end has the codes of a command that cannot be run.
        return arguments.bool("detach") ? 1 : failureCode(message)
    }
    return Int32(truncatingIfNeeded: try await client.exec(id).exitCode ?? 0)
}

private func execRequest(_ invocation: Invocation, _ keys: DetachKeys) throws -> ExecCreateRequest {
    let arguments = invocation.arguments
    let isDetached = arguments.bool("detach")
    var request = ExecCreateRequest()
    request.cmd = StringSlice(Array(arguments.operands.dropFirst()))
    request.env = try environmentVariables(invocation)
    request.user = arguments.string("user") ?? ""
    request.workingDir = arguments.string("workdir") ?? ""
    request.privileged = arguments.bool("privileged")
    request.tty = arguments.bool("tty")
    request.attachStdin = arguments.bool("interactive") && !isDetached
    request.attachStdout = !isDetached
    request.attachStderr = !isDetached
    request.detachKeys = keys.text
    if request.tty, request.attachStdin, !StandardStream.input.isTerminal { throw Complaint("the input device is not a TTY") }
    return request
}

private func startRequest(_ id: String, _ request: ExecCreateRequest) throws -> EngineRequest {
    var start = ExecStartRequest()
    start.detach = !request.attachStdout
    start.tty = request.tty
    if request.tty, let size = StandardStream.output.size { start.consoleSize = [Int(size.rows), Int(size.columns)] }
    return EngineRequest("POST", "/exec/\(id)/start", body: try EngineJSON.encode(start))
}

/// Starts the command and stays with it.
private func relay(
    _ id: String, _ request: ExecCreateRequest, _ keys: DetachKeys, _ environment: Environment
) async throws -> StreamRelay.End {
    let (client, hasTerminal) = (environment.client, request.tty)
    let signals = environment.signals.listen(for: hasTerminal ? [SIGWINCH] : [])
    return try await client.withAnswer(to: try startRequest(id, request), upgrading: true) { answer in
        let proxy = SignalProxy(signals: signals, container: nil, resizePath: hasTerminal ? "/exec/\(id)/resize" : nil, client: client)
        let relay = StreamRelay(hasTerminal: hasTerminal, forwardsInput: request.attachStdin, detachKeys: keys)
        return try await proxy.passingOn { try await relay.run(over: answer) }
    }
}

/// 126 or 127 where the command cannot be run, as a shell has it; 1 for everything else.
private func failureCode(_ message: String) -> Int32 {
    let code = startFailureCode(message)
    return code == 125 ? 1 : code
}
