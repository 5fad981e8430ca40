/// What a document about an image may be. A stranger's is held to it when it comes; what is in the store was, and is read by `ceiling`.
public struct DocumentLimits: Equatable, Sendable {
    /// Bytes of the text.
    public var bytes: Int
    /// Manifests of an index, layers of a manifest or of a configuration.
    public var descriptors: Int
    /// How deep objects and arrays may nest.
    public var depth: Int

    /// Limits of one's own.
    public init(bytes: Int, descriptors: Int, depth: Int) {
        self.bytes = bytes
        self.descriptors = descriptors
        self.depth = depth
    }

    /// Of indexes and manifests, unless it is asked for otherwise: what registries accept.
    public static let manifest = DocumentLimits(bytes: 4 << 20, descriptors: 1024, depth: 16)
    /// Of configurations, unless it is asked for otherwise.
    public static let configuration = DocumentLimits(bytes: 8 << 20, descriptors: 1024, depth: 16)
    /// The most that anybody may ask for.
    public static let ceiling = DocumentLimits(bytes: 64 << 20, descriptors: 65_536, depth: 64)
}
