internal import ContentStore
internal import CoreTypes
internal import OCISpec
internal import Records
internal import Registry

/// Brings blobs again that the disk has lost, from where their image was pulled. Whoever asks has them protected by a lease.
struct BlobRecovery: Sendable {
    let storage: ImageStorage
    let registry: RegistryClient
    /// For a registry, `host:port`.
    let credentials: @Sendable (String) -> RegistryCredentials

    /// Fetches a blob, whatever is here. - Parameter sizeBytes: nil for a manifest or an index.
    /// - Returns: why not; nil where it is here.
    func fetch(_ digest: Digest, sizeBytes: Int64?, of named: NamedImage) async -> String? {
        await fetch(digest, sizeBytes: sizeBytes, from: named.repositoryDigests)
    }

    /// The same from any of these repositories.
    func fetch(_ digest: Digest, sizeBytes: Int64?, from sources: [ImageReference]) async -> String? {
        let cancellation = Cancellation()
        return await withTaskCancellationHandler {
            var remark = "no registry is known that has it"
            for source in sources {
                if Task.isCancelled { return "\(ImageError.cancelled)" }
                do throws(ImageError) {
                    try await fetch(digest, sizeBytes: sizeBytes, from: source, cancellation)
                    return nil
                } catch { remark = "\(error)" }
            }
            return remark
        } onCancel: {
            cancellation.cancel()
        }
    }

    private func fetch(
        _ digest: Digest, sizeBytes: Int64?, from source: ImageReference, _ cancellation: Cancellation
    ) async throws(ImageError) {
        let repository = registry.repository(for: source, credentials: credentials(source.domain), cancellation: cancellation)
        let storage = storage
        try await storage.blobTurns.withTurn(digest) { () throws(ImageError) in
            try await storage.downloads.run { () throws(ImageError) in
                if let sizeBytes {
                    try storage.fetchAnew(digest, sizeBytes: sizeBytes, from: repository, cancellation)
                } else {
                    try storage.fetchDocumentAnew(digest, from: repository)
                }
            }
        }
    }

    /// Looks whether a blob is whole, and fetches one that is not.
    /// - Parameter sizeBytes: nil for a manifest or an index.
    /// - Returns: false where it was whole.
    /// - Throws: `.badContent` with the way out where nobody has it. What is left of it is gone then: whoever brings it next is believed.
    func restore(_ digest: Digest, sizeBytes: Int64?, of named: NamedImage) async throws(ImageError) -> Bool {
        if case .whole = try await state(of: digest) { return false }
        guard let remark = await fetch(digest, sizeBytes: sizeBytes, of: named) else { return true }
        // Somebody has it perhaps, and what is left of it stays.
        if Task.isCancelled { throw .cancelled }
        let blobs = storage.blobs
        try await storage.blobTurns.withTurn(digest) { () throws(ImageError) in
            guard case .damaged = try await state(of: digest) else { return }
            try await storage.talks.run { () throws(ImageError) in
                do throws(ContentError) { try blobs.removeBlob(digest) } catch { throw .storage(error) }
            }
        }
        let name = (named.tags.first ?? named.repositoryDigests.first)?.familiar ?? named.image.id.description
        throw ImageError(
            .badContent,
            "the disk lost bytes of \(digest), and they cannot be fetched again (\(remark)): pull or load \(name) once more, "
                + "or repair the store with `apus system check --repair`")
    }

    /// Makes sure that all is whole that a manifest of an image refers to, and the manifest. A layer that nobody has written to since it was
    /// verified is not read for that: whoever sends it on verifies it as it goes, and says so where it is damaged.
    func restoreAll(of named: NamedImage, manifest digest: Digest) async throws(ImageError) {
        _ = try await restore(digest, sizeBytes: nil, of: named)
        let storage = storage
        let manifest = try await storage.talks.run { () throws(ImageError) in try storage.manifest(digest).manifest }
        _ = try await restore(manifest.configuration.digest, sizeBytes: manifest.configuration.sizeBytes, of: named)
        for part in manifest.layers {
            let isUntouched = try await storage.talks.run { () throws(ImageError) in
                do throws(ContentError) { return try storage.blobs.isUntouched(part.digest, sizeBytes: part.sizeBytes) } catch {
                    throw .storage(error)
                }
            }
            if !isUntouched { _ = try await restore(part.digest, sizeBytes: part.sizeBytes, of: named) }
        }
    }

    private func state(of digest: Digest) async throws(ImageError) -> BlobState {
        let blobs = storage.blobs
        return try await storage.chores.run { () throws(ImageError) in
            do throws(ContentError) { return try blobs.state(of: digest) } catch { throw .storage(error) }
        }
    }
}

extension ImageStorage {
    /// Fetches a layer or a configuration from its registry, in the place of one that lost bytes. Blocks.
    fileprivate func fetchAnew(
        _ digest: Digest, sizeBytes: Int64, from repository: MirroredRepository, _ cancellation: Cancellation
    ) throws(ImageError) {
        // What an earlier attempt left may not be the beginning of this blob: it is gone then. Bytes that are wrong from the start are asked
        // for once more, elsewhere where there is another server.
        var wrong: ContentError?
        var attempts = FetchAttempts()
        while attempts.goOn {
            let ingest = try beginIngest(of: digest, sizeBytes: sizeBytes, cancellation)
            let isResumed = ingest.receivedBytes > 0
            let sink = LayerSink(ingest, in: self, pipe: nil, totalBytes: UInt64(clamping: sizeBytes), tell: { _ in })
            do throws(RegistryError) { try repository.fetchBlob(digest, sizeBytes: sizeBytes, into: sink) } catch {
                throw ingest.withoutEmpty(sink.storeFailure.map { .storage($0) } ?? .registry(error))
            }
            do throws(ContentError) {
                try ingest.commit()
                return
            } catch {
                guard error.code == .digestMismatch else { throw .storage(error) }
                wrong = error
            }
            if attempts.failed(isResumed: isResumed) { repository.distrust(sourceOf: digest) }
        }
        let found = wrong?.subject.split(separator: " ").last.map { ": found \($0)" } ?? ""
        throw ImageError(.badContent, "verification failed for digest \(digest)\(found)", cause: wrong)
    }

    /// Fetches a manifest or an index, in the place of one that lost bytes. Blocks.
    fileprivate func fetchDocumentAnew(_ digest: Digest, from repository: MirroredRepository) throws(ImageError) {
        let bytes: [UInt8]
        do throws(RegistryError) {
            bytes = try repository.manifest(digest.description) { Digest(of: $0.bytes, digest.algorithm) == digest }.bytes
        } catch { throw .registry(error) }
        guard Digest(of: bytes, digest.algorithm) == digest else {
            throw ImageError(.badContent, "manifest verification failed for digest \(digest)")
        }
        do throws(ContentError) { try blobs.restoreBlob(bytes, as: digest) } catch { throw .storage(error) }
    }
}
