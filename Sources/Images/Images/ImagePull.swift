internal import Archive
internal import ContentStore
package import CoreTypes
internal import OCISpec
internal import Records
package import Registry
internal import Snapshots

extension ImageLibrary {
    /// Fetches an image and unpacks it. Layers and blobs that are here are not fetched; one that another pull
    /// is fetching is waited for. Cancelling the task ends the pull.
    /// - Parameter reference: completed with the default tag where it has neither tag nor digest.
    /// - Parameter platform: nil is the host's.
    /// - Parameter progress: called from one task, in order; while it runs, intermediate counts are skipped.
    package func pull(
        _ reference: ImageReference, platform: Platform?, credentials: RegistryCredentials,
        progress: @escaping @Sendable (PullEvent) async -> Void
    ) async throws(ImageError) -> PullResult {
        let cancellation = Cancellation()
        let complete = reference.withDefaultTag
        let pull = ImagePull(
            // A digest says all; the tag beside it is not looked at, as Docker does it.
            reference: complete.digest.map(complete.pinned) ?? complete, platform: platform,
            session: registry.session(for: reference, credentials: credentials, cancellation: cancellation),
            storage: try storage(), records: records.images, cancellation: cancellation, journal: TransferJournal<PullEvent>())
        async let reported: Void = pull.journal.report(to: progress)
        let result: Result<PullResult, ImageError> = await withTaskCancellationHandler {
            do throws(ImageError) { return .success(try await pull.run()) } catch { return .failure(error) }
        } onCancel: {
            cancellation.cancel()
        }
        pull.journal.finish()
        await reported
        return try result.get()
    }
}

/// One pull, from the name to the record.
struct ImagePull: Sendable {
    let reference: ImageReference
    let platform: Platform?
    let session: RepositorySession
    let storage: ImageStorage
    let records: ImageRecords
    let cancellation: Cancellation
    let journal: TransferJournal<PullEvent>

    func run() async throws(ImageError) -> PullResult {
        let lease = storage.blobs.takeLease()
        defer { storage.blobs.release(lease) }
        let resolution = ManifestResolution(
            reference: reference, platform: platform, session: session, blobs: storage.blobs, lease: lease)
        let resolved = try await storage.talks.run { () throws(ImageError) in try resolution.run() }
        journal.add(.pulling(from: reference))
        let plan = resolved.plan
        let chains = plan.layers.map(\.chainID)
        storage.hold(chains)
        defer { storage.letGo(chains) }
        for layer in plan.layers {
            storage.blobs.protect(layer.blob.digest, by: lease)
            storage.news.subscribe(journal, to: layer.chainID, id: layer.shortID)
        }
        defer { for chain in chains { storage.news.unsubscribe(journal, from: chain) } }
        try await provide(plan.layers)
        let isNew = try await record(resolved)
        journal.add(.resolved(resolved.digest))
        journal.add(.complete(reference, isNew: isNew))
        return PullResult(imageID: plan.id, digest: resolved.digest, isNew: isNew)
    }

    // MARK: - Layers

    /// Fetches and unpacks what is missing, side by side, and commits it from the lowest up.
    private func provide(_ layers: [PlannedLayer]) async throws(ImageError) {
        announce(layers)
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

    /// Says where each layer stands before anything happens.
    private func announce(_ layers: [PlannedLayer]) {
        var missing: [PlannedLayer] = []
        for layer in layers {
            if storage.snapshots.contains(layer: layer.chainID) {
                journal.add(.layer(id: layer.shortID, .alreadyExists))
            } else {
                journal.add(.layer(id: layer.shortID, .pullingFileSystemLayer))
                missing.append(layer)
            }
        }
        for layer in missing.dropFirst(storage.downloads.width) { journal.add(.layer(id: layer.shortID, .waiting)) }
    }

    private func provide(_ layer: PlannedLayer, after gate: AsyncStream<Never>?) async throws(ImageError) {
        if storage.snapshots.contains(layer: layer.chainID) { return }
        try await storage.layerTurns.withTurn(layer.chainID) { () throws(ImageError) in
            if storage.snapshots.contains(layer: layer.chainID) { return }
            let (storage, chain) = (storage, layer.chainID)
            let work = LayerWork(
                layer: layer, storage: storage, session: session, cancellation: cancellation, key: try storage.newKey(for: chain),
                tell: { storage.news.tell($0, of: chain) })
            do throws(ImageError) {
                let applied = try await storage.blobTurns.withTurn(layer.blob.digest) { () throws(ImageError) in try await work.perform() }
                if let gate { for await _ in gate {} }
                if Task.isCancelled { throw .cancelled }
                try await commit(layer, work.key, applied)
            } catch {
                throw await withoutRemains(of: work.key, error)
            }
            storage.news.tell(.pullComplete, of: chain)
        }
    }

    private func commit(_ layer: PlannedLayer, _ key: SnapshotKey, _ applied: AppliedLayer) async throws(ImageError) {
        let snapshots = storage.snapshots
        try await storage.talks.run { () throws(ImageError) in
            do throws(SnapshotError) {
                try snapshots.commitLayer(key, as: layer.chainID, parent: layer.parent, applied: applied)
            } catch { throw .storage(error) }
        }
    }

    /// Removes a layer in the making. The first error stays the error; what cannot be removed is said behind it.
    private func withoutRemains(of key: SnapshotKey, _ error: ImageError) async -> ImageError {
        let snapshots = storage.snapshots
        do throws(ImageError) {
            try await storage.talks.run { () throws(ImageError) in
                do throws(SnapshotError) { try snapshots.remove(key) } catch { throw .storage(error) }
            }
        } catch let second {
            return ImageError(error.code, "\(error.message); and what was unpacked stays: \(second)", cause: error.cause)
        }
        return error
    }

    // MARK: - The record

    /// Writes the image down, last of all. - Returns: whether the name means something else than before.
    private func record(_ resolved: ManifestResolution.Resolved) async throws(ImageError) -> Bool {
        let plan = resolved.plan
        let snapshots = storage.snapshots
        let layers = try await storage.talks.run { () throws(ImageError) -> [LayerRecord] in
            var layers: [LayerRecord] = []
            do throws(SnapshotError) {
                for layer in plan.layers {
                    let bytes = try snapshots.usage(ofLayer: layer.chainID).bytes
                    layers.append(LayerRecord(diffID: layer.diffID, chainID: layer.chainID, size: ByteCount(UInt64(clamping: bytes))))
                }
            } catch { throw .storage(error) }
            return layers
        }
        let image = ImageRecord(
            id: plan.id, manifestDigest: plan.manifestDigest, created: plan.configuration.created ?? .zero,
            platform: plan.configuration.platform, size: ByteCount(layers.reduce(0) { $0 + $1.size.bytes }), layers: layers,
            blobs: resolved.documents.union(plan.layers.map(\.blob.digest)))
        let pinned = reference.pinned(to: resolved.digest)
        do throws(RecordsError) {
            let before = try await records.find(named: reference)
            try await records.store(image, names: reference.tag == nil ? [pinned] : [reference, pinned])
            return before?.image.id != image.id
        } catch { throw .storage(error) }
    }
}
