internal import CoreTypes
internal import JSON
internal import OCISpec

/// One image of Docker's `manifest.json`, the list beside or in place of an OCI index in what `docker save` writes.
/// - Source: moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format".
struct DockerArchiveItem: Equatable, Sendable {
    static let fileName = "manifest.json"

    /// Path of the configuration in the archive.
    var configuration: String
    /// `name:tag`; none is null.
    var names: [String]
    /// Paths of the layers, the lowest first.
    var layers: [String]

    init(_ manifest: ImageManifest, names: [ImageReference]) {
        configuration = ImageLayout.path(of: manifest.configuration.digest)
        self.names = names.map(\.familiar)
        layers = manifest.layers.map { ImageLayout.path(of: $0.digest) }
    }

    /// Reads the whole file.
    static func decode(_ bytes: [UInt8], limits: DocumentLimits) throws(JSONError) -> [DockerArchiveItem] {
        var reader = try JSONReader(bytes, limits: JSONLimits(maximumBytes: limits.bytes, maximumDepth: limits.depth))
        let items = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try DockerArchiveItem(from: &reader) }
        try reader.finish()
        return items
    }

    private init(from reader: inout JSONReader) throws(JSONError) {
        var configuration: String?
        var layers: [String] = []
        var names: [String] = []
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "Config": configuration = try reader.readString()
            case "RepoTags": names = try reader.readStrings()
            case "Layers": layers = try reader.readStrings()
            default: try reader.skipValue()
            }
        }
        guard let configuration else { throw reader.problem("has no Config") }
        self.configuration = configuration
        self.layers = layers
        self.names = names
    }

    static func encode(_ items: [DockerArchiveItem]) -> [UInt8] {
        var writer = JSONWriter()
        writer.array { writer in
            for item in items {
                writer.object { writer in
                    writer.member("Config", item.configuration)
                    writer.name("RepoTags")
                    if item.names.isEmpty { writer.null() } else { writer.array { writer in item.names.forEach { writer.string($0) } } }
                    writer.member("Layers", item.layers)
                }
            }
        }
        return writer.bytes
    }
}

extension ImageLayout {
    /// Where a blob lies in a layout.
    static func path(of digest: Digest) -> String { "\(folder(of: digest.algorithm))/\(digest.hex)" }

    static func folder(of algorithm: Digest.Algorithm) -> String { "blobs/\(algorithm.rawValue)" }

    /// containerd's annotation for an image's whole name.
    static let nameAnnotation = "io.containerd.image.name"
}

extension Descriptor {
    /// The same manifest under a name.
    func named(_ name: ImageReference) -> Descriptor {
        var named = self
        named.annotations[ImageLayout.nameAnnotation] = name.description
        named.annotations[ImageLayout.tagAnnotation] = name.tag
        return named
    }
}
