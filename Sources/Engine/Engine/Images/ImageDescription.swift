internal import EngineAPI
internal import Images
internal import Records

/// An image's configuration document, read with the API's own types: Docker's API and the image specification share `config`.
struct ImageDescription: Decodable, Sendable {
    /// One step of the image's making.
    struct History: Decodable, Sendable {
        var created: String?
        var createdBy: String?
        var comment: String?
        var emptyLayer: Bool?

        private enum CodingKeys: String, CodingKey {
            case created, createdBy = "created_by", comment, emptyLayer = "empty_layer"
        }
    }

    var created: String?
    var author: String?
    var container: String?
    var architecture: String?
    var variant: String?
    var os: String?
    var dockerVersion: String?
    var config: ImageConfig?
    var history: [History]?

    private enum CodingKeys: String, CodingKey {
        case created, author, container, architecture, variant, os, dockerVersion = "docker_version", config, history
    }

    /// Reads the document of an image that is here.
    static func load(_ image: NamedImage, from library: ImageLibrary) async throws(EngineError) -> ImageDescription {
        let details: ImageDetails
        do throws(ImageError) { details = try await library.details(of: image.image.id) } catch { throw EngineError(error) }
        return try decode(details)
    }

    /// The same of what the disk has; nil where it lost the document.
    static func loadHere(_ image: NamedImage, from library: ImageLibrary) async throws(EngineError) -> ImageDescription? {
        let details: ImageDetails?
        do throws(ImageError) { details = try await library.detailsHere(of: image) } catch { throw EngineError(error) }
        return try details.map { details throws(EngineError) in try decode(details) }
    }

    private static func decode(_ details: ImageDetails) throws(EngineError) -> ImageDescription {
        do throws(DocumentError) { return try EngineJSON.decode(ImageDescription.self, from: details.configurationDocument) } catch {
            throw .system("read the configuration of image \(details.named.image.id)", error)
        }
    }

    /// What containers of an image run.
    static func config(of image: NamedImage, in library: ImageLibrary) async throws(EngineError) -> ImageConfig {
        try await load(image, from: library).config ?? ImageConfig()
    }
}
