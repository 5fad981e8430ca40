internal import Dispatch
internal import Synchronization

/// Bytes that a task hands to a thread that blocks for them, a chunk at a time: the task goes on when the thread has taken what it gave.
package final class TaskSource: ByteSource {
    private enum State {
        case empty
        case offered([UInt8], taken: CheckedContinuation<Bool, Never>)
        case ended(String?)
        /// The reader will take no more.
        case abandoned
    }

    private let state = Mutex(State.empty)
    private let changed = DispatchSemaphore(value: 0)

    package init() {}

    /// Hands over a chunk and returns when it was taken. - Returns: false when the reader wants no more.
    package func send(_ chunk: [UInt8]) async -> Bool {
        if chunk.isEmpty { return true }
        return await withCheckedContinuation { continuation in
            let isAbandoned = state.withLock { state in
                switch state {
                case .abandoned, .ended: return true
                case .empty, .offered:
                    state = .offered(chunk, taken: continuation)
                    return false
                }
            }
            if isAbandoned { continuation.resume(returning: false) } else { changed.signal() }
        }
    }

    /// There will be no more: nil is the end, else the reason, which the reader is told. Only the first counts.
    package func end(_ failure: String? = nil) {
        state.withLock { state in if case .empty = state { state = .ended(failure) } }
        changed.signal()
    }

    /// Neither side goes on: the reader is told the reason in place of further bytes, and whoever waits to hand something over is told.
    package func breakOff(_ reason: String) {
        let waiting: CheckedContinuation<Bool, Never>? = state.withLock { state in
            defer { state = .ended(reason) }
            if case .offered(_, let taken) = state { return taken }
            return nil
        }
        waiting?.resume(returning: false)
        changed.signal()
    }

    /// The reader takes no more: whoever waits to hand something over is told.
    package func abandon() {
        let waiting: CheckedContinuation<Bool, Never>? = state.withLock { state in
            defer { state = .abandoned }
            if case .offered(_, let taken) = state { return taken }
            return nil
        }
        waiting?.resume(returning: false)
    }

    package func next() throws(ArchiveError) -> [UInt8] {
        while true {
            enum Found {
                case chunk([UInt8], CheckedContinuation<Bool, Never>)
                case ended(String?)
                case nothing
            }
            let found: Found = state.withLock { state in
                switch state {
                case .offered(let chunk, let taken):
                    state = .empty
                    return .chunk(chunk, taken)
                case .ended(let failure): return .ended(failure)
                case .empty: return .nothing
                case .abandoned: return .ended("the reader gave up")
                }
            }
            switch found {
            case .chunk(let chunk, let taken):
                taken.resume(returning: true)
                return chunk
            case .ended(nil): return []
            case .ended(let failure?): throw ArchiveError(.source, doing: "wait for bytes", subject: failure)
            case .nothing: changed.wait()
            }
        }
    }
}

extension TaskSource {
    /// Runs `work` on a thread of its caller's choosing while this task feeds it from `next`, to the end or until it wants no more.
    /// - Parameter next: nil is the end.
    package static func feed<Result: Sendable>(
        from next: @escaping @Sendable () async throws -> [UInt8]?, _ work: @escaping @Sendable (TaskSource) async throws -> Result
    ) async throws -> Result {
        let source = TaskSource()
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                defer { source.abandon() }
                return try await work(source)
            }
            group.addTask {
                do {
                    while let chunk = try await next() {
                        if await !source.send(chunk) { return nil }
                    }
                    source.end(Task.isCancelled ? "the client went away" : nil)
                } catch {
                    source.end("\(error)")
                }
                return nil
            }
            var result: Result?
            while let ended = try await group.next() {
                guard let ended else { continue }
                result = ended
                group.cancelAll()
            }
            guard let result else { throw CancellationError() }
            return result
        }
    }
}
