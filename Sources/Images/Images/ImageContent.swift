internal import ContentStore
package import CoreTypes
internal import OCISpec
package import Records
internal import Registry

/// What is here of an image as registries have it.
package struct ImageContent: Equatable, Sendable {
    /// The type of its manifest; empty where that is lost.
    package let manifestType: String
    /// Bytes of its manifest; 0 where that is lost.
    package let manifestBytes: Int64
    /// Bytes of manifest, configuration and layers, packed.
    package let bytes: Int64
    /// Whether all of them are here.
    package let isWhole: Bool
}

extension ImageLibrary {
    /// Looks for the blobs of one of an image's manifests. Where the disk lost this, for all blobs of the image: which of them are the
    /// manifest's is not known then.
    package func content(of image: ImageRecord, manifest digest: Digest) async throws(ImageError) -> ImageContent {
        let storage = try storage()
        return try await storage.talks.run { () throws(ImageError) in
            let document: [UInt8]
            let manifest: ImageManifest
            do throws(ImageError) { (document, manifest) = try storage.manifest(digest) } catch {
                guard let cause = error.cause as? ContentError, cause.isLoss else { throw error }
                let bytes = try storage.sizes(of: image.blobs.subtracting([digest])).compactMap { $0 }.reduce(0, +)
                return ImageContent(manifestType: "", manifestBytes: 0, bytes: bytes, isWhole: false)
            }
            let found = try storage.sizes(of: Set(([manifest.configuration] + manifest.layers).map(\.digest)))
            let size = Int64(document.count)
            return ImageContent(
                manifestType: manifest.mediaType.rawValue, manifestBytes: size, bytes: found.compactMap { $0 }.reduce(size, +),
                isWhole: !found.contains(nil))
        }
    }
}

extension ImageStorage {
    /// Bytes of each of these blobs; nil for one that is not here. Blocks.
    fileprivate func sizes(of digests: Set<Digest>) throws(ImageError) -> [Int64?] {
        var found: [Int64?] = []
        do throws(ContentError) { for digest in digests { found.append(try blobs.size(of: digest)) } } catch { throw .storage(error) }
        return found
    }
}
