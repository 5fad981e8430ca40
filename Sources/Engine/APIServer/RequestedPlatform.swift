internal import CoreTypes
internal import EngineAPI

extension Platform {
    /// Reads `platform` of requests about images that are here: a platform of image-spec as JSON, or `os[/arch[/variant]]`, as other requests
    /// and older clients say it.
    /// - Returns: nil for an empty text.
    /// - Throws: `APIError` 400.
    static func requested(_ text: String) throws(APIError) -> Platform? {
        if text.isEmpty { return nil }
        guard text.hasPrefix("{") else {
            do throws(InvalidPlatform) { return try Platform(parsing: text) } catch { throw .badRequest("\(error)") }
        }
        let document: PlatformDocument
        do { document = try EngineJSON.decode(PlatformDocument.self, from: Array(text.utf8)) } catch {
            throw .badRequest("failed to parse platform: \(error)")
        }
        guard !document.os.isEmpty, !document.architecture.isEmpty else {
            let isPartial = !document.variant.isEmpty || !document.osVersion.isEmpty || !document.osFeatures.isEmpty
            let hasNeither = document.os.isEmpty && document.architecture.isEmpty
            throw .badRequest(
                hasNeither && isPartial
                    ? "optional platform fields provided, but OS and Architecture are missing"
                    : "both OS and Architecture must be provided")
        }
        return Platform(
            operatingSystem: document.os, architecture: document.architecture, variant: document.variant.isEmpty ? nil : document.variant)
    }
}
