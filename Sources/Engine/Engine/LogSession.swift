/// A client's reading of a container's log.
package final class LogSession: Sendable {
    /// Whether the process has a terminal, so that all output is one stream.
    package let isTerminal: Bool

    init(isTerminal: Bool) { self.isTerminal = isTerminal }

    /// The next line; nil at the end. Following, it waits for one until the container ends.
    /// - Throws: `EngineError` when the log cannot be read; `.unavailable` when the reading task is cancelled.
    package func next() async throws(EngineError) -> LogLine? { nil }
}
