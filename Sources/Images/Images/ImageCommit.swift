internal import Archive
internal import ContentStore
package import CoreTypes
package import OCISpec
internal import Records
internal import Registry
internal import Snapshots
internal import Synchronization

extension ImageLibrary {
    /// Makes an image of a container: its image's layers, and one of what it has written.
    /// - Parameter image: what the container was made from.
    /// - Parameter mountPoints: paths that the container sees mounts at, which no layer is to hold.
    /// - Parameter name: completed with the default tag; nil for none.
    /// - Parameter configure: makes the configuration from the image's; told whether something was written.
    /// - Returns: the image's id.
    package func commit(
        _ container: ContainerID, of image: Digest, leavingOut mountPoints: Set<String>, name: ImageReference?,
        configure: @escaping @Sendable (_ base: ImageConfiguration, _ hasLayer: Bool) -> ImageConfiguration
    ) async throws(ImageError) -> Digest {
        let storage = try storage()
        let key = try Self.rootKey(container)
        let base = try await details(of: image)
        return try await storage.takingIn(records.images) { lease throws(ImageError) in
            let named = try await protect(base.named.image, by: lease)
            let recovery = BlobRecovery(storage: storage, registry: registry, credentials: { _ in .anonymous })
            _ = try await recovery.restore(named.image.manifestDigest, sizeBytes: nil, of: named)
            let (made, packed) = try await storage.commits.run { () throws(ImageError) in
                let (_, manifest) = try storage.manifest(named.image.manifestDigest)
                let layer = try storage.packWritten(by: key, leavingOut: mountPoints, lease: lease)
                var configuration = configure(base.configuration, layer != nil)
                configuration.diffIDs = base.configuration.diffIDs + (layer.map { [$0.diffID] } ?? [])
                let made = try storage.makeImage(
                    configuration: configuration, layers: manifest.layers + (layer.map { [$0.descriptor] } ?? []), lease: lease)
                return (made, layer?.descriptor.digest)
            }
            try await install(made, known: packed.map { [$0] } ?? [], name: name)
            return made.plan.id
        }
    }
}

extension ImageStorage {
    /// Packs what a container has written as a layer; nil where it has written nothing. Blocks.
    fileprivate func packWritten(
        by key: SnapshotKey, leavingOut mountPoints: Set<String>, lease: LeaseID
    ) throws(ImageError) -> MadeLayer? {
        do {
            let blob = try IntakeBlob(in: blobs, limits: limits, announcedBytes: 0, doing: "store the layer")
            let observer = DiffIDObserver(.sha256)
            let encoder = GzipEncoder { packed throws(ArchiveError) in
                do throws(ContentError) { try blob.append(packed.span) } catch {
                    throw ArchiveError(.source, doing: "write layer", subject: "\(error)")
                }
            }
            let limit = limits.uncompressedBytes
            var byteCount: Int64 = 0
            let entries = try snapshots.writeLayer(of: key, leavingOut: mountPoints) { chunk throws(ArchiveError) in
                // A hole costs its container nothing, and takes as long to pack as what is there.
                byteCount = byteCount.addingClamped(Int64(chunk.count))
                guard byteCount <= limit else {
                    throw ArchiveError(.overLimit, doing: "pack layer", subject: "more than \(limit) bytes, with its holes")
                }
                observer.observe(chunk.span)
                try encoder.write(chunk)
            }
            if entries == 0 { return nil }
            try encoder.finish()
            let (digest, sizeBytes) = try blob.commit(protectedBy: lease)
            guard let diffID = observer.finish() else { throw ImageError(.storage, "the layer's digest was asked for twice") }
            return MadeLayer(descriptor: Descriptor(mediaType: .ociLayerGzip, digest: digest, sizeBytes: sizeBytes), diffID: diffID)
        } catch let error as ImageError { throw error } catch { throw .storage(error) }
    }
}
