package import CoreTypes

/// An image with what it is called.
package struct NamedImage: Equatable, Sendable {
    package let image: ImageRecord
    /// Names with a tag, sorted.
    package let tags: [ImageReference]
    /// Names with a digest, sorted: where the image was pulled from.
    package let repositoryDigests: [ImageReference]
    /// The tags under which each of `repositoryDigests` was pulled, whatever they stand for by now; none where it was pulled as itself.
    package let pulls: [ImageReference: [ImageReference]]
    /// The manifest of each name: two that differ may share a configuration, which is the image's id.
    private let manifests: [ImageReference: Digest]

    /// - Parameter manifests: of names that are missing it is the image's last.
    package init(
        image: ImageRecord, tags: [ImageReference], repositoryDigests: [ImageReference], manifests: [ImageReference: Digest] = [:],
        pulls: [ImageReference: [ImageReference]] = [:]
    ) {
        self.image = image
        self.tags = tags
        self.repositoryDigests = repositoryDigests
        self.manifests = manifests
        self.pulls = pulls
    }

    /// All names in the order of their whole texts, in which dockerd takes them away: the tags of a repository before its digests.
    package var names: [ImageReference] { (tags + repositoryDigests).sorted { $0.description < $1.description } }

    /// The manifest that a name of the image stands for; for any other word the one that it was last pulled by.
    package func manifest(of name: ImageReference) -> Digest { manifests[name] ?? image.manifestDigest }

    /// Every manifest that the image is known by, the last one first.
    package var manifestDigests: [Digest] {
        [image.manifestDigest]
            + Set(manifests.values).subtracting([image.manifestDigest]).sorted { $0.description < $1.description }
    }
}
