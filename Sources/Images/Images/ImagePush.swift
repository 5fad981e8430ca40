internal import ContentStore
package import CoreTypes
internal import LinuxSyscalls
internal import OCISpec
internal import Records
package import Registry
internal import Synchronization

/// One thing that a push tells about itself, in the order in which it happens.
package enum PushEvent: TransferEvent {
    /// The push has begun, to this repository.
    case pushing(to: ImageReference)
    /// A layer moved on; `id` is the first twelve digits of its diffID.
    case layer(id: String, Progress)
    /// A tag is there.
    case tagged(String, digest: Digest, sizeBytes: Int)

    /// Where a layer is on its way, in bytes of its blob.
    package enum Progress: Equatable, Sendable {
        case preparing
        case pushing(current: UInt64, total: UInt64)
        case pushed
        case alreadyExists
        case mounted(from: String)
    }

    /// Whether it is about one layer.
    package var isAboutLayer: Bool { !id.isEmpty }

    /// Docker's `id` field; empty for messages about the whole image.
    package var id: String { if case .layer(let id, _) = self { id } else { "" } }

    /// Docker's `status` field.
    package var status: String {
        switch self {
        case .pushing(let reference): "The push refers to repository [\(reference.name)]"
        case .tagged(let tag, let digest, let sizeBytes): "\(tag): digest: \(digest) size: \(sizeBytes)"
        case .layer(_, .preparing): "Preparing"
        case .layer(_, .pushing): "Pushing"
        case .layer(_, .pushed): "Pushed"
        case .layer(_, .alreadyExists): "Layer already exists"
        case .layer(_, .mounted(let repository)): "Mounted from \(repository)"
        }
    }

    /// Docker's `progressDetail`.
    package var detail: (current: UInt64, total: UInt64)? {
        if case .layer(_, .pushing(let current, let total)) = self, total > 0 { (current, total) } else { nil }
    }
}

extension ImageLibrary {
    /// Brings an image to the registry that its name names: blobs that the registry lacks, side by side, then the manifest.
    /// Cancelling the task ends the push.
    /// - Parameter reference: with a tag; without one, every tag of the repository that is here is pushed.
    /// - Parameter progress: called from one task, in order; while it runs, intermediate counts are skipped.
    /// - Throws: `.notFound` where no image here has the name.
    package func push(
        _ reference: ImageReference, credentials: RegistryCredentials, progress: @escaping @Sendable (PushEvent) async -> Void
    ) async throws(ImageError) {
        guard reference.digest == nil else { throw ImageError(.invalid, "cannot push a digest reference") }
        let images = try await named(reference)
        let (cancellation, journal) = (Cancellation(), TransferJournal<PushEvent>())
        let neighbours = Set(images.flatMap { $0.image.repositoryDigests }.filter { $0.domain == reference.domain }.map(\.path))
            .subtracting([reference.path]).sorted()
        let session: RepositorySession
        do throws(RegistryError) {
            session = try registry.pushSession(
                for: reference, credentials: credentials, neighbours: neighbours, cancellation: cancellation)
        } catch { throw .registry(error) }
        let storage = try storage()
        let recovery = BlobRecovery(storage: storage, registry: registry) { $0 == reference.domain ? credentials : .anonymous }
        journal.add(.pushing(to: reference))
        async let reported: Void = journal.report(to: progress)
        let result: Result<Void, ImageError> = await withTaskCancellationHandler {
            do throws(ImageError) {
                for (name, found) in images {
                    try await storage.leasing(keeping: records.images) { (lease) throws(ImageError) in
                        let image = try await protect(found.image, by: lease)
                        // What it is to be pushed as may be another's by now.
                        guard image.tags.contains(name) else { throw ImageError(.notFound, "tag does not exist: \(name.familiar)") }
                        let push = ImagePush(
                            name: name, image: image, neighbours: neighbours, session: session, storage: storage,
                            records: records.images, recovery: recovery, cancellation: cancellation, journal: journal)
                        try await push.run()
                    }
                }
                return .success(())
            } catch { return .failure(error) }
        } onCancel: {
            cancellation.cancel()
        }
        journal.finish()
        await reported
        try result.get()
    }

    private func named(_ reference: ImageReference) async throws(ImageError) -> [(name: ImageReference, image: NamedImage)] {
        let found = try await list().flatMap { image in
            image.tags.filter { $0.name == reference.name && (reference.tag == nil || $0.tag == reference.tag) }.map { ($0, image) }
        }
        if found.isEmpty {
            throw ImageError(
                .notFound,
                reference.tag == nil
                    ? "An image does not exist locally with the tag: \(reference.familiarName)"
                    : "tag does not exist: \(reference.familiar)")
        }
        return found.sorted { $0.0.familiar < $1.0.familiar }
    }
}

/// One tag on its way to a registry; what it needs is kept from the sweep meanwhile.
private struct ImagePush: Sendable {
    let name: ImageReference
    let image: NamedImage
    let neighbours: [String]
    let session: RepositorySession
    let storage: ImageStorage
    let records: ImageRecords
    let recovery: BlobRecovery
    let cancellation: Cancellation
    let journal: TransferJournal<PushEvent>

    func run() async throws(ImageError) {
        let digest = image.manifest(of: name)
        _ = try await recovery.restore(digest, sizeBytes: nil, of: image)
        let (bytes, manifest) = try await storage.talks.run { () throws(ImageError) in try storage.manifest(digest) }
        for layer in image.image.layers { journal.add(.layer(id: layer.diffID.short, .preparing)) }
        try await pushLayers(manifest)
        let configuration = manifest.configuration
        _ = try await pushBlob(configuration, shownAs: nil)
        let tag = name.tag ?? ImageReference.defaultTag
        try await storage.questions.run { () throws(ImageError) in
            do throws(RegistryError) {
                let keepsReferrers = try session.pushManifest(bytes, type: manifest.mediaType.rawValue, digest: digest, as: tag)
                if !keepsReferrers, let subject = manifest.subject {
                    try session.addReferrer(manifest.referrer(digest, sizeBytes: Int64(bytes.count)), to: subject)
                }
            } catch { throw pushRefusal(error) }
        }
        try await storage.removalGate.removing { () throws(ImageError) in
            do throws(RecordsError) {
                storage.loosen(try await records.tag(image.image.id, as: name.pinned(to: digest), manifest: digest))
            } catch {
                // Where the name has gone meanwhile, the registry has what it stood for all the same.
                if error.code != .absent { throw .storage(error) }
            }
        }
        journal.add(.tagged(tag, digest: digest, sizeBytes: bytes.count))
    }

    private func pushLayers(_ manifest: ImageManifest) async throws(ImageError) {
        let layers = zip(manifest.layers, image.image.layers.map(\.diffID.short))
        let failure = await withTaskGroup(of: ImageError?.self) { group in
            for (blob, id) in layers {
                group.addTask {
                    do throws(ImageError) {
                        let outcome = try await pushBlob(blob, shownAs: id)
                        journal.add(.layer(id: id, outcome))
                    } catch { return error }
                    return nil
                }
            }
            var first: ImageError?
            for await failure in group {
                // Those that are cancelled for the sake of the first failure say nothing new.
                if let failure, first == nil || first?.code == .cancelled {
                    first = failure
                    cancellation.cancel()
                }
            }
            return first
        }
        if let failure { throw failure }
    }

    private func pushBlob(_ blob: Descriptor, shownAs id: String?) async throws(ImageError) -> PushEvent.Progress {
        // Two layers of one digest are one blob.
        try await storage.uploadTurns.withTurn(blob.digest) { () throws(ImageError) in
            do throws(ImageError) { return try await send(blob, shownAs: id) } catch {
                // Only what was refused for its bytes is read once more: a push of much that failed by the network is not held up.
                guard error.isAboutBytes else { throw error }
                let isRestored = try await recovery.restore(blob.digest, sizeBytes: blob.sizeBytes, of: image)
                // Bytes that are right here became others on their way: they are sent once more.
                guard isRestored || (error.cause as? RegistryError)?.code == .wrongDigest else { throw error }
            }
            return try await send(blob, shownAs: id)
        }
    }

    private func send(_ blob: Descriptor, shownAs id: String?) async throws(ImageError) -> PushEvent.Progress {
        try await storage.uploads.run { () throws(ImageError) in
            let source: StoredBlob
            do throws(ContentError) {
                source = StoredBlob(try storage.blobs.openBlob(blob.digest)) { uploaded in
                    guard let id else { return }
                    journal.add(.layer(id: id, .pushing(current: UInt64(clamping: uploaded), total: UInt64(clamping: blob.sizeBytes))))
                }
            } catch { throw .storage(error) }
            do throws(RegistryError) {
                switch try session.pushBlob(blob.digest, sizeBytes: blob.sizeBytes, from: source, neighbours: neighbours) {
                case .alreadyThere: return .alreadyExists
                case .mounted(let repository): return .mounted(from: repository)
                case .uploaded: return .pushed
                }
            } catch { throw pushRefusal(error) }
        }
    }

    /// What a registry's refusal means for a push, in Docker's words.
    private func pushRefusal(_ error: RegistryError) -> ImageError {
        switch error.code {
        case .denied: ImageError(.denied, error.cause, cause: error)
        case .unauthorized: ImageError(.unauthorized, error.cause, cause: error)
        default: .registry(error)
        }
    }
}

extension ImageError {
    /// Whether the bytes that were sent, or those that could not be read, may be the reason.
    fileprivate var isAboutBytes: Bool {
        switch cause {
        case let error as RegistryError: [.malformed, .wrongDigest, .receiverStopped].contains(error.code)
        case is ContentError: true
        default: false
        }
    }
}

/// A blob of the content store, read from wherever an upload stands.
private final class StoredBlob: UploadSource {
    private let file: OwnedFD
    private let tell: @Sendable (Int64) -> Void

    init(_ file: consuming OwnedFD, tell: @escaping @Sendable (Int64) -> Void) {
        self.file = file
        self.tell = tell
    }

    func read(at offset: Int64, limitBytes: Int) throws(RegistryError) -> [UInt8] {
        var bytes: [UInt8] = []
        do throws(SyscallError) {
            try seek(file.number, to: offset)
            while bytes.count < limitBytes {
                let chunk = try readChunk(file.number, limitBytes: min(1 << 20, limitBytes - bytes.count))
                if chunk.isEmpty { break }
                bytes += chunk
            }
        } catch { throw RegistryError(.receiverStopped, doing: "read the blob", cause: "\(error)") }
        if bytes.isEmpty { throw RegistryError(.receiverStopped, doing: "read the blob", cause: "it is shorter than its manifest says") }
        return bytes
    }

    func uploaded(_ bytes: Int64) { tell(bytes) }
}

extension ImageManifest {
    /// What a list of referrers says of it. - Source: image-spec v1.1, descriptor.md, `artifactType`.
    fileprivate func referrer(_ digest: Digest, sizeBytes: Int64) -> Descriptor {
        var referrer = Descriptor(mediaType: mediaType, digest: digest, sizeBytes: sizeBytes)
        referrer.artifactType = artifactType ?? configuration.mediaType
        referrer.annotations = annotations
        return referrer
    }
}
