/// A client's end of a process's input and output.
///
/// It may be made before the process starts: reading and writing then wait until it does.
package final class AttachSession: Sendable {
    /// Whether the process has a terminal, so that all output is one stream.
    package let isTerminal: Bool

    init(isTerminal: Bool) { self.isTerminal = isTerminal }

    /// What the process wrote next; nil when it will write no more. The process is held back while nobody asks.
    package func next() async throws(EngineError) -> OutputChunk? { nil }

    /// Hands bytes to the process's standard input; returns when they are on their way. After the process closed
    /// its input they are dropped, as bytes written to a terminal after hangup are.
    package func write(_ bytes: [UInt8]) async throws(EngineError) {}

    /// Ends the client's input. Whether the process sees its end is the container's `StdinOnce`.
    package func closeInput() async {}

    /// Ends the session: the client has left. The process goes on.
    package func detach() {}
}
