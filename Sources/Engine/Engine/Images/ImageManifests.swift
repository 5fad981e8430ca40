internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Records

extension ContainerEngine.Parts {
    /// What is here of one of an image's manifests. Of the platforms of an index one is.
    func manifestSummary(of image: ImageRecord, manifest digest: Digest) async throws(EngineError) -> ImageManifestSummary {
        let content: ImageContent
        do throws(ImageError) { content = try await services.images.content(of: image, manifest: digest) } catch {
            throw EngineError(error)
        }
        let unpacked = Int64(clamping: image.size.bytes)
        var summary = ImageManifestSummary()
        summary.id = digest.description
        summary.descriptor.mediaType = content.manifestType
        summary.descriptor.digest = summary.id
        summary.descriptor.size = content.manifestBytes
        summary.available = content.isWhole
        summary.size.content = content.bytes
        summary.size.total = content.bytes.addingClamped(unpacked)
        summary.kind = "image"
        var data = ManifestImageData()
        data.platform.architecture = image.platform.architecture
        data.platform.os = image.platform.operatingSystem
        data.platform.variant = image.platform.variant ?? ""
        data.containers = services.index.users(of: image.id).map(\.text).sorted()
        data.size.unpacked = unpacked
        summary.imageData = data
        return summary
    }
}
