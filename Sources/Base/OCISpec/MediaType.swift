/// What a blob is, by its IANA or Docker name.
/// - Spec: image-spec v1.1, media-types.md; distribution, "Image Manifest V 2, Schema 2".
public struct MediaType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// As it stands in documents and in headers, without parameters.
    public let rawValue: String

    /// - Parameter rawValue: any text: unknown types are kept as they are.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The type's text.
    public var description: String { rawValue }

    /// An image index. - Spec: image-spec v1.1, media-types.md, as are all of these.
    public static let ociIndex = MediaType(rawValue: "application/vnd.oci.image.index.v1+json")
    /// An image manifest.
    public static let ociManifest = MediaType(rawValue: "application/vnd.oci.image.manifest.v1+json")
    /// An image configuration.
    public static let ociConfiguration = MediaType(rawValue: "application/vnd.oci.image.config.v1+json")
    /// A layer that is a plain tar.
    public static let ociLayer = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar")
    /// A layer that is a tar in gzip.
    public static let ociLayerGzip = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar+gzip")
    /// A layer that is a tar in zstd.
    public static let ociLayerZstd = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar+zstd")
    /// Docker's image index.
    public static let dockerManifestList = MediaType(rawValue: "application/vnd.docker.distribution.manifest.list.v2+json")
    /// Docker's image manifest, schema 2.
    public static let dockerManifest = MediaType(rawValue: "application/vnd.docker.distribution.manifest.v2+json")
    /// Docker's image configuration.
    public static let dockerConfiguration = MediaType(rawValue: "application/vnd.docker.container.image.v1+json")
    /// Docker's layer that is a plain tar.
    public static let dockerLayer = MediaType(rawValue: "application/vnd.docker.image.rootfs.diff.tar")
    /// Docker's layer that is a tar in gzip.
    public static let dockerLayerGzip = MediaType(rawValue: "application/vnd.docker.image.rootfs.diff.tar.gzip")
    /// A layer in zstd among Docker's types, which buildkit writes.
    public static let dockerLayerZstd = MediaType(rawValue: "application/vnd.docker.image.rootfs.diff.tar.zstd")

    /// A layer that its owner lets no other registry give away; a plain tar. What we unpack of it is a layer like any other.
    public static let ociNondistributableLayer = MediaType(rawValue: "application/vnd.oci.image.layer.nondistributable.v1.tar")
    /// The same in gzip.
    public static let ociNondistributableLayerGzip = MediaType(rawValue: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    /// The same in zstd.
    public static let ociNondistributableLayerZstd = MediaType(rawValue: "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd")
    /// Docker's, a plain tar.
    public static let dockerForeignLayer = MediaType(rawValue: "application/vnd.docker.image.rootfs.foreign.diff.tar")
    /// Docker's, in gzip.
    public static let dockerForeignLayerGzip = MediaType(rawValue: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")

    /// What a client that pulls images says it accepts, most wanted first.
    public static let acceptedManifests: [MediaType] = [.ociIndex, .dockerManifestList, .ociManifest, .dockerManifest]

    /// An index of either kind.
    public var isIndex: Bool { self == .ociIndex || self == .dockerManifestList }
    /// A manifest of either kind.
    public var isManifest: Bool { self == .ociManifest || self == .dockerManifest }
    /// An image configuration of either kind.
    public var isConfiguration: Bool { self == .ociConfiguration || self == .dockerConfiguration }
    /// A layer that can be unpacked, of either kind.
    public var isLayer: Bool { layerCompression != nil }

    /// How a layer's tar is packed.
    public enum Compression: Sendable {
        case none, gzip, zstd
    }

    /// The packing of a layer; nil for everything that is none we can unpack (encrypted layers too).
    public var layerCompression: Compression? {
        switch self {
        case .ociLayer, .dockerLayer, .ociNondistributableLayer, .dockerForeignLayer: Compression.none
        case .ociLayerGzip, .dockerLayerGzip, .ociNondistributableLayerGzip, .dockerForeignLayerGzip: .gzip
        case .ociLayerZstd, .dockerLayerZstd, .ociNondistributableLayerZstd: .zstd
        default: nil
        }
    }
}
