/// `GET /volumes/{name}`, and one of `GET /volumes`.
public struct Volume: EngineDocument {
    /// RFC 3339, whole seconds.
    @Defaulted public var createdAt: String = ""
    /// `local`.
    @Defaulted public var driver: String = ""
    /// Labels.
    @NullWhenEmpty public var labels: [String: String] = [:]
    /// The directory on the host.
    @Defaulted public var mountpoint: String = ""
    /// Its name.
    @Defaulted public var name: String = ""
    /// The driver's options.
    @NullWhenEmpty public var options: [String: String] = [:]
    /// `local`.
    @Defaulted public var scope: String = ""
    /// What it takes on disk; only in a disk usage report.
    public var usageData: VolumeUsage?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case createdAt = "CreatedAt", driver = "Driver", labels = "Labels", mountpoint = "Mountpoint", name = "Name"
        case options = "Options", scope = "Scope", usageData = "UsageData"
    }
}

/// What a volume takes on disk.
public struct VolumeUsage: EngineDocument {
    /// Containers that have it; -1 is not counted.
    @Defaulted public var refCount: Int64 = 0
    /// Bytes; -1 is not counted.
    @Defaulted public var size: Int64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case refCount = "RefCount", size = "Size"
    }
}

/// `GET /volumes`.
public struct VolumeList: EngineDocument {
    /// By name.
    @Defaulted public var volumes: [Volume] = []
    /// What went wrong with some.
    @NullWhenEmpty public var warnings: [String] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case volumes = "Volumes", warnings = "Warnings"
    }
}

/// The body of `POST /volumes/create`.
public struct VolumeCreateRequest: EngineDocument {
    /// Empty: one is made up.
    @OmittedWhenZero public var name: String = ""
    /// `local`; empty means it, too.
    @OmittedWhenZero public var driver: String = ""
    /// The driver's options.
    @OmittedWhenZero public var driverOptions: [String: String] = [:]
    /// Labels.
    @OmittedWhenZero public var labels: [String: String] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name", driver = "Driver", driverOptions = "DriverOpts", labels = "Labels"
    }
}

/// `POST /volumes/prune`.
public struct VolumesPruneReport: EngineDocument {
    /// Names of what was removed.
    @NullWhenEmpty public var volumesDeleted: [String] = []
    /// Bytes that were freed.
    @Defaulted public var spaceReclaimed: UInt64 = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case volumesDeleted = "VolumesDeleted", spaceReclaimed = "SpaceReclaimed"
    }
}
