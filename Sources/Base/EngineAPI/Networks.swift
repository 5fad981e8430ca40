/// Networks that a new container joins.
public struct NetworkingConfig: EngineDocument {
    /// By network name or id.
    @Defaulted public var endpointsConfig: [String: EndpointSettings?] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case endpointsConfig = "EndpointsConfig"
    }
}

/// A container's place on one network.
public struct EndpointSettings: EngineDocument {
    /// Addresses asked for.
    @NullWhenNil public var ipamConfig: EndpointIPAMConfig? = nil
    /// Links of this network.
    @NullWhenEmpty public var links: [String] = []
    /// The link's address.
    @Defaulted public var macAddress: String = ""
    /// Names of the container on this network.
    @NullWhenEmpty public var aliases: [String] = []
    /// Options of the driver.
    @NullWhenEmpty public var driverOpts: [String: String] = [:]
    /// Highest gives the default gateway; from 1.48.
    public var gatewayPriority: Int?
    /// The network.
    @Defaulted public var networkID: String = ""
    /// The endpoint.
    @Defaulted public var endpointID: String = ""
    /// The IPv4 gateway.
    @Defaulted public var gateway: String = ""
    /// The IPv4 address.
    @Defaulted public var ipAddress: String = ""
    /// Bits.
    @Defaulted public var ipPrefixLength: Int = 0
    /// The IPv6 gateway.
    @Defaulted public var ipv6Gateway: String = ""
    /// The IPv6 address.
    @Defaulted public var globalIPv6Address: String = ""
    /// Bits.
    @Defaulted public var globalIPv6PrefixLength: Int = 0
    /// Names that resolve to this endpoint; from 1.44.
    public var dnsNames: [String]?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case ipamConfig = "IPAMConfig", links = "Links", macAddress = "MacAddress", aliases = "Aliases"
        case driverOpts = "DriverOpts", gatewayPriority = "GwPriority", networkID = "NetworkID"
        case endpointID = "EndpointID", gateway = "Gateway", ipAddress = "IPAddress"
        case ipPrefixLength = "IPPrefixLen", ipv6Gateway = "IPv6Gateway"
        case globalIPv6Address = "GlobalIPv6Address", globalIPv6PrefixLength = "GlobalIPv6PrefixLen"
        case dnsNames = "DNSNames"
    }
}

/// Addresses that a container asks for.
public struct EndpointIPAMConfig: EngineDocument {
    /// IPv4.
    @OmittedWhenZero public var ipv4Address: String = ""
    /// IPv6.
    @OmittedWhenZero public var ipv6Address: String = ""
    /// Link-local addresses.
    @OmittedWhenZero public var linkLocalIPs: [String] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case ipv4Address = "IPv4Address", ipv6Address = "IPv6Address", linkLocalIPs = "LinkLocalIPs"
    }
}

/// A port of the host.
public struct PortBinding: EngineDocument {
    /// Empty is every address.
    @Defaulted public var hostIP: String = ""
    /// Empty is any free port; may be a range.
    @Defaulted public var hostPort: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case hostIP = "HostIp", hostPort = "HostPort"
    }
}

/// The network side of an inspect answer.
public struct NetworkSettings: EngineDocument {
    /// The legacy bridge.
    @Defaulted public var bridge: String = ""
    /// The network namespace's id.
    @Defaulted public var sandboxID: String = ""
    /// The network namespace's path.
    @Defaulted public var sandboxKey: String = ""
    /// Ports and where they are published.
    @Defaulted public var ports: PortMap = [:]
    /// Legacy.
    @Defaulted public var hairpinMode: Bool = false
    /// Legacy.
    @Defaulted public var linkLocalIPv6Address: String = ""
    /// Legacy.
    @Defaulted public var linkLocalIPv6PrefixLength: Int = 0
    /// Legacy.
    @NullWhenEmpty public var secondaryIPAddresses: [Address] = []
    /// Legacy.
    @NullWhenEmpty public var secondaryIPv6Addresses: [Address] = []
    /// Of the default bridge.
    @Defaulted public var endpointID: String = ""
    /// Of the default bridge.
    @Defaulted public var gateway: String = ""
    /// Of the default bridge.
    @Defaulted public var globalIPv6Address: String = ""
    /// Of the default bridge.
    @Defaulted public var globalIPv6PrefixLength: Int = 0
    /// Of the default bridge.
    @Defaulted public var ipAddress: String = ""
    /// Of the default bridge.
    @Defaulted public var ipPrefixLength: Int = 0
    /// Of the default bridge.
    @Defaulted public var ipv6Gateway: String = ""
    /// Of the default bridge.
    @Defaulted public var macAddress: String = ""
    /// Endpoints by network name.
    @Defaulted public var networks: [String: EndpointSettings] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case bridge = "Bridge", sandboxID = "SandboxID", sandboxKey = "SandboxKey", ports = "Ports"
        case hairpinMode = "HairpinMode", linkLocalIPv6Address = "LinkLocalIPv6Address"
        case linkLocalIPv6PrefixLength = "LinkLocalIPv6PrefixLen"
        case secondaryIPAddresses = "SecondaryIPAddresses", secondaryIPv6Addresses = "SecondaryIPv6Addresses"
        case endpointID = "EndpointID", gateway = "Gateway", globalIPv6Address = "GlobalIPv6Address"
        case globalIPv6PrefixLength = "GlobalIPv6PrefixLen", ipAddress = "IPAddress"
        case ipPrefixLength = "IPPrefixLen", ipv6Gateway = "IPv6Gateway", macAddress = "MacAddress"
        case networks = "Networks"
    }
}

/// An address and its prefix.
public struct Address: EngineDocument {
    /// The address.
    @Defaulted public var address: String = ""
    /// Bits.
    @Defaulted public var prefixLength: Int = 0

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case address = "Addr", prefixLength = "PrefixLen"
    }
}
