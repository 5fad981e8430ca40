internal import CoreTypes
internal import EngineAPI
internal import Networking

/// A container's network while it runs, as the file in its bundle says it: what a new daemon must know.
struct NetworkAttachment: Codable, Equatable, Sendable {
    /// 2: ports in a row are one entry. 3: ports of the container's own addresses.
    static let currentVersion = 3
    static let fileName = "network.json"

    /// The earliest that says it all, so that an earlier engine reads what it can.
    private(set) var version = 1
    /// What clients know the namespace by.
    var sandboxID: String
    var endpoints: [EndpointRecord]
    /// Ports of the host that lead in; nil in files from before there were any.
    var ports: [PublishedPort]? {
        didSet {
            let ports = ports ?? []
            version = ports.contains { $0.isDirect != nil } ? Self.currentVersion : ports.contains { $0.count != nil } ? 2 : 1
        }
    }
    /// Servers that the container is to ask itself, for what no container is called; nil for the host's.
    var nameServers: [String]?

    func without(_ endpoint: EndpointRecord) -> NetworkAttachment {
        var rest = self
        rest.endpoints.removeAll { $0.endpointID == endpoint.endpointID }
        return rest
    }

    /// The endpoint on a network, by the network's id.
    func endpoint(on network: String) -> EndpointRecord? { endpoints.first { $0.networkID == network } }
}

/// A container on one network while it runs.
struct EndpointRecord: Codable, Equatable, Sendable {
    var networkID: String
    var networkName: String
    var endpointID: String
    /// The host's end; empty for a macvlan.
    var hostLink: String
    /// `eth0`…
    var insideLink: String
    var macAddress: String
    var ipv4 = EndpointAddress()
    var ipv6 = EndpointAddress()
    /// Highest gives the default route.
    var gatewayPriority = 0
    /// Whether the network leads nowhere.
    var isInternal = false
    /// Names by which the network's other containers find it.
    var dnsNames: [String] = []
    /// Whether published ports are open at its own address, of each family; nil for neither.
    var opensV4: Bool?
    var opensV6: Bool?
    /// Further addresses of the link; nil for none.
    var linkLocalAddresses: [String]?
    /// Settings of the kernel for the link inside, by their paths below /proc/sys/net; nil for none.
    var linkSettings: [String: String]?
    /// Names that others have for this container alone: alias to name. Nil for none.
    var links: [String: String]?

    var linkAddress: MACAddress? { MACAddress(macAddress) }

    /// What there is of addresses.
    var interfaceAddresses: [InterfaceAddress] {
        [ipv4, ipv6].compactMap { part in IPAddress(part.address).map { InterfaceAddress($0, prefixLength: part.prefixLength) } }
    }

    /// The link-local ones included.
    var allAddresses: [InterfaceAddress] {
        interfaceAddresses
            + (linkLocalAddresses ?? []).compactMap { text in
                IPAddress(text).map { InterfaceAddress($0, prefixLength: $0.family == .v4 ? 16 : 64) }
            }
    }

    /// What the firewall must know.
    var firewallEndpoint: FirewallEndpoint? {
        guard !hostLink.isEmpty, let linkAddress else { return nil }
        return FirewallEndpoint(link: hostLink, linkAddress: linkAddress, addresses: allAddresses.map(\.address))
    }

    /// What was asked for, filled in with what there is.
    func settings(over configured: EndpointSettings) -> EndpointSettings {
        var settings = configured
        settings.networkID = networkID
        settings.endpointID = endpointID
        settings.macAddress = macAddress
        settings.gateway = ipv4.gateway
        settings.ipAddress = ipv4.address
        settings.ipPrefixLength = ipv4.prefixLength
        settings.ipv6Gateway = ipv6.gateway
        settings.globalIPv6Address = ipv6.address
        settings.globalIPv6PrefixLength = ipv6.prefixLength
        settings.dnsNames = dnsNames
        return settings
    }
}

/// An address of one family; empty where there is none.
struct EndpointAddress: Codable, Equatable, Sendable {
    var address = ""
    var prefixLength = 0
    /// The network's gateway; empty where it has none.
    var gateway = ""
}

extension [EndpointRecord] {
    /// In the order in which networks get the default route: by priority, then by name.
    var byPrecedence: [EndpointRecord] { sorted { ($1.gatewayPriority, $0.networkName) < ($0.gatewayPriority, $1.networkName) } }

    /// The endpoint whose gateway is the container's, for each family.
    func gatewayEndpoint(_ family: KeyPath<EndpointRecord, EndpointAddress>) -> EndpointRecord? {
        byPrecedence.first { !$0.isInternal && !$0[keyPath: family].gateway.isEmpty }
    }

    /// The gateways that go with an endpoint's link.
    func gateways(through endpoint: EndpointRecord) -> [IPAddress] {
        [\EndpointRecord.ipv4, \EndpointRecord.ipv6].compactMap { family in
            gatewayEndpoint(family)?.endpointID == endpoint.endpointID ? IPAddress(endpoint[keyPath: family].gateway) : nil
        }
    }
}
