internal import Archive
internal import ContentStore
package import CoreTypes
package import OCISpec
internal import Records

extension ImageLibrary {
    /// Makes an image of one layer from a tar of a root file system, plain or compressed.
    /// - Parameter next: the tar chunk by chunk; nil is its end.
    /// - Parameter name: completed with the default tag; nil for none.
    /// - Parameter configure: makes the configuration; called once the tar is here.
    /// - Returns: the image's id.
    package func importImage(
        from next: @escaping @Sendable () async throws -> [UInt8]?, name: ImageReference?,
        configure: @escaping @Sendable (_ diffIDs: [Digest]) -> ImageConfiguration
    ) async throws(ImageError) -> Digest {
        let storage = try storage()
        return try await storage.takingIn(records.images) { lease throws(ImageError) in
            let made = try await storage.feeding(next) { source throws(ImageError) in
                let blob = try storage.takeLayer(source, lease: lease)
                return try storage.makeImage(configuration: configure([blob.diffID]), layers: [blob.descriptor], lease: lease)
            }
            try await install(made, name: name)
            return made.plan.id
        }
    }

    /// Unpacks and names an image that was made here.
    func install(_ made: MadeImage, name: ImageReference?) async throws(ImageError) {
        try await provide(made.plan, progress: { _ in }) { storage throws(ImageError) in
            try await storage.record(
                made.plan, documents: made.documents, names: name.map { [$0.withDefaultTag] } ?? [], in: records.images)
        }
    }
}

/// An image that was made here; its blobs are in the store, under a lease.
struct MadeImage: Sendable {
    let plan: ImagePlan
    let documents: Set<Digest>
}

/// A layer's blob, and what it is unpacked.
struct MadeLayer: Sendable {
    let descriptor: Descriptor
    let diffID: Digest
}

extension ImageStorage {
    /// Takes in a tar as it comes, and finds out what it is unpacked. Blocks.
    fileprivate func takeLayer(_ source: any ByteSource, lease: LeaseID) throws(ImageError) -> MadeLayer {
        do {
            let blob = try blobs.newBlob()
            while true {
                let chunk = try source.next()
                if chunk.isEmpty { break }
                try blob.append(chunk.span)
            }
            let (digest, sizeBytes) = try blob.commit(protectedBy: lease)
            let descriptor = try blobs.layer(digest, sizeBytes: sizeBytes, limits: limits, lease: lease)
            return MadeLayer(descriptor: descriptor, diffID: try diffID(of: descriptor.digest, .sha256))
        } catch let error as ImageError {
            throw error
        } catch let error as ArchiveError {
            throw .archive(error, in: "the archive")
        } catch { throw .storage(error) }
    }

    /// What a layer's blob is unpacked. Blocks.
    func diffID(of blob: Digest, _ algorithm: Digest.Algorithm) throws(ImageError) -> Digest {
        let observer = DiffIDObserver(algorithm)
        do {
            _ = try observeUnpacked(FileSource(try blobs.openBlob(blob), subject: blob.description), by: observer, limits: limits)
        } catch let error as ArchiveError {
            throw .archive(error, layer: blob)
        } catch { throw .storage(error) }
        guard let found = observer.finish() else { throw ImageError(.storage, "the layer's digest was asked for twice") }
        return found
    }

    /// Stores the documents of an image. Blocks.
    func makeImage(configuration: ImageConfiguration, layers: [Descriptor], lease: LeaseID) throws(ImageError) -> MadeImage {
        let bytes = configuration.encode()
        let id = try keepDocument(bytes, lease: lease)
        let manifest = ImageManifest(
            configuration: Descriptor(mediaType: .ociConfiguration, digest: id, sizeBytes: Int64(bytes.count)), layers: layers)
        let digest = try keepDocument(manifest.encode(), lease: lease)
        return MadeImage(
            plan: try ImagePlan(manifest: manifest, digest: digest, configuration: configuration), documents: [id, digest])
    }

    /// Stores a document under a lease. Blocks.
    func keepDocument(_ bytes: [UInt8], lease: LeaseID) throws(ImageError) -> Digest {
        blobs.protect(Digest(of: bytes), by: lease)
        do throws(ContentError) { return try blobs.addBlob(bytes) } catch { throw .storage(error) }
    }
}
