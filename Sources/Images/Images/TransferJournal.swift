internal import CoreTypes
internal import Synchronization

/// One thing that a transfer tells about itself, in Docker's words.
package protocol TransferEvent: Equatable, Sendable {
    /// The layer that it is about; empty for the whole image.
    var id: String { get }
    var status: String { get }
    var isAboutLayer: Bool { get }
    /// How far it is; `total` is never 0.
    var detail: (current: UInt64, total: UInt64)? { get }
}

/// What a transfer has to tell, in order, until its caller takes it. Counts that were not taken are replaced by newer ones, so
/// that a slow caller costs no memory and slows no download.
final class TransferJournal<Event: TransferEvent>: Sendable {
    private let pending = Mutex<[Event]>([])
    private let signal = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    func add(_ event: Event) {
        pending.withLock { pending in
            if let position = Self.superseded(by: event, in: pending) {
                pending[position] = event
            } else {
                pending.append(event)
            }
        }
        signal.continuation.yield()
    }

    /// Nothing more will be added.
    func finish() { signal.continuation.finish() }

    /// Hands everything to `progress`, until `finish` or the task's cancellation.
    func report(to progress: @Sendable (Event) async -> Void) async {
        for await _ in signal.stream { await drain(to: progress) }
        await drain(to: progress)
    }

    private func drain(to progress: @Sendable (Event) async -> Void) async {
        let events = pending.withLock { pending in
            let taken = pending
            pending = []
            return taken
        }
        for event in events { await progress(event) }
    }

    /// The last word about the same layer, if it is a count of the same kind.
    private static func superseded(by event: Event, in pending: [Event]) -> Int? {
        guard event.detail != nil, let position = pending.lastIndex(where: { $0.id == event.id }) else { return nil }
        return pending[position].status == event.status && pending[position].detail != nil ? position : nil
    }
}

/// Tells every pull that waits for a layer how whoever fetches it is getting on.
final class LayerNews: Sendable {
    private struct Reader {
        let journal: TransferJournal<PullEvent>
        let id: String
    }

    private let readers = Mutex<[Digest: [Reader]]>([:])

    /// A pull wants to hear about a chain; `id` is what it calls the layer.
    func subscribe(_ journal: TransferJournal<PullEvent>, to chain: Digest, id: String) {
        readers.withLock { $0[chain, default: []].append(Reader(journal: journal, id: id)) }
    }

    func unsubscribe(_ journal: TransferJournal<PullEvent>, from chain: Digest) {
        readers.withLock { readers in
            readers[chain]?.removeAll { $0.journal === journal }
            if readers[chain]?.isEmpty ?? false { readers[chain] = nil }
        }
    }

    func tell(_ progress: LayerProgress, of chain: Digest) {
        let listening = readers.withLock { $0[chain] ?? [] }
        for reader in listening { reader.journal.add(.layer(id: reader.id, progress)) }
    }
}
