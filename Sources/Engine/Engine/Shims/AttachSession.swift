internal import ShimProtocol
internal import Synchronization

/// A client's end of a process's input and output.
///
/// It may be made before the process starts: reading and writing then wait until it does.
package final class AttachSession: Sendable {
    /// What the session is joined to.
    private enum Source: Sendable {
        case process(ShimStream)
        /// Nothing any more, or never.
        case nothing
    }

    /// Whether the process has a terminal, so that all output is one stream.
    package let isTerminal: Bool
    /// Which of the process's streams the client wants.
    let options: AttachOptions
    private let source = OneShot<Source>()
    private let pending: PendingAttachments?
    /// What the log held before.
    private let history: LogSession?
    private let historyIsOver = Mutex(false)
    /// Tells that the client typed its detach keys.
    private let whenDetached = Mutex<(@Sendable () async -> Void)?>(nil)
    /// Said once, in place of output: why there is no process.
    private let notice: Mutex<[UInt8]?>

    /// A session without a process yet.
    init(isTerminal: Bool, options: AttachOptions, history: LogSession? = nil, pending: PendingAttachments? = nil) {
        self.isTerminal = isTerminal
        self.options = options
        self.history = history
        self.pending = pending
        notice = Mutex(nil)
        pending?.add(self)
    }

    /// A session that only says why there is no process.
    init(isTerminal: Bool, notice text: String) {
        self.isTerminal = isTerminal
        options = AttachOptions()
        history = nil
        pending = nil
        notice = Mutex(Array(text.utf8))
        source.settle(.nothing)
    }

    // MARK: - For the engine

    /// Joins the process, unless the client has left meanwhile.
    func join(_ stream: ShimStream) {
        source.settle(.process(stream))
        if case .nothing = source.settledValue { stream.leave() }
    }

    /// Says who wants to know when the client types its detach keys.
    func onDetach(_ tell: @escaping @Sendable () async -> Void) { whenDetached.withLock { $0 = tell } }

    /// Ends a session whose process will not come, or is not wanted.
    func end() { source.settle(.nothing) }

    // MARK: - For the client

    /// What the process wrote next; nil when it will write no more. The process is held back while nobody asks. One task reads.
    package func next() async throws(EngineError) -> OutputChunk? {
        if let chunk = try await nextOfHistory() { return chunk }
        if let text = notice.withLock({ $0.take() }) { return OutputChunk(stream: .stdout, bytes: text) }
        guard let stream = await stream() else { return nil }
        // A connection that breaks for good is the end of the session.
        while let message = try? await stream.next() {
            switch message.kind {
            case .stdout: return OutputChunk(stream: .stdout, bytes: message.data)
            case .stderr: return OutputChunk(stream: .stderr, bytes: message.data)
            case .exited:
                stream.leave()
                return nil
            case .attached, .stdin, .taken, .unknown: continue
            }
        }
        return nil
    }

    /// Hands bytes to the process's standard input; returns when they are on their way. Those that no process will read are
    /// dropped, as bytes written to a terminal after hangup are.
    package func write(_ bytes: [UInt8]) async throws(EngineError) {
        guard options.stdin, let stream = await stream() else { return }
        do throws(ShimError) { try await stream.write(bytes) } catch {
            if error.code != .disconnected { throw .system("write to the container", error) }
        }
    }

    /// Ends the client's input. Whether the process sees its end is the container's `StdinOnce`.
    package func closeInput() async {
        guard options.stdin, let stream = await stream() else { return }
        // A broken connection has ended the input as well.
        try? stream.closeInput()
    }

    /// The client typed its detach keys.
    package func tellDetached() async {
        guard let tell = whenDetached.withLock({ $0 }) else { return }
        await tell()
    }

    /// Ends the session: the client has left. The process goes on.
    package func detach() {
        pending?.remove(self)
        source.settle(.nothing)
        if case .process(let stream) = source.settledValue { stream.leave() }
    }

    // MARK: -

    private func stream() async -> ShimStream? {
        do throws(CancellationError) {
            guard case .process(let stream) = try await source.value() else { return nil }
            return stream
        } catch { return nil }
    }

    private func nextOfHistory() async throws(EngineError) -> OutputChunk? {
        guard let history, !historyIsOver.withLock({ $0 }) else { return nil }
        if let line = try await history.next() { return OutputChunk(stream: line.stream, bytes: line.bytes) }
        historyIsOver.withLock { $0 = true }
        return nil
    }
}
