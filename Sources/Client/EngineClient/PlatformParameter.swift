public import CoreTypes
internal import EngineAPI

extension Client {
    /// `GET /images/{name}/json`, for an answer that is taken as it is.
    /// - Parameter platform: what the image must be of; nil is any.
    public static func inspection(ofImage name: String, platform: Platform?) throws -> EngineRequest {
        EngineRequest("GET", "/images/\(name)/json", query: try platform.map { [try $0.parameter("platform")] } ?? [])
    }
}

extension Platform {
    /// The platform as requests about images carry it: as image-spec's, in JSON.
    func parameter(_ name: String) throws -> (name: String, value: String) {
        var document = PlatformDocument()
        (document.os, document.architecture, document.variant) = (operatingSystem, architecture, variant ?? "")
        // The end of a document's line is none of a word's.
        return (name, String(decoding: try EngineJSON.encode(document).filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
}
