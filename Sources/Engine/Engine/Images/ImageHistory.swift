package import CoreTypes
package import EngineAPI
internal import Images
internal import OCISpec
internal import Records

extension ContainerEngine {
    /// `GET /images/{name}/history`: one line an instruction, the newest first.
    /// - Parameter platform: what the image must be of; nil is any.
    package func imageHistory(_ name: String, platform: CoreTypes.Platform? = nil) async throws(EngineError) -> [ImageHistoryItem] {
        let image = try await lookUp(name, of: platform)
        let configuration = try await ImageConfiguration.load(image, from: try parts().services.images)
        var layers = image.image.layers[...]
        var lines: [ImageHistoryItem] = []
        for step in configuration.history {
            var line = ImageHistoryItem()
            line.id = "<missing>"
            line.created = step.created?.seconds ?? 0
            line.createdBy = step.createdBy ?? ""
            line.comment = step.comment ?? ""
            if !step.isEmptyLayer { line.size = Int64(clamping: layers.popFirst()?.size.bytes ?? 0) }
            lines.insert(line, at: 0)
        }
        if !lines.isEmpty {
            lines[0].id = image.image.id.description
            lines[0].tags = image.tags.map(\.familiar)
        }
        return lines
    }
}
