internal import Engine
internal import EngineAPI
internal import Logging

/// A client's end of an attachment.
protocol AttachStream: Sendable {
    /// Whether output of two streams stands in frames that tell them apart.
    var isMultiplexed: Bool { get }
    /// What the client sent; nil when it will send no more, or the task is cancelled.
    func read() async throws -> [UInt8]?
    /// Sends bytes and returns when the kernel has taken them.
    func write(_ bytes: [UInt8]) async throws
    /// Returns when the connection is closed, or the task is cancelled.
    func waitForClose() async
}

extension HijackedStream: AttachStream {
    var isMultiplexed: Bool { true }
}

/// Joins a client's connection and a process's input and output, until either ends.
struct AttachBridge: Sendable {
    private enum End: Sendable {
        /// The process will write no more.
        case output
        /// The client will write no more.
        case input
        /// The client typed its detach keys, or has left.
        case departure
    }

    let session: AttachSession
    let stream: any AttachStream
    /// Whether the client's bytes are for the process.
    let takesInput: Bool
    let detachKeys: DetachKeys
    /// Whether output stands in frames, where the client says so; nil is as the process has a terminal.
    var isFramed: Bool?
    /// What must be so before the client sees the end of the output.
    var beforeEnd: @Sendable () async throws -> Void = {}

    /// Returns when the session is over; the connection is the caller's to close.
    func run() async {
        await withTaskGroup(of: End.self) { group in
            group.addTask { await copyOutput() }
            group.addTask { await copyInput() }
            group.addTask {
                await stream.waitForClose()
                return .departure
            }
            // The end of the input is not the end of the session: the process may still answer.
            while let end = await group.next(), end == .input {}
            session.detach()
            group.cancelAll()
        }
    }

    private func copyOutput() async -> End {
        do {
            while let chunk = try await session.next() {
                var bytes = chunk.bytes
                if stream.isMultiplexed && isFramed ?? !session.isTerminal {
                    bytes = StreamFrame(stream: StandardStream(chunk.stream), payloadLength: bytes.count).header + bytes
                }
                try await stream.write(bytes)
            }
            try await beforeEnd()
            return .output
        } catch let error as EngineError {
            await stream.report(error, isTerminal: session.isTerminal)
            return .output
        } catch {
            // The client's side failed: it has left.
            return .departure
        }
    }

    private func copyInput() async -> End {
        var scanner = DetachScanner(keys: session.isTerminal ? detachKeys : .none)
        do {
            while let bytes = try await stream.read() {
                guard takesInput else { continue }
                let (passed, isDetached) = scanner.scan(bytes)
                if !passed.isEmpty { try await session.write(passed) }
                if isDetached {
                    await session.tellDetached()
                    return .departure
                }
            }
            if takesInput && !Task.isCancelled { await session.closeInput() }
            return .input
        } catch is EngineError {
            // The process takes no more; its output may go on.
            return .input
        } catch {
            return .departure
        }
    }
}

extension AttachStream {
    /// Says an error in the stream, where nothing else is left to say it in.
    func report(_ error: EngineError, isTerminal: Bool) async {
        guard !Task.isCancelled else { return }
        let text = Array("\(error.message)\r\n".utf8)
        let header = isTerminal || !isMultiplexed ? [] : StreamFrame(stream: .standardError, payloadLength: text.count).header
        // A client that is gone does not miss it.
        try? await write(header + text)
    }
}
