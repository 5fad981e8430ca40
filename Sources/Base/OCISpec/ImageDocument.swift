public import CoreTypes
internal import JSON

/// A list of manifests, one for each platform.
/// - Spec: image-spec v1.1, image-index.md.
public struct ImageIndex: Equatable, Sendable {
    /// The OCI index or Docker's manifest list; the two are the same document but for that.
    public var mediaType: MediaType
    /// In the order of preference; indexes among them may nest.
    public var manifests: [Descriptor]
    /// What the index is about when it is none of images.
    public var artifactType: MediaType?
    /// The manifest that this one refers to. - Spec: image-spec v1.1, image-index.md.
    public var subject: Descriptor?
    /// What the writer noted; empty is left out when written.
    public var annotations: [String: String] = [:]

    /// - Parameter manifests: in the order of preference.
    public init(mediaType: MediaType = .ociIndex, manifests: [Descriptor]) {
        self.mediaType = mediaType
        self.manifests = manifests
    }

    /// The manifest, or the nested index, that suits a platform best: the first of those at the least distance. An
    /// entry that names no platform counts as suitable when nothing better is there.
    public func best(for platform: Platform) -> Descriptor? {
        let candidates = manifests.filter { !$0.isAttestation && ($0.mediaType.isManifest || $0.mediaType.isIndex) }
        var best: (descriptor: Descriptor, distance: Int)?
        for candidate in candidates {
            guard let distance = candidate.platform.map({ platform.distance(to: $0) }) ?? Int.max else { continue }
            if best.map({ distance < $0.distance }) ?? true { best = (candidate, distance) }
        }
        return best?.descriptor
    }

    /// Writes an index.
    public func encode(indented: Bool = false) -> [UInt8] {
        encodeDocument(indented: indented) { writer in
            writer.object { writer in
                writer.member("schemaVersion", 2)
                writer.member("mediaType", mediaType.rawValue)
                writer.member("artifactType", artifactType?.rawValue)
                writer.name("manifests")
                writer.array { writer in for manifest in manifests { manifest.write(to: &writer) } }
                writer.member("subject", subject) { $1.write(to: &$0) }
                writer.member("annotations", unlessEmpty: annotations)
            }
        }
    }
}

/// An image for one platform: its configuration and its layers.
/// - Spec: image-spec v1.1, manifest.md.
public struct ImageManifest: Equatable, Sendable {
    /// The OCI manifest or Docker's of schema 2; the two are the same document but for that.
    public var mediaType: MediaType
    /// The member `config`: where the image configuration lies.
    public var configuration: Descriptor
    /// The lowest first.
    public var layers: [Descriptor]
    /// What the manifest is about when it is no image.
    public var artifactType: MediaType?
    /// The manifest that this one refers to. - Spec: image-spec v1.1, manifest.md.
    public var subject: Descriptor?
    /// What the writer noted; empty is left out when written.
    public var annotations: [String: String] = [:]

    /// - Parameter layers: lowest first.
    public init(mediaType: MediaType = .ociManifest, configuration: Descriptor, layers: [Descriptor]) {
        self.mediaType = mediaType
        self.configuration = configuration
        self.layers = layers
    }

    /// Writes a manifest.
    public func encode(indented: Bool = false) -> [UInt8] {
        encodeDocument(indented: indented) { writer in
            writer.object { writer in
                writer.member("schemaVersion", 2)
                writer.member("mediaType", mediaType.rawValue)
                writer.member("artifactType", artifactType?.rawValue)
                writer.name("config")
                configuration.write(to: &writer)
                writer.name("layers")
                writer.array { writer in for layer in layers { layer.write(to: &writer) } }
                writer.member("subject", subject) { $1.write(to: &$0) }
                writer.member("annotations", unlessEmpty: annotations)
            }
        }
    }
}

/// What a registry's manifest endpoint or a layout's blob may hold: an index or a manifest, and never a text
/// that could be taken for both.
public enum ImageDocument: Equatable, Sendable {
    case index(ImageIndex)
    case manifest(ImageManifest)

    /// Reads an index or a manifest.
    /// - Parameters:
    ///   - declaredType: what the descriptor or the `Content-Type` header said that it is; nil where nobody did.
    ///   - limits: `ceiling` for what is in the store.
    /// - Throws: `SpecProblem`, also where declaration, `mediaType` and members disagree about the kind of document.
    /// - Spec: image-spec v1.1, manifest.md, "mediaType"; advisory GHSA-xmmx-7jpf-fx42.
    public static func decode(
        _ bytes: [UInt8], declaredType: MediaType? = nil, limits: DocumentLimits = .manifest
    ) throws(SpecProblem) -> ImageDocument {
        let textLimits = JSONLimits(maximumBytes: limits.bytes, maximumDepth: limits.depth)
        return try decodeDocument(bytes, limits: textLimits) { (reader: inout JSONReader) throws(JSONError) in
            var members = Members(limit: limits.descriptors)
            try members.read(from: &reader)
            return try members.document(declaredType: declaredType, reader)
        }
    }

    /// The members of both kinds.
    private struct Members {
        /// Descriptors of one list.
        let limit: Int
        var schemaVersion: Int?
        var mediaType: MediaType?
        var manifests: [Descriptor]?
        var configuration: Descriptor?
        var layers: [Descriptor]?
        var artifactType: MediaType?
        var subject: Descriptor?
        var annotations: [String: String] = [:]
        var hasSchema1Members = false

        mutating func read(from reader: inout JSONReader) throws(JSONError) {
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                switch name {
                case "schemaVersion": schemaVersion = try reader.readInteger()
                case "mediaType": mediaType = MediaType(rawValue: try reader.readString())
                case "manifests": manifests = try reader.readDescriptors(limit)
                case "config": configuration = try Descriptor(from: &reader)
                case "layers": layers = try reader.readDescriptors(limit)
                case "artifactType": artifactType = MediaType(rawValue: try reader.readString())
                case "subject": subject = try Descriptor(from: &reader)
                case "annotations": annotations = try reader.readStringDictionary()
                case "fsLayers":
                    hasSchema1Members = true
                    try reader.skipValue()
                default: try reader.skipValue()
                }
            }
        }

        func document(declaredType: MediaType?, _ reader: JSONReader) throws(JSONError) -> ImageDocument {
            if schemaVersion == 1 || (hasSchema1Members && schemaVersion == nil) {
                throw reader.problem("Docker schema 1 manifests are not supported: push the image again with a current tool")
            }
            guard schemaVersion == 2, !hasSchema1Members else {
                throw reader.problem("schemaVersion must be 2, found \(schemaVersion.map(String.init) ?? "none")")
            }
            if manifests != nil && (layers != nil || configuration != nil) {
                throw reader.problem("ambiguous document: it has both manifests and \(layers != nil ? "layers" : "config")")
            }
            if let declaredType, let mediaType, declaredType != mediaType, declaredType.isIndex || declaredType.isManifest {
                throw reader.problem("declared as \(declaredType), but mediaType says \(mediaType)")
            }
            let type = mediaType ?? declaredType.flatMap { $0.isIndex || $0.isManifest ? $0 : nil }
            if let manifests {
                let kind = type ?? .ociIndex
                guard kind.isIndex else { throw reader.problem("has manifests, but its media type is \(kind)") }
                return .index(index(kind, manifests))
            }
            let kind = type ?? .ociManifest
            guard kind.isManifest else {
                throw reader.problem(kind.isIndex ? "its media type is \(kind), but it has no manifests" : "unsupported media type \(kind)")
            }
            return .manifest(manifest(kind, try reader.require(configuration, "config"), try reader.require(layers, "layers")))
        }

        private func index(_ mediaType: MediaType, _ manifests: [Descriptor]) -> ImageIndex {
            var index = ImageIndex(mediaType: mediaType, manifests: manifests)
            index.artifactType = artifactType
            index.subject = subject
            index.annotations = annotations
            return index
        }

        private func manifest(_ mediaType: MediaType, _ configuration: Descriptor, _ layers: [Descriptor]) -> ImageManifest {
            var manifest = ImageManifest(mediaType: mediaType, configuration: configuration, layers: layers)
            manifest.artifactType = artifactType
            manifest.subject = subject
            manifest.annotations = annotations
            return manifest
        }
    }
}
