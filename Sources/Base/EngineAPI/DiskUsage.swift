/// `GET /system/df`.
public struct SystemDiskUsage: EngineDocument {
    /// Bytes of all layers; absent where images were not asked for.
    @OmittedWhenZero public var layersSize: Int64 = 0
    /// Images, with what they share and how many containers use them; nil where they were not asked for.
    @NullWhenNil public var images: [ImageSummary]? = nil
    /// Containers, with their sizes; nil where they were not asked for.
    @NullWhenNil public var containers: [ContainerSummary]? = nil
    /// Volumes; nil where they were not asked for.
    @NullWhenNil public var volumes: [Volume]? = nil
    /// What builds keep; nil where it was not asked for.
    @NullWhenNil public var buildCache: [EmptyObject]? = nil
    /// Bytes; until 1.41.
    public var builderSize: Int64?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case layersSize = "LayersSize", images = "Images", containers = "Containers", volumes = "Volumes", buildCache = "BuildCache"
        case builderSize = "BuilderSize"
    }
}

/// `POST /build/prune`.
public struct BuildPruneReport: EngineDocument {
    /// Ids of what was removed.
    @NullWhenEmpty public var cachesDeleted: [String] = []
    /// Bytes that were freed.
    @Defaulted public var spaceReclaimed: UInt64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case cachesDeleted = "CachesDeleted", spaceReclaimed = "SpaceReclaimed"
    }
}

extension SystemDiskUsage: VersionedDocument {
    /// Fields that came after `version` are dropped, those that left before it are filled in.
    public func shaped(for version: APIVersion) -> SystemDiskUsage {
        var document = self
        document.images = images?.map { $0.shaped(for: version) }
        document.containers = containers?.map { $0.shaped(for: version) }
        document.builderSize = version < APIVersion(1, 42) ? 0 : nil
        return document
    }
}
