internal import Archive
internal import ContentStore
package import CoreTypes
internal import OCISpec
internal import Records
internal import Registry
internal import Snapshots

/// One thing that a load tells about itself.
package enum LoadEvent: Sendable {
    /// A layer moves on.
    case layer(PullEvent)
    /// A name goes from one image to another.
    case renamed(ImageReference, from: Digest)
    /// An image is here, under this name; nil for one without.
    case loaded(id: Digest, ImageReference?)
}

extension ImageLibrary {
    /// Takes in an archive: an OCI layout or what `docker save` writes, plain, gzip or zstd. All of its images, or none of them where
    /// the archive itself is wrong.
    /// - Parameter next: the archive chunk by chunk; nil is its end.
    /// - Parameter platform: nil is the host's.
    /// - Parameter progress: called from one task, in order.
    package func load(
        from next: @escaping @Sendable () async throws -> [UInt8]?, platform: Platform?,
        progress: @escaping @Sendable (LoadEvent) async -> Void
    ) async throws(ImageError) {
        let storage = try storage()
        try await storage.takingIn(records.images) { lease throws(ImageError) in
            let limits = registry.imageLimits
            let intake = ArchiveIntake(
                blobs: storage.blobs, lease: lease, limits: storage.limits.ofImages(limits), nameLimitBytes: limits.archiveNameBytes,
                linkLimit: limits.archiveLinks)
            let contents = try await storage.feeding(next) { source throws(ImageError) in try intake.run(source) }
            let images = ArchiveImages(
                contents: contents, blobs: storage.blobs, lease: lease, platform: platform, limits: limits)
            let signatures = signatures
            let found = try await storage.talks.run { () throws(ImageError) in
                let found = try images.run()
                for image in found { try signatures.permitArchive(image.names.first?.familiar ?? "\(image.plan.id)") }
                return found
            }
            for image in found { try await install(image, progress: progress) }
        }
    }

    private func install(
        _ image: ArchiveImages.Found, progress: @escaping @Sendable (LoadEvent) async -> Void
    ) async throws(ImageError) {
        try await provide(image.plan, progress: progress) { storage throws(ImageError) in
            for name in image.names {
                let before: NamedImage?
                do throws(RecordsError) { before = try await records.images.find(named: name) } catch {
                    guard error.code == .unreadable else { throw .storage(error) }
                    before = nil
                }
                if let before, before.image.id != image.plan.id { await progress(.renamed(name, from: before.image.id)) }
            }
            try await storage.record(image.plan, documents: image.documents, names: image.names, in: records.images)
        }
        if image.names.isEmpty { await progress(.loaded(id: image.plan.id, nil)) }
        for name in image.names { await progress(.loaded(id: image.plan.id, name)) }
    }

    /// Unpacks an image whose blobs are in the store, and runs `body` while its layers are kept from the sweep.
    /// - Parameter known: as `LayerProvider` has it.
    func provide(
        _ plan: ImagePlan, known: Set<Digest> = [], progress: @escaping @Sendable (LoadEvent) async -> Void,
        _ body: (ImageStorage) async throws(ImageError) -> Void
    ) async throws(ImageError) {
        let (storage, cancellation, journal) = (try storage(), Cancellation(), TransferJournal<PullEvent>())
        async let reported: Void = journal.report { await progress(.layer($0)) }
        let provider = LayerProvider(
            storage: storage, records: records.images, repository: nil, cancellation: cancellation, journal: journal, known: known)
        let result: Result<Void, ImageError> = await withTaskCancellationHandler {
            do throws(ImageError) {
                return .success(try await provider.withLayers(plan.layers) { () throws(ImageError) in try await body(storage) })
            } catch { return .failure(error) }
        } onCancel: {
            cancellation.cancel()
        }
        journal.finish()
        await reported
        try result.get()
    }
}

extension ImageStorage {
    /// Runs `body` with a lease; blobs that it brought and no record needs in the end are removed, by the next daemon where this one ends.
    func takingIn<Result>(
        _ records: ImageRecords, _ body: (LeaseID) async throws(ImageError) -> Result
    ) async throws(ImageError) -> Result {
        let lease = blobs.takeLease(isTaking: true)
        do throws(ImageError) {
            let result = try await body(lease)
            try await sweepRest(of: lease, keeping: records)
            return result
        } catch {
            // The first error stays the error; what could not be removed is found by the next sweep.
            try? await sweepRest(of: lease, keeping: records)
            throw error
        }
    }

    private func sweepRest(of lease: LeaseID, keeping records: ImageRecords) async throws(ImageError) {
        try await removalGate.removing { () throws(ImageError) in _ = try await sweep(.among(end(lease)), keeping: records) }
        // Not before it is done: a daemon that is killed in between leaves it to the next.
        blobs.forgetTaking(of: lease)
    }

    /// Runs `work` on a thread that may wait, fed by this task.
    func feeding<Value: Sendable>(
        _ next: @escaping @Sendable () async throws -> [UInt8]?, _ work: @escaping @Sendable (TaskSource) throws(ImageError) -> Value
    ) async throws(ImageError) -> Value {
        do {
            return try await TaskSource.feed(from: next) { source in
                try await self.intakes.run { () throws(ImageError) in
                    // Whoever feeds it learns that no more is wanted before the thread is given back.
                    defer { source.abandon() }
                    return try work(source)
                }
            }
        } catch let error as ImageError { throw error } catch { throw .cancelled }
    }
}
