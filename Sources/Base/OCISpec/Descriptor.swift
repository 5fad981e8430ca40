public import CoreTypes
internal import JSON

/// A reference to a blob: what it is, its digest and its size.
/// - Spec: image-spec v1.1, descriptor.md.
public struct Descriptor: Hashable, Sendable {
    /// What the content is; it is checked against what the content says of itself.
    public var mediaType: MediaType
    /// Of the content's bytes.
    public var digest: Digest
    /// 0 or more.
    public var sizeBytes: Int64
    /// Other places of the blob. They are kept, never fetched from unasked.
    public var urls: [String] = []
    /// What the writer noted; empty is left out when written.
    public var annotations: [String: String] = [:]
    /// For a manifest in an index: what it runs on; nil when it does not say.
    public var platform: Platform?
    /// `os.version` of the platform: the least version of the operating system, which only Windows has.
    public var osVersion: String?
    /// `os.features` of the platform, such as `win32k`; all of them must be there.
    public var osFeatures: [String] = []
    /// What the manifest is about when it is no image. - Spec: image-spec v1.1, descriptor.md.
    public var artifactType: MediaType?
    /// The blob itself in base64, not compared with the digest.
    public var data: String?

    /// - Parameter sizeBytes: 0 or more.
    public init(mediaType: MediaType, digest: Digest, sizeBytes: Int64, platform: Platform? = nil) {
        self.mediaType = mediaType
        self.digest = digest
        self.sizeBytes = sizeBytes
        self.platform = platform
    }

    /// Whether this is a statement about an image (provenance, bill of materials) that BuildKit put beside it.
    public var isAttestation: Bool {
        annotations["vnd.docker.reference.type"] != nil
            || (platform?.operatingSystem == "unknown" && platform?.architecture == "unknown")
    }

    init(from reader: inout JSONReader) throws(JSONError) {
        var mediaType: String?
        var digest: Digest?
        var size: Int64?
        var rest = Descriptor.Optional()
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "mediaType": mediaType = try reader.readString()
            case "digest": digest = try reader.readDigest()
            case "size":
                let value: Int64 = try reader.readInteger()
                if value < 0 { throw reader.problem("must not be negative, found \(value)") }
                size = value
            default: try rest.read(name, from: &reader)
            }
        }
        self.init(
            mediaType: MediaType(rawValue: try reader.require(mediaType, "mediaType")), digest: try reader.require(digest, "digest"),
            sizeBytes: try reader.require(size, "size"), platform: rest.platform)
        urls = rest.urls
        annotations = rest.annotations
        osVersion = rest.osVersion
        osFeatures = rest.osFeatures
        artifactType = rest.artifactType
        data = rest.data
    }

    /// The members that a descriptor may lack.
    private struct Optional {
        var urls: [String] = []
        var annotations: [String: String] = [:]
        var platform: Platform?
        var osVersion: String?
        var osFeatures: [String] = []
        var artifactType: MediaType?
        var data: String?

        mutating func read(_ name: String, from reader: inout JSONReader) throws(JSONError) {
            switch name {
            case "urls": urls = try reader.readStrings()
            case "annotations": annotations = try reader.readStringDictionary()
            case "platform": try readPlatform(from: &reader)
            case "artifactType": artifactType = MediaType(rawValue: try reader.readString())
            case "data": data = try reader.readString()
            default: try reader.skipValue()
            }
        }

        private mutating func readPlatform(from reader: inout JSONReader) throws(JSONError) {
            var operatingSystem: String?
            var architecture: String?
            var variant: String?
            try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
                switch name {
                case "os": operatingSystem = try reader.readString()
                case "architecture": architecture = try reader.readString()
                case "variant": variant = try reader.readString()
                case "os.version": osVersion = try reader.readString()
                case "os.features": osFeatures = try reader.readStrings()
                default: try reader.skipValue()
                }
            }
            platform = Platform(
                operatingSystem: try reader.require(operatingSystem, "os"),
                architecture: try reader.require(architecture, "architecture"), variant: variant)
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("mediaType", mediaType.rawValue)
            writer.member("digest", digest.description)
            writer.member("size", sizeBytes)
            writer.member("urls", unlessEmpty: urls)
            writer.member("annotations", unlessEmpty: annotations)
            writer.member("data", data)
            writer.member("platform", platform) { writer, platform in
                writer.object { writer in
                    writer.member("architecture", platform.architecture)
                    writer.member("os", platform.operatingSystem)
                    writer.member("os.version", osVersion)
                    writer.member("os.features", unlessEmpty: osFeatures)
                    writer.member("variant", platform.variant)
                }
            }
            writer.member("artifactType", artifactType?.rawValue)
        }
    }
}

extension JSONReader {
    mutating func readDigest() throws(JSONError) -> Digest {
        let text = try readString()
        do throws(InvalidDigest) { return try Digest(text) } catch { throw problem(error.description) }
    }

    /// Reads at most so many descriptors.
    mutating func readDescriptors(_ limit: Int) throws(JSONError) -> [Descriptor] {
        var descriptors: [Descriptor] = []
        try readArray { (reader: inout JSONReader) throws(JSONError) in
            if descriptors.count == limit { throw reader.problem("more than \(limit) descriptors") }
            descriptors.append(try Descriptor(from: &reader))
        }
        return descriptors
    }
}
