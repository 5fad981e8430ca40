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
    /// Docker's words to who makes a container without a platform of an image that this machine runs with an emulator at best; nil where
    /// it runs it. Which variant of its own architecture it is, is not looked at: an image of a newer one says so itself.
    var foreignPlatformWarning: String? {
        var own = image.platform
        if own.architecture == CoreTypes.Platform.host.architecture { own.variant = nil }
        guard CoreTypes.Platform.host.distance(to: own) == nil else { return nil }
        return "The requested image's platform (\(image.platform)) does not match the detected host platform (\(CoreTypes.Platform.host)) "
            + "and no specific platform was requested"
    }

    /// - Throws: `.notFound` in Docker's words where what is here runs on nothing that `platform` is.
    func check(_ platform: CoreTypes.Platform, as name: String) throws(EngineError) {
        guard platform.distance(to: image.platform) != nil else {
            throw EngineError(
                .notFound, "image with reference \(name) was found but does not provide the specified platform (\(platform))")
        }
    }
}
