internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Records

extension ContainerEngine {
    /// The image of a name. - Throws: `.notFound` also where it is of another platform than `platform`; nil is any.
    func lookUp(_ word: String, of platform: CoreTypes.Platform?) async throws(EngineError) -> NamedImage {
        let image = try await lookUp(word)
        if let platform { try image.check(platform, as: word) }
        return image
    }

    /// The image of a name, or without a tag every one of its repository, must be of a platform.
    /// - Returns: whether there is any.
    func check(_ reference: ImageReference, _ platform: CoreTypes.Platform) async throws(EngineError) -> Bool {
        let images: [NamedImage]
        let library = try parts().services.images
        do throws(ImageError) { images = try await library.list() } catch { throw EngineError(error) }
        var isThere = false
        for image in images {
            for tag in image.tags where tag.name == reference.name && (reference.tag ?? tag.tag) == tag.tag {
                try image.check(platform, as: tag.familiar)
                isThere = true
            }
        }
        return isThere
    }
}

extension NamedImage {
    /// - Throws: `.notFound` in Docker's words where what is here runs on nothing that `platform` is.
    func check(_ platform: CoreTypes.Platform, as name: String) throws(EngineError) {
        guard platform.distance(to: image.platform) != nil else {
            throw EngineError(
                .notFound, "image with reference \(name) was found but does not provide the specified platform (\(platform))")
        }
    }
}
