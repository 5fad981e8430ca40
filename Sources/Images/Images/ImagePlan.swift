internal import ContentStore
internal import CoreTypes
internal import OCISpec
internal import Snapshots

/// One layer that an image needs.
struct PlannedLayer: Equatable, Sendable {
    /// Its blob: compressed, as the registry has it.
    let blob: Descriptor
    let diffID: Digest
    let chainID: Digest
    /// The chain id of what lies below; nil for the lowest.
    let parent: Digest?

    /// What Docker calls it while it is pulled.
    var shortID: String { blob.digest.short }
}

/// An image as its manifest and configuration describe it, checked before anything large is fetched.
struct ImagePlan: Equatable, Sendable {
    let id: Digest
    let manifestDigest: Digest
    let configuration: ImageConfiguration
    let layers: [PlannedLayer]

    /// - Parameter layerLimit: fewer for a stranger's where the settings say so.
    /// - Throws: `.badContent` where manifest and configuration do not describe one image that can be unpacked here.
    init(
        manifest: ImageManifest, digest: Digest, configuration: ImageConfiguration, layerLimit: Int = layerDepthLimit
    ) throws(ImageError) {
        let diffIDs = configuration.diffIDs
        guard diffIDs.count == manifest.layers.count else {
            throw ImageError(
                .badContent, "invalid image: the manifest has \(manifest.layers.count) layers, its configuration \(diffIDs.count)")
        }
        guard diffIDs.count <= layerLimit else {
            throw ImageError(.badContent, "invalid image: \(diffIDs.count) layers, at most \(layerLimit) are supported")
        }
        var layers: [PlannedLayer] = []
        var parent: Digest?
        for (blob, diffID) in zip(manifest.layers, diffIDs) {
            guard blob.mediaType.isLayer else {
                throw ImageError(.badContent, "invalid image: layer \(blob.digest) is of the unsupported type \(blob.mediaType)")
            }
            let chain = parent.map { Digest(of: Array("\($0) \(diffID)".utf8)) } ?? diffID
            layers.append(PlannedLayer(blob: blob, diffID: diffID, chainID: chain, parent: parent))
            parent = chain
        }
        id = manifest.configuration.digest
        manifestDigest = digest
        self.configuration = configuration
        self.layers = layers
    }
}
