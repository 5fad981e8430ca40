internal import CoreTypes
internal import Dispatch
internal import Synchronization

/// One thread at a time for each document: whoever comes second finds it there. For the library's own threads, which may block.
final class DocumentTurns: Sendable {
    /// A document is being fetched while it is in here, for these.
    private let waiting = Mutex<[Digest: [DispatchSemaphore]]>([:])

    /// Runs `body` while no other thread does for the same digest. The wait is as long as the others take, whose registries have deadlines.
    func withTurn<Value>(_ digest: Digest, _ body: () throws(ImageError) -> Value) throws(ImageError) -> Value {
        let turn: DispatchSemaphore? = waiting.withLock { waiting in
            guard waiting[digest] != nil else {
                waiting[digest] = []
                return nil
            }
            let semaphore = DispatchSemaphore(value: 0)
            waiting[digest]?.append(semaphore)
            return semaphore
        }
        turn?.wait()
        defer { release(digest) }
        return try body()
    }

    private func release(_ digest: Digest) {
        let next: DispatchSemaphore? = waiting.withLock { waiting in
            guard let first = waiting[digest]?.first else {
                waiting[digest] = nil
                return nil
            }
            waiting[digest]?.removeFirst()
            return first
        }
        next?.signal()
    }
}
