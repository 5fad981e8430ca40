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
