public import CoreTypes

/// A network as `GET /networks/{id}` tells of it.
public struct NetworkResource: EngineDocument {
    /// Of networks that are there from the first start and cannot be removed.
    public static let predefinedNames: Set<String> = ["bridge", "host", "none"]

    /// Unique among networks.
    @Defaulted public var name: String = ""
    /// 64 hexadecimal digits.
    @Defaulted public var id: String = ""
    /// When it was made.
    @Defaulted public var created: Timestamp = .zero
    /// `local`.
    @Defaulted public var scope: String = ""
    /// `bridge`, `macvlan`, `host` or `null`.
    @Defaulted public var driver: String = ""
    /// From 1.47.
    public var enableIPv4: Bool?
    /// Whether containers get IPv6 addresses.
    @Defaulted public var enableIPv6: Bool = false
    /// Where addresses come from.
    @Defaulted public var ipam: IPAM = IPAM()
    /// Whether nothing leaves it.
    @Defaulted public var isInternal: Bool = false
    /// Swarm only.
    @Defaulted public var attachable: Bool = false
    /// Swarm only.
    @Defaulted public var ingress: Bool = false
    /// Swarm only.
    @Defaulted public var configFrom: ConfigReference = ConfigReference()
    /// Swarm only.
    @Defaulted public var configOnly: Bool = false
    /// Containers that run on it, by id; lists leave them out.
    @Defaulted public var containers: [String: NetworkContainer] = [:]
    /// Options of the driver.
    @Defaulted public var options: [String: String] = [:]
    /// Labels.
    @Defaulted public var labels: [String: String] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name", id = "Id", created = "Created", scope = "Scope", driver = "Driver", enableIPv4 = "EnableIPv4"
        case enableIPv6 = "EnableIPv6", ipam = "IPAM", isInternal = "Internal", attachable = "Attachable", ingress = "Ingress"
        case configFrom = "ConfigFrom", configOnly = "ConfigOnly", containers = "Containers", options = "Options", labels = "Labels"
    }
}

extension NetworkResource: VersionedDocument {
    /// Fields that came after `version` are dropped.
    public func shaped(for version: APIVersion) -> NetworkResource {
        var document = self
        document.enableIPv4 = version < APIVersion(1, 47) ? nil : enableIPv4 ?? true
        return document
    }
}

/// A network that a configuration is taken from.
public struct ConfigReference: EngineDocument {
    /// Its name.
    @Defaulted public var network: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case network = "Network"
    }
}

/// Where a network's addresses come from.
public struct IPAM: EngineDocument {
    /// `default`.
    @Defaulted public var driver: String = ""
    /// Options of the driver; nil where the request says nothing of them.
    @NullWhenNil public var options: [String: String]? = nil
    /// Blocks, at most one of each family.
    @Defaulted public var config: [IPAMConfig] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case driver = "Driver", options = "Options", config = "Config"
    }
}

/// One block of a network's addresses.
public struct IPAMConfig: EngineDocument {
    /// `172.18.0.0/24`.
    @OmittedWhenZero public var subnet: String = ""
    /// The part of it that containers get addresses of.
    @OmittedWhenZero public var ipRange: String = ""
    /// The host's own address.
    @OmittedWhenZero public var gateway: String = ""
    /// Addresses that no container gets, by what has them.
    @OmittedWhenZero public var auxiliaryAddresses: [String: String] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case subnet = "Subnet", ipRange = "IPRange", gateway = "Gateway", auxiliaryAddresses = "AuxiliaryAddresses"
    }
}

/// A container on a network.
public struct NetworkContainer: EngineDocument {
    /// The container's name.
    @Defaulted public var name: String = ""
    /// The endpoint.
    @Defaulted public var endpointID: String = ""
    /// The link's address.
    @Defaulted public var macAddress: String = ""
    /// With its prefix length.
    @Defaulted public var ipv4Address: String = ""
    /// With its prefix length.
    @Defaulted public var ipv6Address: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name", endpointID = "EndpointID", macAddress = "MacAddress", ipv4Address = "IPv4Address", ipv6Address = "IPv6Address"
    }
}

/// `POST /networks/create`.
public struct NetworkCreateRequest: EngineDocument {
    /// Unique among networks.
    @Defaulted public var name: String = ""
    /// Empty is `bridge`.
    @Defaulted public var driver: String = ""
    /// Empty or `local`.
    @Defaulted public var scope: String = ""
    /// Whether containers get IPv4 addresses; nil is yes; from 1.47.
    public var enableIPv4: Bool?
    /// Whether containers get IPv6 addresses; nil is no.
    public var enableIPv6: Bool?
    /// Where addresses come from; nil is up to the engine.
    public var ipam: IPAM?
    /// Whether nothing leaves it.
    @Defaulted public var isInternal: Bool = false
    /// Swarm only.
    @Defaulted public var attachable: Bool = false
    /// Swarm only.
    @Defaulted public var ingress: Bool = false
    /// Swarm only.
    @Defaulted public var configOnly: Bool = false
    /// Swarm only.
    public var configFrom: ConfigReference?
    /// Options of the driver.
    @Defaulted public var options: [String: String] = [:]
    /// Labels.
    @Defaulted public var labels: [String: String] = [:]

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name", driver = "Driver", scope = "Scope", enableIPv4 = "EnableIPv4", enableIPv6 = "EnableIPv6", ipam = "IPAM"
        case isInternal = "Internal", attachable = "Attachable", ingress = "Ingress", configOnly = "ConfigOnly", configFrom = "ConfigFrom"
        case options = "Options", labels = "Labels"
    }
}

/// The answer to it.
public struct NetworkCreateResponse: EngineDocument {
    /// The new network's id.
    @Defaulted public var id: String = ""
    /// What the client should know.
    @Defaulted public var warning: String = ""

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id", warning = "Warning"
    }
}

/// `POST /networks/{id}/connect`.
public struct NetworkConnectRequest: EngineDocument {
    /// Name or id.
    @Defaulted public var container: String = ""
    /// What it wants there.
    public var endpointConfig: EndpointSettings?

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case container = "Container", endpointConfig = "EndpointConfig"
    }
}

/// `POST /networks/{id}/disconnect`.
public struct NetworkDisconnectRequest: EngineDocument {
    /// Name or id.
    @Defaulted public var container: String = ""
    /// Whether a container that is nowhere else may be disconnected all the same.
    @Defaulted public var force: Bool = false

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case container = "Container", force = "Force"
    }
}

/// `POST /networks/prune`.
public struct NetworksPruneResponse: EngineDocument {
    /// Names of those that are gone.
    @NullWhenEmpty public var networksDeleted: [String] = []

    /// Every field at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case networksDeleted = "NetworksDeleted"
    }
}
