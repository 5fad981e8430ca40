/// One manifest of an image in `GET /images/json?manifests=1`, from 1.47, and `GET /images/{name}/json?manifests=1`, from 1.48.
public struct ImageManifestSummary: EngineDocument {
    /// The manifest's digest.
    @Defaulted public var id: String = ""
    /// The manifest.
    @Defaulted public var descriptor: Descriptor = Descriptor()
    /// Whether configuration and layers are here.
    @Defaulted public var available: Bool = false
    /// What is here of it.
    @Defaulted public var size: ManifestSize = ManifestSize()
    /// `image` or `attestation`.
    @Defaulted public var kind: String = ""
    /// Of an image.
    public var imageData: ManifestImageData?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "ID", descriptor = "Descriptor", available = "Available", size = "Size", kind = "Kind", imageData = "ImageData"
    }
}

/// Bytes of a manifest and what belongs to it.
public struct ManifestSize: EngineDocument {
    /// With what is unpacked.
    @Defaulted public var total: Int64 = 0
    /// As it came from the registry.
    @Defaulted public var content: Int64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case total = "Total", content = "Content"
    }
}

/// What an image is here.
public struct ManifestImageData: EngineDocument {
    /// What it runs on.
    @Defaulted public var platform: PlatformDocument = PlatformDocument()
    /// Ids of those made of it.
    @Defaulted public var containers: [String] = []
    /// What it takes unpacked.
    @Defaulted public var size: UnpackedSize = UnpackedSize()

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case platform = "Platform", containers = "Containers", size = "Size"
    }
}

/// Bytes of an image's unpacked layers.
public struct UnpackedSize: EngineDocument {
    /// Layers that it shares with others included.
    @Defaulted public var unpacked: Int64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case unpacked = "Unpacked"
    }
}
