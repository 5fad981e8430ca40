internal import ContentStore
package import CoreTypes
package import OCISpec
package import Registry

/// What a registry says of an image that need not be here.
package struct DistributionDescription: Sendable {
    /// Of what the name stands for: a manifest or an index.
    package let descriptor: Descriptor
    /// Its bytes, held against the digest.
    package let document: [UInt8]
    /// What it runs on.
    package let platforms: [Platform]
}

/// Questions to registries, after which nothing of the answer is kept.
extension ImageLibrary {
    /// Asks a registry for repositories. - Returns: the answer's JSON.
    package func search(
        _ term: String, at domain: String, limit: Int, credentials: RegistryCredentials
    ) async throws(ImageError) -> [UInt8] {
        let registry = registry
        return try await asking { cancellation throws(RegistryError) in
            try registry.search(term, at: domain, limit: limit, credentials: credentials, cancellation: cancellation)
        }
    }

    /// Asks a registry what a name stands for.
    /// - Throws: `.notFound`, `.denied`, `.unauthorized`; `.badContent` for a document that is none of images.
    package func inspectDistribution(
        of reference: ImageReference, credentials: RegistryCredentials
    ) async throws(ImageError) -> DistributionDescription {
        let registry = registry
        let complete = reference.withDefaultTag
        let (served, repository) = try await asking { cancellation throws(RegistryError) in
            let repository = registry.repository(for: complete, credentials: credentials, cancellation: cancellation)
            let wanted = complete.digest?.description ?? complete.tag ?? ImageReference.defaultTag
            let served = try repository.manifest(wanted) { served in
                complete.digest.map { Digest(of: served.bytes, $0.algorithm) == $0 } ?? true
            }
            return (served, repository)
        }
        let digest = Digest(of: served.bytes, complete.digest?.algorithm ?? .sha256)
        if let wanted = complete.digest, wanted != digest {
            throw ImageError(.badContent, "manifest verification failed for digest \(wanted)")
        }
        let document: ImageDocument
        do throws(SpecProblem) { document = try served.document(registry.imageLimits.manifest) } catch {
            throw ImageError(.badContent, "invalid manifest \(digest) of \(complete.familiar): \(error)", cause: error)
        }
        let (type, platforms): (MediaType, [Platform])
        switch document {
        case .index(let index): (type, platforms) = (index.mediaType, index.manifests.compactMap(\.platform))
        case .manifest(let manifest): (type, platforms) = (manifest.mediaType, try await self.platforms(of: manifest, repository))
        }
        let descriptor = Descriptor(mediaType: type, digest: digest, sizeBytes: Int64(served.bytes.count))
        return DistributionDescription(descriptor: descriptor, document: served.bytes, platforms: platforms)
    }

    /// One that is no image has none.
    private func platforms(of manifest: ImageManifest, _ repository: MirroredRepository) async throws(ImageError) -> [Platform] {
        let part = manifest.configuration
        guard part.mediaType.isConfiguration else { return [] }
        guard part.sizeBytes <= registry.imageLimits.configurationBytes else {
            throw ImageError(.badContent, "invalid image: a configuration of \(part.sizeBytes) bytes")
        }
        let bytes = try await asking { _ throws(RegistryError) in
            let sink = MemorySink()
            try repository.fetchBlob(part.digest, sizeBytes: part.sizeBytes, into: sink)
            return sink.bytes
        }
        guard Digest(of: bytes, part.digest.algorithm) == part.digest else {
            throw ImageError(.badContent, "image config verification failed for digest \(part.digest)")
        }
        do throws(SpecProblem) { return [try ImageConfiguration.decode(bytes, limits: registry.imageLimits.configuration).platform] } catch
        {
            throw ImageError(.badContent, "invalid image configuration \(part.digest): \(error)", cause: error)
        }
    }

    /// Stores a manifest or an index in a registry, under a tag or its digest. What it refers to must be there.
    /// - Parameter repository: of the same registry, that lends blobs which are not; the caller has chosen it.
    package func storeManifest(
        _ bytes: [UInt8], as reference: ImageReference, from repository: String?, credentials: RegistryCredentials
    ) async throws(ImageError) -> Digest {
        let document: ImageDocument
        do throws(SpecProblem) { document = try ImageDocument.decode(bytes, limits: registry.imageLimits.manifest) } catch {
            throw ImageError(.invalid, "invalid manifest: \(error)", cause: error)
        }
        let type: MediaType =
            switch document {
            case .index(let index): index.mediaType
            case .manifest(let manifest): manifest.mediaType
            }
        let digest = Digest(of: bytes)
        let (registry, complete) = (registry, reference.withDefaultTag)
        if let wanted = complete.digest, wanted != digest { throw ImageError(.invalid, "the manifest is \(digest), not \(wanted)") }
        try await asking { cancellation throws(RegistryError) in
            let neighbours = repository.map { [$0] } ?? []
            let session = try registry.pushSession(
                for: complete, credentials: credentials, neighbours: neighbours, cancellation: cancellation)
            if case .manifest(let manifest) = document, repository != nil {
                for blob in [manifest.configuration] + manifest.layers {
                    _ = try session.pushBlob(blob.digest, sizeBytes: blob.sizeBytes, from: NoSource(), neighbours: neighbours)
                }
            }
            let name = complete.digest?.description ?? complete.tag ?? ImageReference.defaultTag
            try session.pushManifest(bytes, type: type.rawValue, digest: digest, as: name)
        }
        return digest
    }

    /// What is to be lent is not here to be sent.
    private struct NoSource: UploadSource {
        func read(at offset: Int64, limitBytes: Int) throws(RegistryError) -> [UInt8] {
            throw RegistryError(.receiverStopped, doing: "mount a blob", cause: "the registry does not lend it from the other repository")
        }

        func uploaded(_ bytes: Int64) {}
    }

    /// Runs a question on a thread of its own; it ends with the task.
    func asking<Value: Sendable>(
        _ question: @escaping @Sendable (Cancellation) throws(RegistryError) -> Value
    ) async throws(ImageError) -> Value {
        let (storage, cancellation) = (try storage(), Cancellation())
        let result: Result<Value, ImageError> = await withTaskCancellationHandler {
            do throws(ImageError) {
                return .success(
                    try await storage.questions.run { () throws(ImageError) in
                        do throws(RegistryError) { return try question(cancellation) } catch { throw .registry(error) }
                    })
            } catch { return .failure(error) }
        } onCancel: {
            cancellation.cancel()
        }
        return try result.get()
    }
}
