internal import ContentStore
internal import CoreTypes
internal import OCISpec
internal import Registry

/// Finds out what a name stands for, down to the configuration. Blocks: runs on a thread of the library's own.
struct ManifestResolution: Sendable {
    let reference: ImageReference
    let platform: Platform?
    let repository: MirroredRepository
    let blobs: BlobStore
    let turns: DocumentTurns
    let lease: LeaseID
    /// What is taken of a registry.
    let limits: ImageLimits

    /// What was found; every document is in the content store.
    struct Resolved: Sendable {
        /// What the name stands for: manifest or index.
        let digest: Digest
        let plan: ImagePlan
        /// Indexes, manifest and configuration.
        let documents: Set<Digest>
        /// That the image says of itself that it is of another platform than the one that was asked for; nil where it does not.
        let warning: String?
    }

    func run() throws(ImageError) -> Resolved {
        var (digest, document) = try named()
        let top = digest
        var documents: Set<Digest> = [digest]
        var depth = 0
        while case .index(let index) = document {
            depth += 1
            guard depth <= limits.nestedIndexes, let chosen = index.best(for: platform ?? .host) else { throw noMatch() }
            digest = chosen.digest
            documents.insert(digest)
            document = try fetchDocument(chosen)
        }
        guard case .manifest(let manifest) = document else { throw noMatch() }
        let plan = try plan(manifest, digest)
        documents.insert(manifest.configuration.digest)
        return Resolved(digest: top, plan: plan, documents: documents, warning: warning(of: plan))
    }

    // MARK: - The name

    private func named() throws(ImageError) -> (Digest, ImageDocument) {
        guard let digest = try digestOfName() else {
            let served = try serve(reference.tag ?? ImageReference.defaultTag, expecting: nil)
            return (try keep(served.bytes, as: nil), try decode(served.bytes, as: served.mediaType, nil, limits.manifest))
        }
        blobs.protect(digest, by: lease)
        return try turns.withTurn(digest) { () throws(ImageError) in
            if let known = try knownDocument(digest) { return (digest, try decode(known, as: nil, digest, .ceiling)) }
            // Asked for by digest even when the name is a tag: the tag may have moved since.
            let served = try serve(digest.description, expecting: digest)
            try keep(served.bytes, as: digest)
            return (digest, try decode(served.bytes, as: served.mediaType, digest, limits.manifest))
        }
    }

    /// The digest that the name has or that its tag stands for; nil where the registry does not say.
    private func digestOfName() throws(ImageError) -> Digest? {
        if let digest = reference.digest { return digest }
        do throws(RegistryError) { return try repository.resolve(tag: reference.tag ?? ImageReference.defaultTag) } catch {
            throw pullRefusal(error)
        }
    }

    /// A server whose bytes are not those of the digest is not the last that is asked.
    private func serve(_ tagOrDigest: String, expecting digest: Digest?) throws(ImageError) -> ServedManifest {
        do throws(RegistryError) {
            return try repository.manifest(tagOrDigest) { served in digest.map { Digest(of: served.bytes, $0.algorithm) == $0 } ?? true }
        } catch { throw pullRefusal(error) }
    }

    /// What a registry's refusal means for a name, in Docker's words.
    private func pullRefusal(_ error: RegistryError) -> ImageError {
        switch error.code {
        case .notFound:
            return ImageError(.notFound, "manifest for \(reference.familiar) not found: manifest unknown: manifest unknown", cause: error)
        case .denied: return .pullDenied(reference.familiarName, error)
        default: return .registry(error)
        }
    }

    private func noMatch() -> ImageError {
        ImageError(.notFound, "no matching manifest for \(platform ?? .host) in the manifest list entries")
    }

    /// An image that is one platform's alone is what the name stands for, whatever was asked for: Docker takes it, and says so.
    private func warning(of plan: ImagePlan) -> String? {
        let actual = plan.configuration.platform
        guard let platform, platform.distance(to: actual) == nil else { return nil }
        return "image with reference \(reference.familiar) was found but its platform (\(actual)) does not match "
            + "the specified platform (\(platform))"
    }

    // MARK: - Documents

    private func decode(
        _ bytes: [UInt8], as type: MediaType?, _ digest: Digest?, _ limits: DocumentLimits
    ) throws(ImageError) -> ImageDocument {
        do throws(SpecProblem) { return try ImageDocument.decode(bytes, declaredType: type, limits: limits) } catch {
            throw ImageError(
                .badContent, "invalid manifest \(digest.map(\.description) ?? "of \(reference.familiar)"): \(error)", cause: error)
        }
    }

    /// What is here was not too long when it came.
    private func knownDocument(_ digest: Digest) throws(ImageError) -> [UInt8]? {
        do throws(ContentError) { return try blobs.readBlob(digest, limitBytes: DocumentLimits.ceiling.bytes) } catch {
            switch error.code {
            case .notFound: return nil
            case .digestMismatch:
                // The disk lost bytes: the registry still has them.
                do throws(ContentError) { try blobs.removeBlob(digest) } catch { throw .storage(error) }
                return nil
            default: throw .storage(error)
            }
        }
    }

    /// The same of one that is said to have so many bytes: it is saved and pushed as what the manifest says.
    private func knownDocument(_ descriptor: Descriptor) throws(ImageError) -> [UInt8]? {
        guard let known = try knownDocument(descriptor.digest) else { return nil }
        guard known.count == descriptor.sizeBytes else {
            throw ImageError(
                .badContent,
                "invalid image: \(descriptor.digest) has \(known.count) bytes, not the \(descriptor.sizeBytes) that it is said to have")
        }
        return known
    }

    /// Stores a document under the digest that it has, which must be `expected`.
    @discardableResult
    private func keep(_ bytes: [UInt8], as expected: Digest?) throws(ImageError) -> Digest {
        let digest = Digest(of: bytes, expected?.algorithm ?? .sha256)
        if let expected, digest != expected {
            throw ImageError(.badContent, "manifest verification failed for digest \(expected): found \(digest)")
        }
        blobs.protect(digest, by: lease)
        do throws(ContentError) { return try blobs.addBlob(bytes, digest.algorithm) } catch { throw .storage(error) }
    }

    /// A manifest that an index names.
    private func fetchDocument(_ descriptor: Descriptor) throws(ImageError) -> ImageDocument {
        blobs.protect(descriptor.digest, by: lease)
        return try turns.withTurn(descriptor.digest) { () throws(ImageError) in try servedDocument(descriptor) }
    }

    private func servedDocument(_ descriptor: Descriptor) throws(ImageError) -> ImageDocument {
        let (type, digest) = (descriptor.mediaType, descriptor.digest)
        if let known = try knownDocument(descriptor) { return try decode(known, as: type, digest, .ceiling) }
        let served = try serve(descriptor.digest.description, expecting: descriptor.digest)
        guard served.bytes.count == descriptor.sizeBytes else {
            throw ImageError(.badContent, "manifest verification failed for digest \(descriptor.digest): \(served.bytes.count) bytes")
        }
        try keep(served.bytes, as: digest)
        return try decode(served.bytes, as: type, digest, limits.manifest)
    }

    // MARK: - The configuration

    private func plan(_ manifest: ImageManifest, _ digest: Digest) throws(ImageError) -> ImagePlan {
        let descriptor = manifest.configuration
        guard descriptor.mediaType.isConfiguration else {
            throw ImageError(.badContent, "unsupported media type \(descriptor.mediaType): \(reference.familiar) is no container image")
        }
        guard descriptor.sizeBytes <= limits.configurationBytes else {
            throw ImageError(
                .badContent,
                "invalid image: a configuration of \(descriptor.sizeBytes) bytes, at most \(limits.configurationBytes) are taken")
        }
        blobs.protect(descriptor.digest, by: lease)
        let bytes = try turns.withTurn(descriptor.digest) { () throws(ImageError) in try configurationBytes(descriptor) }
        let configuration: ImageConfiguration
        do throws(SpecProblem) { configuration = try ImageConfiguration.decode(bytes, limits: limits.configuration) } catch {
            throw ImageError(.badContent, "invalid image configuration \(descriptor.digest): \(error)", cause: error)
        }
        guard configuration.platform.isOfHostSystem else {
            let system = configuration.platform.operatingSystem.debugDescription
            throw ImageError(
                .badContent, "image operating system \(system) cannot be used on this platform: operating system is not supported")
        }
        return try ImagePlan(manifest: manifest, digest: digest, configuration: configuration, layerLimit: limits.layers)
    }

    private func configurationBytes(_ descriptor: Descriptor) throws(ImageError) -> [UInt8] {
        if let known = try knownDocument(descriptor) { return known }
        // Bytes that are not the digest's are asked for once more, elsewhere where there is another server.
        var found = Digest(of: [])
        for _ in 0..<2 {
            let sink = MemorySink()
            do throws(RegistryError) {
                try repository.fetchBlob(descriptor.digest, sizeBytes: descriptor.sizeBytes, into: sink)
            } catch { throw .registry(error) }
            let bytes = sink.bytes
            found = Digest(of: bytes, descriptor.digest.algorithm)
            if found == descriptor.digest {
                try keep(bytes, as: descriptor.digest)
                return bytes
            }
            repository.distrust(sourceOf: descriptor.digest)
        }
        throw ImageError(.badContent, "image config verification failed for digest \(descriptor.digest): found \(found)")
    }
}
