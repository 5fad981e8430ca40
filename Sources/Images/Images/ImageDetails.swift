package import Archive
internal import ContentStore
package import CoreTypes
package import OCISpec
package import Records
internal import Registry
package import Snapshots
package import SystemPackage

/// What `inspect` shows of an image.
package struct ImageDetails: Sendable {
    package let named: NamedImage
    /// What the image is made of and how its containers run by default.
    package let configuration: ImageConfiguration
}

extension ImageLibrary {
    /// What `inspect` shows of an image. A configuration that the disk lost is fetched again.
    /// - Throws: `.notFound`; `.badContent` where nobody has it any more.
    package func details(of id: Digest) async throws(ImageError) -> ImageDetails {
        let named = try await named(id)
        do throws(ImageError) { return try await readDetails(of: named) } catch {
            guard let cause = error.cause as? ContentError, cause.isLoss else { throw error }
        }
        // The image may have gone since it was looked up: then that is the error.
        return try await storage().leasing(keeping: records.images) { (lease) throws(ImageError) in
            let now = try await protect(named.image, by: lease)
            try await restoreConfiguration(of: now)
            return try await readDetails(of: now)
        }
    }

    /// The same with what is here: nobody is asked for a configuration that the disk lost. - Returns: nil where it did, or
    ///   where it holds what is not understood.
    package func detailsHere(of named: NamedImage) async throws(ImageError) -> ImageDetails? {
        do throws(ImageError) { return try await readDetails(of: named) } catch {
            if let cause = error.cause as? ContentError, cause.isLoss { return nil }
            // Read once when it came: one that an engine of another age let in keeps no list from being told.
            if error.cause is SpecProblem { return nil }
            throw error
        }
    }

    private func readDetails(of named: NamedImage) async throws(ImageError) -> ImageDetails {
        let storage = try storage()
        return try await storage.talks.run { () throws(ImageError) in
            do {
                let bytes = try storage.blobs.readBlob(named.image.id, limitBytes: DocumentLimits.ceiling.bytes)
                let configuration = try ImageConfiguration.decode(bytes, limits: .ceiling)
                return ImageDetails(named: named, configuration: configuration)
            } catch { throw .storage(error) }
        }
    }

    /// How long it is stands in the manifest, which may be lost, too.
    private func restoreConfiguration(of named: NamedImage) async throws(ImageError) {
        let storage = try storage()
        let recovery = BlobRecovery(storage: storage, registry: registry, credentials: { _ in .anonymous })
        let digest = named.image.manifestDigest
        _ = try await recovery.restore(digest, sizeBytes: nil, of: named)
        let configuration = try await storage.talks.run { () throws(ImageError) in try storage.manifest(digest).manifest.configuration }
        _ = try await recovery.restore(configuration.digest, sizeBytes: configuration.sizeBytes, of: named)
    }
}

extension ContentError {
    /// Whether the disk lost the blob, or bytes of it.
    var isLoss: Bool { code == .notFound || code == .digestMismatch || code == .tooLarge }
}

/// One line that removing an image prints.
package enum RemovalStep: Equatable, Sendable {
    /// A name is gone, in its familiar form.
    case untagged(String)
    /// An image id, or the chain id of a layer that nothing refers to any more.
    case deleted(Digest)
}

/// A container that keeps an image from being removed.
package struct ImageUser: Equatable, Sendable {
    package let container: ContainerID
    /// A running container keeps its image even from a forced removal.
    package let isRunning: Bool

    package init(container: ContainerID, isRunning: Bool) {
        self.container = container
        self.isRunning = isRunning
    }
}

/// What an image library is told at its start.
package struct LibrarySettings: Sendable {
    /// The data root: `content/` and `snapshots/` lie in it.
    package var dataRoot: FilePath
    /// Layers downloaded at a time, over all pulls.
    package var maximumDownloads = 3
    /// Layers unpacked at a time, over all pulls.
    package var maximumUnpacks = 2
    /// Blobs uploaded at a time, over all pushes.
    package var maximumUploads = 3
    /// How long the blobs of an interrupted pull, whole ones and beginnings, wait to be gone on with.
    package var interruptedLifetime = Duration.seconds(24 * 3600)
    /// A file like containers-policy.json(5) that says which images are accepted; nil accepts all.
    package var signaturePolicy: String?
    /// nil takes overlayfs where this machine carries one, and copies otherwise.
    package var snapshotBackEnd: SnapshotBackEnd?

    /// What a layer may cost.
    package var limits = ArchiveLimits.layer

    package init(dataRoot: FilePath) { self.dataRoot = dataRoot }
}
