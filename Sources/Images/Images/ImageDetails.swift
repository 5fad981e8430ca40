package import Archive
package import CoreTypes
package import OCISpec
package import Records
package import Snapshots
package import SystemPackage

/// What `inspect` shows of an image.
package struct ImageDetails: Sendable {
    package let named: NamedImage
    /// What the image is made of and how its containers run by default.
    package let configuration: ImageConfiguration
    /// The configuration as the image carries it, verified against the id.
    package let configurationDocument: [UInt8]
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
