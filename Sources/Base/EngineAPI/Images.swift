public import CoreTypes

/// One line of `GET /images/json`.
public struct ImageSummary: EngineDocument {
    /// Containers using it; -1 is not counted.
    @Defaulted public var containers: Int64 = 0
    /// Seconds since 1970.
    @Defaulted public var created: Int64 = 0
    /// `sha256:…` of its configuration.
    @Defaulted public var id: String = ""
    /// Labels.
    @NullWhenEmpty public var labels: [String: String] = [:]
    /// Empty for a pulled image.
    @Defaulted public var parentID: String = ""
    /// `name@sha256:…`.
    @Defaulted public var repoDigests: [String] = []
    /// `name:tag`.
    @Defaulted public var repoTags: [String] = []
    /// Bytes; -1 is not counted.
    @Defaulted public var sharedSize: Int64 = 0
    /// Bytes, unpacked.
    @Defaulted public var size: Int64 = 0
    /// As `size`; until 1.43.
    public var virtualSize: Int64?
    /// From 1.48.
    public var descriptor: Descriptor?
    /// Where it is asked for; from 1.47.
    public var manifests: [ImageManifestSummary]?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case containers = "Containers", created = "Created", id = "Id", labels = "Labels"
        case parentID = "ParentId", repoDigests = "RepoDigests", repoTags = "RepoTags"
        case sharedSize = "SharedSize", size = "Size", virtualSize = "VirtualSize", descriptor = "Descriptor"
        case manifests = "Manifests"
    }
}

/// `GET /images/{name}/json`.
public struct ImageInspect: EngineDocument {
    /// `sha256:…` of its configuration.
    @Defaulted public var id: String = ""
    /// From 1.48.
    public var descriptor: Descriptor?
    /// Where it is asked for; from 1.48.
    public var manifests: [ImageManifestSummary]?
    /// `name:tag`.
    @Defaulted public var repoTags: [String] = []
    /// `name@sha256:…`.
    @Defaulted public var repoDigests: [String] = []
    /// Empty for a pulled image.
    @Defaulted public var parent: String = ""
    /// Of the newest history entry.
    @Defaulted public var comment: String = ""
    /// As the configuration says it, RFC 3339.
    public var created: String?
    /// Until 1.44.
    public var container: String?
    /// Until 1.44.
    public var containerConfig: ContainerConfig?
    /// The engine that built it.
    @Defaulted public var dockerVersion: String = ""
    /// As the configuration says it.
    @Defaulted public var author: String = ""
    /// What a container of it runs.
    @NullWhenNil public var config: ImageConfig? = nil
    /// `amd64`, …
    @Defaulted public var architecture: String = ""
    /// `v8`, …
    @OmittedWhenZero public var variant: String = ""
    /// `linux`.
    @Defaulted public var os: String = ""
    /// Windows only.
    @OmittedWhenZero public var osVersion: String = ""
    /// Bytes, unpacked.
    @Defaulted public var size: Int64 = 0
    /// As `size`; until 1.43.
    public var virtualSize: Int64?
    /// Where the storage driver keeps it.
    @Defaulted public var graphDriver: DriverData = DriverData()
    /// Its layers.
    @Defaulted public var rootFS: RootFilesystem = RootFilesystem()
    /// What the engine knows beyond the image.
    @Defaulted public var metadata: ImageMetadata = ImageMetadata()

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id", descriptor = "Descriptor", manifests = "Manifests", repoTags = "RepoTags", repoDigests = "RepoDigests"
        case parent = "Parent", comment = "Comment", created = "Created", container = "Container"
        case containerConfig = "ContainerConfig", dockerVersion = "DockerVersion", author = "Author"
        case config = "Config", architecture = "Architecture", variant = "Variant", os = "Os"
        case osVersion = "OsVersion", size = "Size", virtualSize = "VirtualSize", graphDriver = "GraphDriver"
        case rootFS = "RootFS", metadata = "Metadata"
    }
}

/// An image's layers.
public struct RootFilesystem: EngineDocument {
    /// `layers`.
    @Defaulted public var type: String = ""
    /// Digests of the uncompressed layers, lowest first.
    @OmittedWhenZero public var layers: [String] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case type = "Type", layers = "Layers"
    }
}

/// What the engine knows beyond the image.
public struct ImageMetadata: EngineDocument {
    /// When it got its last tag here.
    @Defaulted public var lastTagTime: Timestamp = .zero

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case lastTagTime = "LastTagTime"
    }
}

/// One step of `DELETE /images/{name}`.
public struct ImageDeleteItem: EngineDocument {
    /// An image or layer that went away.
    @OmittedWhenZero public var deleted: String = ""
    /// A reference that went away.
    @OmittedWhenZero public var untagged: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case deleted = "Deleted", untagged = "Untagged"
    }
}

/// An OCI content descriptor.
public struct Descriptor: EngineDocument {
    /// What it is.
    @Defaulted public var mediaType: String = ""
    /// Where it is.
    @Defaulted public var digest: String = ""
    /// Bytes.
    @Defaulted public var size: Int64 = 0
    /// Where else it is.
    @OmittedWhenZero public var urls: [String] = []
    /// Annotations.
    @OmittedWhenZero public var annotations: [String: String] = [:]
    /// Of an artifact.
    @OmittedWhenZero public var artifactType: String = ""
    /// For whom it is.
    public var platform: PlatformDocument?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case mediaType, digest, size, urls, annotations, artifactType, platform
    }
}

/// An operating system on an architecture.
public struct PlatformDocument: EngineDocument {
    /// `amd64`, …
    @Defaulted public var architecture: String = ""
    /// `linux`.
    @Defaulted public var os: String = ""
    /// Windows only.
    @OmittedWhenZero public var osVersion: String = ""
    /// Windows only.
    @OmittedWhenZero public var osFeatures: [String] = []
    /// `v8`, …
    @OmittedWhenZero public var variant: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case architecture, os, osVersion = "os.version", osFeatures = "os.features", variant
    }
}
