internal import Archive
internal import ContentStore
internal import CoreTypes
internal import OCISpec
internal import Records
internal import Registry
internal import Snapshots

/// Brings an image's layers here, unpacked, for a pull, a load, an import or a commit: what is there is left, what another fetches is
/// waited for.
struct LayerProvider: Sendable {
    let storage: ImageStorage
    let records: ImageRecords
    /// Where missing blobs are fetched; nil where all are in the store.
    let repository: MirroredRepository?
    let cancellation: Cancellation
    let journal: TransferJournal<PullEvent>
    /// Blobs of layers that were packed here, or were taken in once; all others are a stranger's.
    var known: Set<Digest> = []

    /// Provides the layers and keeps them from the sweep while `body` writes down what needs them.
    func withLayers<Result>(_ layers: [PlannedLayer], _ body: () async throws(ImageError) -> Result) async throws(ImageError) -> Result {
        let chains = layers.map(\.chainID)
        storage.hold(chains)
        defer { storage.letGo(chains) }
        for layer in layers { storage.news.subscribe(journal, to: layer.chainID, id: layer.shortID) }
        defer { for chain in chains { storage.news.unsubscribe(journal, from: chain) } }
        try await provide(layers)
        return try await body()
    }

    /// Fetches and unpacks what is missing, side by side, and commits it from the lowest up.
    private func provide(_ layers: [PlannedLayer]) async throws(ImageError) {
        announce(layers, lacking: try await lackingBlobs(layers))
        // Each layer opens the gate for the one above it when it is committed.
        let gates = layers.map { _ in AsyncStream<Never>.makeStream() }
        let failure = await withTaskGroup(of: ImageError?.self) { group in
            for (position, layer) in layers.enumerated() {
                group.addTask {
                    do throws(ImageError) {
                        try await provide(layer, after: position > 0 ? gates[position - 1].stream : nil)
                    } catch { return error }
                    gates[position].continuation.finish()
                    return nil
                }
            }
            var first: ImageError?
            for await failure in group {
                // Those that are cancelled for the sake of the first failure say nothing new.
                if let failure, first == nil || first?.code == .cancelled {
                    first = failure
                    cancellation.cancel()
                    group.cancelAll()
                }
            }
            return first
        }
        if let failure { throw failure }
    }

    /// Blobs that are not here, though perhaps what they unpack to is: the same layer may come packed in another way.
    private func lackingBlobs(_ layers: [PlannedLayer]) async throws(ImageError) -> Set<Digest> {
        let (blobs, repository, reserve) = (storage.blobs, repository, storage.limits.reservedFreeBytes)
        return try await storage.talks.run { () throws(ImageError) in
            do throws(ContentError) {
                var lacking: Set<Digest> = []
                var needed: Int64 = 0
                for blob in layers.map(\.blob) where try blobs.size(of: blob.digest) != blob.sizeBytes {
                    guard lacking.insert(blob.digest).inserted else { continue }
                    // What an interrupted pull brought takes its place already.
                    let arrived = min(try blobs.arrivedBytes(of: blob.digest), blob.sizeBytes)
                    needed = needed.addingClamped(blob.sizeBytes - arrived)
                }
                if repository != nil, needed > 0 {
                    let doing = "fetch \(lacking.count) blob\(lacking.count == 1 ? "" : "s")"
                    try blobs.checkReserve(reserve, beside: needed, doing: doing)
                }
                return lacking
            } catch { throw .storage(error) }
        }
    }

    /// Says where each layer stands before anything happens.
    private func announce(_ layers: [PlannedLayer], lacking: Set<Digest>) {
        var missing: [PlannedLayer] = []
        for layer in layers {
            if storage.snapshots.contains(layer: layer.chainID), !lacking.contains(layer.blob.digest) {
                journal.add(.layer(id: layer.shortID, .alreadyExists))
            } else {
                journal.add(.layer(id: layer.shortID, .pullingFileSystemLayer))
                missing.append(layer)
            }
        }
        for layer in missing.dropFirst(storage.downloads.width) { journal.add(.layer(id: layer.shortID, .waiting)) }
    }

    private func provide(_ layer: PlannedLayer, after gate: AsyncStream<Never>?) async throws(ImageError) {
        // Looked for in its turn only: the sweep may be taking it away until then.
        try await storage.layerTurns.withTurn(layer.chainID) { () throws(ImageError) in
            if storage.snapshots.contains(layer: layer.chainID) { return try await provideBlob(of: layer) }
            let work = try work(on: layer)
            do throws(ImageError) {
                let applied = try await storage.blobTurns.withTurn(layer.blob.digest) { () throws(ImageError) in try await work.perform() }
                if let gate { for await _ in gate {} }
                if Task.isCancelled { throw .cancelled }
                try await commit(layer, work.key, applied)
            } catch {
                throw await withoutRemains(of: work.key, error)
            }
            storage.news.tell(.pullComplete, of: layer.chainID)
        }
    }

    private func work(on layer: PlannedLayer) throws(ImageError) -> LayerWork {
        let (storage, chain) = (storage, layer.chainID)
        return LayerWork(
            layer: layer, storage: storage, repository: repository, cancellation: cancellation, key: try storage.newKey(for: chain),
            tell: { storage.news.tell($0, of: chain) },
            limits: known.contains(layer.blob.digest) ? storage.limits.ofKnownLayers : storage.limits)
    }

    /// Brings the blob of a layer that is unpacked here already: it will be saved and pushed, so it must be what it is said to be.
    private func provideBlob(of layer: PlannedLayer) async throws(ImageError) {
        let (work, isKnown) = (try work(on: layer), try await isVerified(layer))
        try await storage.blobTurns.withTurn(layer.blob.digest) { () throws(ImageError) in
            if try await work.provideBlob(isVerified: isKnown) { storage.news.tell(.pullComplete, of: layer.chainID) }
        }
    }

    /// Whether an image that is here has this blob as this layer: it was held against it then.
    private func isVerified(_ layer: PlannedLayer) async throws(ImageError) -> Bool {
        let images: [NamedImage]
        do throws(RecordsError) { images = try await records.all() } catch { throw .storage(error) }
        let storage = storage
        for named in images
        where named.image.blobs.contains(layer.blob.digest) && named.image.layers.contains(where: { $0.diffID == layer.diffID }) {
            for digest in named.manifestDigests {
                // One that the disk has lost shows nothing.
                let manifest = try? await storage.talks.run { () throws(ImageError) in try storage.manifest(digest).manifest }
                let pairs = zip(manifest?.layers ?? [], named.image.layers)
                if pairs.contains(where: { $0.digest == layer.blob.digest && $1.diffID == layer.diffID }) { return true }
            }
        }
        return false
    }

    private func commit(_ layer: PlannedLayer, _ key: SnapshotKey, _ applied: AppliedLayer) async throws(ImageError) {
        let snapshots = storage.snapshots
        try await storage.chores.run { () throws(ImageError) in
            do throws(SnapshotError) {
                try snapshots.commitLayer(key, as: layer.chainID, parent: layer.parent, applied: applied)
            } catch { throw .storage(error) }
        }
    }

    /// Removes a layer in the making. The first error stays the error; what cannot be removed is said behind it.
    private func withoutRemains(of key: SnapshotKey, _ error: ImageError) async -> ImageError {
        let snapshots = storage.snapshots
        do throws(ImageError) {
            try await storage.chores.run { () throws(ImageError) in
                do throws(SnapshotError) { try snapshots.remove(key) } catch { throw .storage(error) }
            }
        } catch let second {
            return ImageError(error.code, "\(error.message); and what was unpacked stays: \(second)", cause: error.cause)
        }
        return error
    }
}
