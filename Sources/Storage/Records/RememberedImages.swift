internal import Synchronization

/// The list of images as it was read last, until the next write.
final class RememberedImages: Sendable {
    private let state = Mutex<(writes: UInt64, list: [NamedImage]?)>((0, nil))

    /// The list; read where something was written since the last time.
    func list(_ read: () async throws(RecordsError) -> [NamedImage]) async throws(RecordsError) -> [NamedImage] {
        let (writes, known) = state.withLock { $0 }
        if let known { return known }
        let list = try await read()
        // What was written meanwhile may be missing in it.
        state.withLock { if $0.writes == writes { $0.list = list } }
        return list
    }

    /// To be called before a write tells that it is done, and also where it failed.
    func forget() { state.withLock { $0 = ($0.writes + 1, nil) } }
}
