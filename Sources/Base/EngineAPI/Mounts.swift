/// A mount in the long form.
public struct Mount: EngineDocument {
    /// `bind`, `volume`, `tmpfs`, `image`, `npipe` or `cluster`.
    @Defaulted public var type: String = ""
    /// A host path or a volume's name.
    @OmittedWhenZero public var source: String = ""
    /// The destination inside.
    @OmittedWhenZero public var target: String = ""
    /// Whether it is read-only.
    @OmittedWhenZero public var readOnly: Bool = false
    /// Other platforms only.
    @OmittedWhenZero public var consistency: String = ""
    /// For `bind`.
    public var bindOptions: BindOptions?
    /// For `volume`.
    public var volumeOptions: VolumeOptions?
    /// For `image`; from 1.48.
    public var imageOptions: ImageOptions?
    /// For `tmpfs`.
    public var tmpfsOptions: TmpfsOptions?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case type = "Type", source = "Source", target = "Target", readOnly = "ReadOnly"
        case consistency = "Consistency", bindOptions = "BindOptions", volumeOptions = "VolumeOptions"
        case imageOptions = "ImageOptions", tmpfsOptions = "TmpfsOptions"
    }
}

/// Options of a bind mount.
public struct BindOptions: EngineDocument {
    /// `private`, `rprivate`, `shared`, …
    @OmittedWhenZero public var propagation: String = ""
    /// Whether mounts below the source stay out.
    @OmittedWhenZero public var nonRecursive: Bool = false
    /// Whether a missing source is created.
    @OmittedWhenZero public var createMountpoint: Bool = false
    /// From 1.44.
    @OmittedWhenZero public var readOnlyNonRecursive: Bool = false
    /// From 1.44.
    @OmittedWhenZero public var readOnlyForceRecursive: Bool = false
    /// How the owners of files are shown, `idmap=uids=FILE-SHOWN-COUNT;gids=…`; an addition of this engine's.
    @OmittedWhenZero public var ownerMapping: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case propagation = "Propagation", nonRecursive = "NonRecursive", createMountpoint = "CreateMountpoint"
        case readOnlyNonRecursive = "ReadOnlyNonRecursive", readOnlyForceRecursive = "ReadOnlyForceRecursive"
        case ownerMapping = "IDMap"
    }
}

/// Options of a volume mount.
public struct VolumeOptions: EngineDocument {
    /// Whether the image's files stay out of an empty volume.
    @OmittedWhenZero public var noCopy: Bool = false
    /// Labels of a new volume.
    @OmittedWhenZero public var labels: [String: String] = [:]
    /// A path inside the volume; from 1.45.
    @OmittedWhenZero public var subpath: String = ""
    /// The driver of a new volume.
    public var driverConfig: VolumeDriverConfig?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case noCopy = "NoCopy", labels = "Labels", subpath = "Subpath", driverConfig = "DriverConfig"
    }
}

/// A volume driver and its options.
public struct VolumeDriverConfig: EngineDocument {
    /// The driver.
    @OmittedWhenZero public var name: String = ""
    /// Its options.
    @OmittedWhenZero public var options: [String: String] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name", options = "Options"
    }
}

/// Options of an image mount.
public struct ImageOptions: EngineDocument {
    /// A path inside the image.
    @OmittedWhenZero public var subpath: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case subpath = "Subpath"
    }
}

/// Options of a tmpfs mount.
public struct TmpfsOptions: EngineDocument {
    /// Bytes; 0 is the kernel's default.
    @OmittedWhenZero public var sizeBytes: Int64 = 0
    /// Permission bits of the root.
    @OmittedWhenZero public var mode: UInt32 = 0
    /// Mount options as one or two words each; from 1.46.
    @OmittedWhenZero public var options: [[String]] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case sizeBytes = "SizeBytes", mode = "Mode", options = "Options"
    }
}

/// A mount as an inspect answer tells it.
public struct MountPoint: EngineDocument {
    /// `bind`, `volume` or `tmpfs`.
    @OmittedWhenZero public var type: String = ""
    /// The volume's name.
    @OmittedWhenZero public var name: String = ""
    /// The path on the host.
    @Defaulted public var source: String = ""
    /// The path inside.
    @Defaulted public var destination: String = ""
    /// The volume's driver.
    @OmittedWhenZero public var driver: String = ""
    /// The options as written.
    @Defaulted public var mode: String = ""
    /// Whether it is writable.
    @Defaulted public var readWrite: Bool = false
    /// `rprivate`, …
    @Defaulted public var propagation: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case type = "Type", name = "Name", source = "Source", destination = "Destination", driver = "Driver"
        case mode = "Mode", readWrite = "RW", propagation = "Propagation"
    }
}
