internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

/// A client's reading of a container's log.
package final class LogSession: Sendable {
    private struct State {
        var reader: LogReader
        var lines: ArraySlice<LogLine> = []
        var isFinished = false
        var isEnding = false
    }

    /// Whether the process has a terminal, so that all output is one stream.
    package let isTerminal: Bool
    /// What `logs --details` shows before each line.
    package let details: String
    private let follows: Bool
    private let watcher: LogWatcher
    private let watch: Int32?
    /// Has what rotation takes away kept meanwhile.
    private let follower: LogFollower?
    /// Settles when the container no longer writes.
    private let ended: OneShot<Void>
    private let state: Mutex<State>

    /// - Parameters:
    ///   - follower: there before the reader begins; nil where nothing is written any more.
    ///   - ended: settled for a container that does not run.
    init(
        reader: LogReader, directory: FilePath, isTerminal: Bool, details: String, follows: Bool, watcher: LogWatcher,
        follower: LogFollower?, ended: OneShot<Void>
    ) throws(SyscallError) {
        self.isTerminal = isTerminal
        self.details = details
        self.follows = follows
        self.watcher = watcher
        self.follower = follower
        self.ended = ended
        watch = follows ? try watcher.follow(directory) : nil
        state = Mutex(State(reader: reader))
    }

    deinit { if let watch { watcher.stopFollowing(watch) } }

    /// The next line; nil at the end. Following, it waits for one until the container ends. One task reads.
    /// - Throws: `.system` when the log cannot be read; `.unavailable` when the reading task is cancelled.
    package func next() async throws(EngineError) -> LogLine? {
        while true {
            let (line, isFinished) = state.withLock { ($0.lines.popFirst(), $0.isFinished) }
            if let line { return line }
            if isFinished { return nil }
            try await fill()
        }
    }

    /// The next lines, at least one and at most what a batch holds; nil at the end. As `next`, and quicker for many lines.
    package func nextLines() async throws(EngineError) -> ArraySlice<LogLine>? {
        guard let first = try await next() else { return nil }
        return state.withLock { state in
            defer { state.lines = [] }
            return [first] + state.lines
        }
    }

    /// Reads the next batch; where there is nothing, waits for a change.
    private func fill() async throws(EngineError) {
        // Before reading: what is written in between must count as a change. Once the container has ended, one more look suffices.
        let change = watch.map(watcher.nextChange)
        let hasEnded = ended.settledValue != nil
        let reader = state.withLock { $0.reader }
        let (batch, advanced) = try await BlockingWork.run { [follower] () throws(EngineError) in
            var reader = reader
            do throws(SyscallError) {
                let batch = try reader.nextBatch()
                if let sequence = reader.sequence { follower?.reads(sequence) }
                return (batch, reader)
            } catch { throw .system("read the log", error) }
        }
        state.withLock { state in
            state.reader = advanced
            state.lines = batch.lines[...]
            state.isFinished = batch.passedUntil || (batch.reachedEnd && (!follows || hasEnded))
        }
        guard batch.lines.isEmpty, !state.withLock({ $0.isFinished }), let change else { return }
        try await firstOf(change, ended)
    }

    private func firstOf(_ change: OneShot<Void>, _ ended: OneShot<Void>) async throws(EngineError) {
        let cancelled = await withTaskGroup(of: Bool.self) { group in
            for signal in [change, ended] {
                group.addTask {
                    do throws(CancellationError) { try await signal.value() } catch { return true }
                    return false
                }
            }
            let first = await group.next() ?? true
            group.cancelAll()
            return first
        }
        if cancelled || Task.isCancelled { throw EngineError(.unavailable, "reading the log was cancelled") }
    }
}
