/// One line of `GET /containers/json`.
public struct ContainerSummary: EngineDocument {
    /// 64 hexadecimal digits.
    @Defaulted public var id: String = ""
    /// Each with a leading slash.
    @Defaulted public var names: [String] = []
    /// The reference it was created from.
    @Defaulted public var image: String = ""
    /// `sha256:…`.
    @Defaulted public var imageID: String = ""
    /// From 1.48.
    public var imageManifestDescriptor: Descriptor?
    /// Path and arguments, joined by spaces.
    @Defaulted public var command: String = ""
    /// Seconds since 1970.
    @Defaulted public var created: Int64 = 0
    /// Exposed and published ports.
    @Defaulted public var ports: [PortSummary] = []
    /// Bytes written; only when asked for.
    public var sizeReadWrite: Int64?
    /// Bytes in all; only when asked for.
    public var sizeRootFilesystem: Int64?
    /// Labels.
    @Defaulted public var labels: [String: String] = [:]
    /// `created`, `running`, `exited`, …
    @Defaulted public var state: String = ""
    /// `Up 2 hours`, `Exited (0) 3 minutes ago`, …
    @Defaulted public var status: String = ""
    /// Of the host's side, what a list shows.
    @Defaulted public var hostConfig: ContainerSummaryHostConfig = ContainerSummaryHostConfig()
    /// Endpoints.
    @Defaulted public var networkSettings: ContainerSummaryNetworks = ContainerSummaryNetworks()
    /// Mounts.
    @Defaulted public var mounts: [MountPoint] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id", names = "Names", image = "Image", imageID = "ImageID"
        case imageManifestDescriptor = "ImageManifestDescriptor", command = "Command", created = "Created"
        case ports = "Ports", sizeReadWrite = "SizeRw", sizeRootFilesystem = "SizeRootFs", labels = "Labels"
        case state = "State", status = "Status", hostConfig = "HostConfig"
        case networkSettings = "NetworkSettings", mounts = "Mounts"
    }
}

/// Of `HostConfig`, what a list shows.
public struct ContainerSummaryHostConfig: EngineDocument {
    /// The network mode.
    @OmittedWhenZero public var networkMode: String = ""
    /// From 1.46.
    @OmittedWhenZero public var annotations: [String: String] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case networkMode = "NetworkMode", annotations = "Annotations"
    }
}

/// Of `NetworkSettings`, what a list shows.
public struct ContainerSummaryNetworks: EngineDocument {
    /// Endpoints by network name.
    @Defaulted public var networks: [String: EndpointSettings] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case networks = "Networks"
    }
}

/// One port of a list.
public struct PortSummary: EngineDocument {
    /// The host's address.
    @OmittedWhenZero public var ip: String = ""
    /// Inside.
    @Defaulted public var privatePort: UInt16 = 0
    /// Outside, when published.
    @OmittedWhenZero public var publicPort: UInt16 = 0
    /// `tcp`, `udp` or `sctp`.
    @Defaulted public var type: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case ip = "IP", privatePort = "PrivatePort", publicPort = "PublicPort", type = "Type"
    }
}
