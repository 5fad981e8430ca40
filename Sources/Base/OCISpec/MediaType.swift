/// What a blob is, by its IANA or Docker name.
/// - Spec: image-spec v1.1, media-types.md; distribution, "Image Manifest V 2, Schema 2".
public struct MediaType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public var description: String { rawValue }

    public static let ociIndex = MediaType(rawValue: "application/vnd.oci.image.index.v1+json")
    public static let ociManifest = MediaType(rawValue: "application/vnd.oci.image.manifest.v1+json")
    public static let ociConfiguration = MediaType(rawValue: "application/vnd.oci.image.config.v1+json")
    public static let ociLayer = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar")
    public static let ociLayerGzip = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar+gzip")
    public static let ociLayerZstd = MediaType(rawValue: "application/vnd.oci.image.layer.v1.tar+zstd")
    public static let dockerManifestList = MediaType(rawValue: "application/vnd.docker.distribution.manifest.list.v2+json")
    public static let dockerManifest = MediaType(rawValue: "application/vnd.docker.distribution.manifest.v2+json")
    public static let dockerConfiguration = MediaType(rawValue: "application/vnd.docker.container.image.v1+json")
    public static let dockerLayer = MediaType(rawValue: "application/vnd.docker.image.rootfs.diff.tar")
    public static let dockerLayerGzip = MediaType(rawValue: "application/vnd.docker.image.rootfs.diff.tar.gzip")
    public static let dockerLayerZstd = MediaType(rawValue: "application/vnd.docker.image.rootfs.diff.tar.zstd")

    /// What a client that pulls images says it accepts, most wanted first.
    public static let acceptedManifests: [MediaType] = [.ociIndex, .dockerManifestList, .ociManifest, .dockerManifest]

    public var isIndex: Bool { self == .ociIndex || self == .dockerManifestList }
    public var isManifest: Bool { self == .ociManifest || self == .dockerManifest }
    public var isConfiguration: Bool { self == .ociConfiguration || self == .dockerConfiguration }
    public var isLayer: Bool { layerCompression != nil }

    /// How a layer's tar is packed.
    public enum Compression: Sendable {
        case none, gzip, zstd
    }

    /// The packing of a layer; nil for everything that is none we can unpack (encrypted and foreign layers too).
    public var layerCompression: Compression? {
        switch self {
        case .ociLayer, .dockerLayer: Compression.none
        case .ociLayerGzip, .dockerLayerGzip: .gzip
        case .ociLayerZstd, .dockerLayerZstd: .zstd
        default: nil
        }
    }
}
