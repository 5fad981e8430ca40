internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import FoundationEssentials
internal import Templates

/// A manifest of an image, as `manifest create` keeps it and `manifest inspect --verbose` shows it: docker's document, in its order.
struct KeptManifest {
    let reference: ImageReference
    /// `mediaType`, `digest`, `size`, and the platform, which `manifest annotate` changes.
    var descriptor: Descriptor
    /// As the registry has it.
    let raw: [UInt8]
    private let manifest: TemplateValue

    init(_ reference: ImageReference, descriptor: Descriptor, raw: [UInt8]) throws(DocumentError) {
        self.reference = reference
        self.descriptor = descriptor
        self.raw = raw
        manifest = try EngineJSON.decode(TemplateValue.self, from: raw)
    }

    var isDockers: Bool { descriptor.mediaType.hasPrefix("application/vnd.docker.") }

    /// What is kept.
    var document: TemplateValue {
        .map([
            .init("Ref", .text(reference.description)),
            .init("Descriptor", descriptor.ordered(["mediaType", "digest", "size", "urls", "annotations", "platform"])),
            .init("Raw", .text(Data(raw).base64EncodedString())),
            .init(isDockers ? "SchemaV2Manifest" : "OCIManifest", ManifestOrder.manifest(manifest)),
        ])
    }

    /// - Throws: `Complaint` for what no `manifest create` wrote.
    init(reading document: TemplateValue, from path: String) throws {
        guard case .text(let name)? = document[key: "Ref"], case .text(let raw)? = document[key: "Raw"],
            let bytes = Data(base64Encoded: raw), let part = document[key: "Descriptor"]
        else { throw Complaint("\(path) is no manifest that docker or apus keeps") }
        try self.init(
            try parsedReference(name), descriptor: try EngineJSON.decode(Descriptor.self, from: Array(part.json.utf8)), raw: Array(bytes))
    }
}

/// The order in which docker writes the members of manifests.
enum ManifestOrder {
    /// An index's text, byte for byte as docker writes one: its digest depends on it.
    static func indexText(_ manifests: [Descriptor], mediaType: String) -> String {
        let entries = manifests.map { $0.ordered(["mediaType", "size", "digest", "urls", "annotations", "platform"]) }
        return TemplateValue.map([
            .init("schemaVersion", .integer(2)), .init("mediaType", .text(mediaType)), .init("manifests", .list(entries)),
        ]).json(indentedBy: "   ")
    }

    /// A manifest of one image.
    static func manifest(_ value: TemplateValue) -> TemplateValue {
        var ordered = value.picking(["schemaVersion", "mediaType", "config", "layers", "annotations"])
        let parts = ["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"]
        ordered = ordered.replacing("config") { $0.picking(parts) }
        return ordered.replacing("layers") { .list($0.elements.map { $0.picking(parts) }) }
    }
}

extension TemplateValue {
    /// These members, as far as they are there, in this order.
    fileprivate func picking(_ keys: [String]) -> TemplateValue {
        .map(keys.compactMap { key in self[key: key].map { Entry(key, $0) } })
    }

    fileprivate func replacing(_ key: String, _ change: (TemplateValue) -> TemplateValue) -> TemplateValue {
        guard case .map(let entries) = self else { return self }
        return .map(entries.map { $0.key == key ? Entry(key, change($0.value)) : $0 })
    }
}

extension Descriptor {
    /// Its members in an order, those left out that say nothing.
    fileprivate func ordered(_ keys: [String]) -> TemplateValue {
        guard let value = try? TemplateValue(document: self), case .map(let entries) = value.picking(keys) else { return .null }
        let order = ["architecture", "os", "os.version", "os.features", "variant"]
        return .map(
            entries.compactMap { entry in
                if entry.value == .null || entry.value == .map([]) || entry.value == .list([]) { return nil }
                return entry.key == "platform" ? .init("platform", entry.value.picking(order)) : entry
            })
    }
}
