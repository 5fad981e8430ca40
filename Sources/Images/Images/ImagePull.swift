internal import Archive
internal import ContentStore
package import CoreTypes
internal import OCISpec
internal import Records
package import Registry
internal import Snapshots
internal import Tracing

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
            repository: registry.repository(for: reference, credentials: credentials, cancellation: cancellation),
            signatures: signatures, limits: registry.imageLimits, storage: try storage(), records: records.images,
            cancellation: cancellation,
            journal: TransferJournal<PullEvent>())
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
    let repository: MirroredRepository
    let signatures: SignatureCheck
    let limits: ImageLimits
    let storage: ImageStorage
    let records: ImageRecords
    let cancellation: Cancellation
    let journal: TransferJournal<PullEvent>

    /// What a pull keeps from every sweep until its record does. Apart, since of a pull that a registry refuses they differ.
    private struct Leases {
        /// Of indexes, manifest and configuration.
        let documents: LeaseID
        let layers: LeaseID
    }

    func run() async throws(ImageError) -> PullResult {
        let leases = Leases(documents: storage.blobs.takeLease(), layers: storage.blobs.takeLease())
        do throws(ImageError) {
            let result = try await run(leases)
            storage.end(leases.documents)
            storage.end(leases.layers)
            await storage.sweepLoose(keeping: records)
            return result
        } catch {
            // The first error stays the error: what cannot be removed now is found by the next sweep.
            switch error.outlook {
            case .hopeless: _ = try? await removeBrought(by: leases.documents, leases.layers)
            case .refused:
                storage.end(leases.layers)
                _ = try? await removeBrought(by: leases.documents)
            case .interrupted:
                storage.end(leases.documents)
                storage.end(leases.layers)
            }
            await storage.sweepLoose(keeping: records)
            throw error
        }
    }

    private func removeBrought(by leases: LeaseID...) async throws(ImageError) {
        try await storage.removalGate.removing { () throws(ImageError) in
            let brought = leases.reduce(into: Set<Digest>()) { $0.formUnion(storage.end($1)) }
            _ = try await storage.sweep(.among(brought), keeping: records)
            let blobs = storage.blobs
            try await storage.chores.run { () throws(ImageError) in
                do throws(ContentError) { try blobs.removeAbandonedIngests(among: brought) } catch { throw .storage(error) }
            }
        }
    }

    private func run(_ leases: Leases) async throws(ImageError) -> PullResult {
        let resolution = ManifestResolution(
            reference: reference, platform: platform, repository: repository, blobs: storage.blobs, turns: storage.documentTurns,
            lease: leases.documents, limits: limits)
        let resolved = try await traced("resolve") { () throws(ImageError) in
            try await storage.questions.run { () throws(ImageError) in
                let demands = try signatures.demands(of: reference)
                let resolved = try resolution.run()
                try signatures.permit(
                    reference, digests: [resolved.digest, resolved.plan.manifestDigest], demands: demands, from: repository)
                return resolved
            }
        }
        journal.add(.pulling(from: reference))
        let plan = resolved.plan
        for layer in plan.layers { storage.blobs.protect(layer.blob.digest, by: leases.layers) }
        let provider = LayerProvider(
            storage: storage, records: records, repository: repository, cancellation: cancellation, journal: journal)
        let pinned = reference.pinned(to: resolved.digest)
        let isNew = try await provider.withLayers(plan.layers) { () throws(ImageError) in
            let before = try await found(reference)
            let names = reference.tag == nil ? [pinned] : [reference, pinned]
            try await storage.record(plan, documents: resolved.documents, names: names, isPulled: true, in: records)
            return before?.image.id != plan.id
        }
        journal.add(.resolved(resolved.digest))
        journal.add(.complete(reference, isNew: isNew))
        if let warning = resolved.warning { journal.add(.warning(warning)) }
        return PullResult(imageID: plan.id, digest: resolved.digest, isNew: isNew, warning: resolved.warning)
    }

    private func found(_ name: ImageReference) async throws(ImageError) -> NamedImage? {
        do throws(RecordsError) { return try await records.find(named: name) } catch {
            // It is written anew.
            if error.code == .unreadable { return nil }
            throw .storage(error)
        }
    }
}

/// What becomes of what a pull has brought that failed.
private enum Outlook {
    /// Another attempt would end in the same way, by the policy, a limit, or what the image itself is: nobody wants any of it.
    case hopeless
    /// The registry said no, or sent something else: another attempt asks anew what the name stands for, and goes on with the layers.
    case refused
    /// It ended on the way: another attempt goes on with all of it.
    case interrupted
}

extension ImageError {
    fileprivate var outlook: Outlook {
        switch code {
        // Bytes that were not the digest's may be others next time.
        case .badContent: cause is ContentError ? .refused : .hopeless
        case .refused, .invalid: .hopeless
        // What a registry has not today it may have tomorrow; an index without a platform stays without.
        case .notFound: cause is RegistryError ? .refused : .hopeless
        case .unauthorized, .denied: .refused
        case .registry: (cause as? RegistryError)?.isAnswer ?? false ? .refused : .interrupted
        case .ambiguous, .conflict, .storage, .cancelled: .interrupted
        }
    }
}

extension RegistryError {
    /// Whether a registry, or what is set up for it, said no; else it said nothing, or that it cannot now.
    fileprivate var isAnswer: Bool {
        switch code {
        case .notFound, .denied, .unauthorized, .malformed, .refused, .badName: true
        case .tooManyRequests, .server, .network, .interrupted, .stalled, .outOfStep, .wrongDigest, .receiverStopped, .cancelled: false
        }
    }
}
