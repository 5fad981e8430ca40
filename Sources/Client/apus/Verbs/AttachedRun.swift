internal import EngineAPI
internal import EngineClient
internal import Glibc

/// A container in the foreground: attached, waited for, started and relayed, in the one order in which nothing of it
/// can be missed.
struct AttachedRun: Sendable {
    let client: Client
    let signals: SignalTap
    /// Id or name.
    let container: String
    let streams: AttachedStreams
    let hasTerminal: Bool
    let detachKeys: DetachKeys
    let proxiesSignals: Bool
    /// What counts as the end: `next-exit`, or `removed` for `--rm`.
    let condition: String

    /// Starts the container and stays with it.
    /// - Returns: its exit code; 0 when the user left it running.
    /// - Throws: `StartError` when it could not be started.
    func run() async throws -> Int32 {
        let code = try await attached { [client, container] in
            do {
                try await client.act("start", on: container)
            } catch let error as EngineClientError {
                throw StartError(cause: error)
            }
        }
        return code ?? 0
    }

    /// Stays with a container that runs already.
    /// - Returns: its exit code.
    /// - Throws: `Complaint` in docker's words when the user left it running.
    func join() async throws -> Int32 {
        guard let code = try await attached(asksToRedraw: true, {}) else { throw Complaint("read escape sequence") }
        return code
    }

    /// - Returns: the exit code; nil when the user left the container running.
    private func attached(asksToRedraw: Bool = false, _ start: @escaping @Sendable () async throws -> Void) async throws -> Int32? {
        let received = signals.listen(for: (proxiesSignals ? proxiedSignals : []) + (hasTerminal ? [SIGWINCH] : []))
        return try await client.withAnswer(to: attachRequest, upgrading: true) { answer in
            let (waits, waiting) = AsyncStream.makeStream(of: Void.self)
            async let exit = waitForExit(registered: waiting)
            for await _ in waits { break }
            let proxy = SignalProxy(
                signals: received, container: proxiesSignals ? container : nil,
                resizePath: hasTerminal ? "/containers/\(container)/resize" : nil, asksToRedraw: asksToRedraw, client: client)
            let relay = StreamRelay(hasTerminal: hasTerminal, forwardsInput: streams.input, detachKeys: detachKeys)
            // Before the start is answered, too: the container may run already, or the daemon stand still.
            let end = try await proxy.passingOn(from: start) { try await relay.run(over: answer) }
            return end == .detached ? nil : try await exitCode(of: exit)
        }
    }

    private var attachRequest: EngineRequest {
        var query: [(name: String, value: String)] = [("stream", "1")]
        if streams.input { query.append(("stdin", "1")) }
        if streams.output { query.append(("stdout", "1")) }
        if streams.error { query.append(("stderr", "1")) }
        if !detachKeys.text.isEmpty { query.append(("detachKeys", detachKeys.text)) }
        return EngineRequest("POST", "/containers/\(container)/attach", query: query)
    }

    private func waitForExit(registered: AsyncStream<Void>.Continuation) async throws -> WaitResponse {
        defer { registered.finish() }
        return try await client.waitForExit(of: container, condition: condition) { registered.yield() }
    }
}

/// A container that exists but did not start.
struct StartError: Error, CustomStringConvertible {
    let cause: EngineClientError

    var description: String { cause.description }
}

/// The exit code in a wait's answer.
/// - Throws: `EngineClientError.refused` where the daemon could not find it out.
func exitCode(of response: WaitResponse) throws -> Int32 {
    if let error = response.error, !error.message.isEmpty {
        throw EngineClientError.refused(status: 500, message: error.message)
    }
    return Int32(truncatingIfNeeded: response.statusCode)
}

/// Docker's exit codes for a container that could not be started: 127 for a command that is not there, 126 for one that
/// cannot be run, 125 for all else.
func startFailureCode(_ message: String) -> Int32 {
    let missing = ["executable file not found", "no such file or directory", "system cannot find the file specified"]
    let refused = ["permission denied", "is a directory", "exec format error"]
    if missing.contains(where: message.contains) { return 127 }
    if refused.contains(where: message.contains) { return 126 }
    return 125
}
