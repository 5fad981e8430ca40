internal import ContentStore
internal import CoreTypes
internal import OCISpec
package import Records
internal import Registry

/// What is here of an image as registries have it.
package struct ImageContent: Equatable, Sendable {
    /// The type of its manifest.
    package let manifestType: String
    /// Bytes of its manifest.
    package let manifestBytes: Int64
    /// Bytes of manifest, configuration and layers, packed.
    package let bytes: Int64
    /// Whether all of them are here.
    package let isWhole: Bool
}

extension ImageLibrary {
    /// Looks for an image's blobs. - Throws: `.storage` where its manifest is gone.
    package func content(of image: ImageRecord) async throws(ImageError) -> ImageContent {
        let storage = try storage()
        return try await storage.talks.run { () throws(ImageError) in
            let (document, manifest) = try storage.manifest(image.manifestDigest)
            var (bytes, isWhole) = (Int64(document.count), true)
            var counted: Set<Digest> = []
            for part in [manifest.configuration] + manifest.layers where counted.insert(part.digest).inserted {
                do throws(ContentError) {
                    let found = try storage.blobs.size(of: part.digest)
                    bytes += found ?? 0
                    isWhole = isWhole && found != nil
                } catch { throw .storage(error) }
            }
            return ImageContent(
                manifestType: manifest.mediaType.rawValue, manifestBytes: Int64(document.count), bytes: bytes, isWhole: isWhole)
        }
    }
}
