internal import EngineAPI
internal import EngineClient
internal import Glibc
internal import Synchronization

/// Carries bytes between this program's streams and the raw stream of `attach` or `exec`.
struct StreamRelay: Sendable {
    /// Whether the container's process has a terminal: its output then comes unframed.
    let hasTerminal: Bool
    let forwardsInput: Bool
    let detachKeys: DetachKeys

    /// How the relay ended.
    enum End: Sendable {
        /// The container's side closed.
        case closed
        /// The user typed the detach keys.
        case detached
    }

    /// Relays until the container's side closes or the user leaves.
    func run(over answer: Answer) async throws -> End {
        let rawMode = hasTerminal && forwardsInput ? RawMode(.input) : nil
        defer { rawMode?.restore() }
        return try await withThrowingTaskGroup(of: End?.self) { group in
            group.addTask {
                try await showOutput(of: answer)
                return .closed
            }
            if forwardsInput {
                let (ends, ended) = AsyncStream.makeStream(of: Bool.self)
                // Owned by the program and ended with it: a read of standard input cannot be called back.
                Task {
                    ended.yield(await feedInput(to: answer))
                    ended.finish()
                }
                group.addTask {
                    for await isDetached in ends where isDetached { return .detached }
                    return nil
                }
            }
            for try await end in group {
                guard let end else { continue }
                group.cancelAll()
                return end
            }
            return .closed
        }
    }

    /// - Returns: whether the detach keys ended it; the end of the input closes this side of the stream instead.
    private func feedInput(to answer: Answer) async -> Bool {
        var scanner = DetachScanner(keys: hasTerminal ? detachKeys : .none)
        while let typed = await nextInput() {
            let (forwarded, isDetached) = scanner.scan(typed)
            // A container that has ended reads nothing more: its exit code tells the rest.
            guard (try? await answer.write(forwarded)) != nil else { return false }
            if isDetached { return true }
        }
        answer.finishWriting()
        return false
    }

    /// What cannot be read is at its end, which is then no secret.
    private func nextInput() async -> [UInt8]? {
        do { return try await readStandardInput() } catch {
            StandardStream.error.write("\(error)\n")
            return nil
        }
    }

    private func showOutput(of answer: Answer) async throws {
        if hasTerminal {
            for try await chunk in answer.bytes { StandardStream.output.write(chunk) }
        } else {
            try await showFrames(answer.bytes)
        }
    }
}

/// Writes a multiplexed stream to standard output and standard error.
func showFrames(_ bytes: AnswerBytes) async throws {
    var frames = StreamDemultiplexer()
    for try await chunk in bytes {
        try frames.consume(chunk) { stream, payload in
            switch stream {
            case .standardInput, .standardOutput: StandardStream.output.write(payload)
            case .standardError, .systemError: StandardStream.error.write(payload)
            }
        }
    }
}

/// Where signals go while a stream is relayed.
struct SignalProxy: Sendable {
    let signals: AsyncStream<Int32>
    /// The container that is sent them; nil for none.
    let container: String?
    /// The path that takes this terminal's new size, `/containers/{id}/resize`; nil without a terminal.
    let resizePath: RequestPath?
    /// Whether the process is to show anew what is on its terminal.
    var asksToRedraw = false
    let client: Client

    /// Passes signals and changes of size on for as long as `start` and then `body` run, and between them the size as it is, and the signals that
    /// nobody took until then.
    func passingOn<Result: Sendable>(
        from start: @Sendable () async throws -> Void = {}, while body: @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let early = EarlySignals()
            group.addTask { await passOn(early) }
            defer { group.cancelAll() }
            try await start()
            let again = early.takeAll()
            if let container { group.addTask { for number in again { await send(number, to: container) } } }
            if let resizePath {
                group.addTask {
                    // The size that it has already would be no news to it.
                    if asksToRedraw { await sendSize(to: resizePath, client: client, more: 1) }
                    await sendSize(to: resizePath, client: client)
                }
            }
            return try await body()
        }
    }

    private func passOn(_ early: EarlySignals) async {
        for await number in signals {
            if number == SIGWINCH, let resizePath {
                await sendSize(to: resizePath, client: client)
            } else if let container {
                let isEarly = early.areKept
                if await send(number, to: container) || !isEarly { continue }
                // Where the start has been answered meanwhile, now is the time.
                if !early.keep(number) { await send(number, to: container) }
            }
        }
    }

    /// How long the daemon may take for one signal, while others wait.
    private static let deadline = Duration.seconds(10)

    /// - Returns: false where the daemon refused it.
    @discardableResult
    private func send(_ number: Int32, to container: String) async -> Bool {
        // One that has ended takes no signal, and its exit code is on its way.
        let isTaken = try? await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await client.act("kill", on: container, query: [("signal", signalName(number))])
                return true
            }
            group.addTask {
                try await Task.sleep(for: Self.deadline)
                StandardStream.error.write("SIG\(signalName(number)) may not have reached the container: the daemon does not answer\n")
                // It may have, and twice is another thing than once.
                return true
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
        return isTaken ?? false
    }
}

/// Signals that came before there was anything to take them, while the start is not answered.
private final class EarlySignals: Sendable {
    /// No signal comes so often that more of them would say more.
    private static let maximumCount = 64

    /// nil once the start is answered.
    private let numbers = Mutex<[Int32]?>([])

    var areKept: Bool { numbers.withLock { $0 != nil } }

    /// - Returns: false once the start is answered: then it can be sent.
    func keep(_ number: Int32) -> Bool {
        numbers.withLock { numbers in
            guard let kept = numbers else { return false }
            if kept.count < Self.maximumCount { numbers?.append(number) }
            return true
        }
    }

    /// Those that were kept; from now on none is.
    func takeAll() -> [Int32] {
        numbers.withLock { numbers in
            defer { numbers = nil }
            return numbers ?? []
        }
    }
}

/// - Parameter more: rows and columns besides those that there are.
private func sendSize(to path: RequestPath, client: Client, more: Int = 0) async {
    guard let size = StandardStream.output.size ?? StandardStream.input.size, size.rows > 0, size.columns > 0 else { return }
    let query = [(name: "h", value: String(Int(size.rows) + more)), (name: "w", value: String(Int(size.columns) + more))]
    // A terminal that just closed has no size to set.
    _ = try? await client.answer(to: EngineRequest("POST", path, query: query))
}

/// The keys that `--detach-keys` names, else `config.json`.
/// - Throws: `Complaint` naming the key that is none.
func detachKeys(_ invocation: Invocation) throws(Complaint) -> DetachKeys {
    let asked = invocation.arguments.string("detach-keys") ?? ""
    let text = asked.isEmpty ? invocation.environment.configuration.detachKeys : asked
    do throws(DetachKeysError) { return try DetachKeys(text) } catch { throw Complaint("\(error)") }
}
