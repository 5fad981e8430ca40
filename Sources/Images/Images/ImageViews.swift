package import CoreTypes
package import Snapshots

// MARK: - Images that containers show beside their roots

extension ImageLibrary {
    /// Makes a read-only tree of an image for a container, which keeps the image's layers until the container's root is removed.
    /// Asked again for the same number, keeps the tree that is there.
    /// - Parameter number: which of the container's trees this is.
    /// - Throws: `.notFound` where the image is gone; `.storage` for one without a layer.
    package func prepareView(_ number: Int, of container: ContainerID, image: Digest) async throws(ImageError) {
        _ = try await makeSnapshot(try Self.viewKey(container, number), of: image) { (snapshots, key, top) throws(SnapshotError) in
            guard let top else { throw SnapshotError(.notFound, doing: "mount", subject: "image \(image), which has no layer") }
            return try snapshots.view(key, parent: top)
        }
    }

    /// The mounts of a tree that was prepared before.
    /// - Throws: `.notFound` where it was not.
    package func viewMounts(_ number: Int, of container: ContainerID) async throws(ImageError) -> [SnapshotMount] {
        try await ofSnapshot(
            try Self.viewKey(container, number), absence: "container \(container) has no image \(number) to mount"
        ) { (snapshots, key) throws(SnapshotError) in try snapshots.mounts(of: key) }
    }

    private static func viewKey(_ container: ContainerID, _ number: Int) throws(ImageError) -> SnapshotKey {
        do throws(SnapshotError) { return try SnapshotKey("\(container.text).\(number)") } catch {
            throw ImageError(.invalid, "\(error)", cause: error)
        }
    }
}

extension SnapshotKey {
    /// The container that a view belongs to, by its id.
    var owner: String { String(text.prefix { $0 != "." }) }
}
