package import CoreTypes
package import Records
package import Registry

/// The images of one data root: pulled, named, unpacked and lent to containers as root file systems.
package final class ImageLibrary: Sendable {
    let settings: LibrarySettings
    let records: RecordStore
    let registryConfiguration: RegistryConfiguration

    /// Names its parts only; `start` touches the disk.
    package init(settings: LibrarySettings, registry: RegistryConfiguration, records: RecordStore) {
        self.settings = settings
        self.records = records
        registryConfiguration = registry
    }

    /// Makes the folders and removes what a crash left: unfinished downloads, layers and blobs that no record
    /// knows, roots of containers that are not in `containers`.
    package func start(containers: Set<ContainerID>) async throws(ImageError) {}

    /// Fetches an image and unpacks it. Layers and blobs that are here are not fetched; one that another pull
    /// is fetching is waited for. Cancelling the task ends the pull.
    /// - Parameter reference: completed with the default tag where it has neither tag nor digest.
    /// - Parameter platform: nil is the host's.
    /// - Parameter progress: called from one task, in order; while it runs, intermediate counts are skipped.
    package func pull(
        _ reference: ImageReference, platform: Platform?, credentials: RegistryCredentials,
        progress: @escaping @Sendable (PullEvent) async -> Void
    ) async throws(ImageError) -> PullResult { throw ImageError(.registry, "pull is not built yet") }

    /// What `inspect` shows of an image. - Throws: `.notFound`.
    package func details(of id: Digest) async throws(ImageError) -> ImageDetails {
        throw ImageError(.notFound, "No such image: \(id)")
    }

    /// Makes a container's root file system from an image: its layers and one writable layer.
    /// Asked again for the same container, gives the same root.
    package func prepareRoot(of container: ContainerID, image: Digest) async throws(ImageError) -> [RootMount] {
        throw ImageError(.storage, "roots are not built yet")
    }

    /// The mounts of a root that was prepared before.
    package func rootMounts(of container: ContainerID) async throws(ImageError) -> [RootMount] {
        throw ImageError(.storage, "roots are not built yet")
    }

    /// Removes a container's root with all that was written in it. None is no error.
    package func removeRoot(of container: ContainerID) async throws(ImageError) {}
}
