package import CoreTypes

/// One layer of an image, unpacked.
package struct LayerRecord: Equatable, Sendable {
    /// Digest of the layer's tar archive, uncompressed.
    package let diffID: Digest
    /// Names the layer together with all below it: the key of its snapshot.
    /// - Source: image-spec, config.md, "Layer ChainID".
    package let chainID: Digest
    /// What the layer takes unpacked.
    package let size: ByteCount

    package init(diffID: Digest, chainID: Digest, size: ByteCount) {
        self.diffID = diffID
        self.chainID = chainID
        self.size = size
    }
}

extension Sequence<LayerRecord> {
    /// What all of them take unpacked. Sizes on record may be anything.
    package var size: ByteCount { ByteCount(reduce(0) { $0.addingClamped($1.size.bytes) }) }
}

/// One image that is here, whole.
package struct ImageRecord: Equatable, Sendable {
    /// The digest of the image's configuration: Docker's image id.
    package let id: Digest
    /// The manifest that it was last pulled by: of whoever asks by the id.
    package let manifestDigest: Digest
    package let created: Timestamp
    package let platform: Platform
    /// The layers' unpacked sizes added up.
    package let size: ByteCount
    /// From the bottom up.
    package let layers: [LayerRecord]
    /// Every blob to be kept for this image: index, manifest, configuration, layers, of each manifest that it is known by.
    package let blobs: Set<Digest>

    package init(
        id: Digest, manifestDigest: Digest, created: Timestamp, platform: Platform, size: ByteCount, layers: [LayerRecord],
        blobs: Set<Digest>
    ) {
        self.id = id
        self.manifestDigest = manifestDigest
        self.created = created
        self.platform = platform
        self.size = size
        self.layers = layers
        self.blobs = blobs
    }
}
