package import CoreTypes
internal import Netlink

/// A transport protocol whose ports are published.
package enum TransportProtocol: String, Codable, CaseIterable, Hashable, Sendable {
    case tcp, udp, sctp

    /// - Source: IANA, Assigned Internet Protocol Numbers.
    package var number: UInt8 {
        switch self {
        case .tcp: 6
        case .udp: 17
        case .sctp: 132
        }
    }
}

/// What the firewall knows of a network.
package struct FirewallNetwork: Hashable, Sendable {
    /// The bridge's link.
    package var link: String
    package var isInternal = false
    /// Families in which what leaves by other links carries their address.
    package var masqueraded: Set<IPAddress.Family> = [.v4, .v6]
    /// What it carries instead, of the families in which that is one address.
    package var sources: [IPAddress] = []
    /// Families in which published ports are reached at the containers' own addresses, by whoever has a route there.
    package var routed: Set<IPAddress.Family> = []
    /// Families in which every port is, but for the containers of other networks.
    package var unprotected: Set<IPAddress.Family> = []
    /// Links by which published ports are reached at the containers' own addresses.
    package var trustedLinks: [String] = []
    /// Whether containers on it reach each other, aside from published ports.
    package var letsContainersTalk = true

    package init(link: String) { self.link = link }
}

/// What the firewall knows of one container on one network.
package struct FirewallEndpoint: Hashable, Sendable {
    /// The port of the bridge.
    package var link: String
    package var linkAddress: MACAddress
    package var addresses: [IPAddress]
    /// Whether its network's containers are not to talk to each other.
    package var isApart = false

    package init(link: String, linkAddress: MACAddress, addresses: [IPAddress]) {
        self.link = link
        self.linkAddress = linkAddress
        self.addresses = addresses
    }
}

/// A port of the host that leads into a container, or several in a row.
package struct FirewallPort: Hashable, Sendable {
    package var transport: TransportProtocol
    /// Nil is every address of the container address's family; `::` every one of IPv6, for a container that has IPv4 alone.
    package var hostAddress: IPAddress?
    /// Whether no port of the host leads there: the container's own is open for who is let to its address.
    package var isDirect = false
    package var hostPort: UInt16
    package var containerAddress: IPAddress
    package var containerPort: UInt16
    /// So many: each port of the host leads to the one that lies as far from `containerPort`.
    package var count: UInt16

    package init(
        transport: TransportProtocol, hostAddress: IPAddress?, hostPort: UInt16, containerAddress: IPAddress, containerPort: UInt16,
        count: UInt16 = 1
    ) {
        let last = Int(max(hostPort, containerPort)) + Int(count) - 1
        precondition(count > 0 && last <= Int(UInt16.max), "\(count) ports from \(hostPort) on")
        self.count = count
        self.transport = transport
        self.hostAddress = hostAddress
        self.hostPort = hostPort
        self.containerAddress = containerAddress
        self.containerPort = containerPort
    }
}

/// The sets of our tables by name; what they hold is all that changes while the daemon lives.
enum FirewallSetName: String, CaseIterable, Hashable, Sendable {
    /// Links of bridges.
    case bridges
    /// Pairs of an incoming and an outgoing bridge that are one.
    case sameBridge
    /// Those of them whose containers reach each other.
    case talking
    /// Bridges whose containers leave under the host's addresses, and those of them that leave under a certain one.
    case masqueradedV4, masqueradedV6, sourcesV4, sourcesV6
    /// Bridges whose containers are reached at published ports of their own addresses, and at all their ports.
    case routedV4, routedV6, unprotectedV4, unprotectedV6
    /// Pairs of a link and a bridge whose containers are reached by it at published ports of their own addresses.
    case trusted
    /// Those ports.
    case openPortsV4, openPortsV6
    /// Bridges that nothing leaves.
    case internalBridges
    /// Pairs of an address with itself: of containers that reach themselves by a published port.
    case themselvesV4, themselvesV6
    /// Published ports, of one address and of all.
    case portsV4, portsV6, anyPortsV4, anyPortsV6
    /// Those of IPv6 addresses that lead to containers without IPv6.
    case forwarded, anyForwarded
    /// Ports of bridges, and the addresses that may come in there.
    case cables, linkAddresses, addressesV4, addressesV6
    /// Those of containers that are not to talk to each other.
    case apart
    /// Both addresses of what comes in there for the most part.
    case sendersV4, sendersV6

    /// Whether it belongs to the table that looks at frames.
    var isOfBridgeTable: Bool {
        switch self {
        case .cables, .linkAddresses, .addressesV4, .addressesV6, .apart, .sendersV4, .sendersV6: true
        default: false
        }
    }

    var definition: FirewallSet {
        switch self {
        case .bridges, .masqueradedV4, .masqueradedV6, .routedV4, .routedV6, .unprotectedV4, .unprotectedV6, .internalBridges, .cables,
            .apart:
            FirewallSet(rawValue, key: [.linkName])
        case .sourcesV4: FirewallSet(rawValue, key: [.linkName], value: [.addressV4])
        case .sourcesV6: FirewallSet(rawValue, key: [.linkName], value: [.addressV6])
        case .openPortsV4: FirewallSet(rawValue, key: [.transport, .addressV4, .port])
        case .openPortsV6: FirewallSet(rawValue, key: [.transport, .addressV6, .port])
        case .sameBridge, .talking, .trusted: FirewallSet(rawValue, key: [.linkName, .linkName])
        case .themselvesV4: FirewallSet(rawValue, key: [.addressV4, .addressV4])
        case .themselvesV6: FirewallSet(rawValue, key: [.addressV6, .addressV6])
        case .portsV4: FirewallSet(rawValue, key: [.transport, .addressV4, .port], value: [.addressV4, .port])
        case .portsV6: FirewallSet(rawValue, key: [.transport, .addressV6, .port], value: [.addressV6, .port])
        case .anyPortsV4: FirewallSet(rawValue, key: [.transport, .port], value: [.addressV4, .port])
        case .anyPortsV6: FirewallSet(rawValue, key: [.transport, .port], value: [.addressV6, .port])
        case .forwarded: FirewallSet(rawValue, key: [.transport, .addressV6, .port], value: [.addressV4, .port])
        case .anyForwarded: FirewallSet(rawValue, key: [.transport, .port], value: [.addressV4, .port])
        case .linkAddresses: FirewallSet(rawValue, key: [.linkName, .linkAddress])
        case .addressesV4: FirewallSet(rawValue, key: [.linkName, .addressV4])
        case .addressesV6: FirewallSet(rawValue, key: [.linkName, .addressV6])
        case .sendersV4: FirewallSet(rawValue, key: [.linkName, .linkAddress, .addressV4])
        case .sendersV6: FirewallSet(rawValue, key: [.linkName, .linkAddress, .addressV6])
        }
    }
}

/// What the sets hold. Pure.
struct FirewallElements: Equatable, Sendable {
    private(set) var bySet: [FirewallSetName: Set<FirewallElement>] = [:]

    mutating func insert(_ other: FirewallElements) { for (set, elements) in other.bySet { bySet[set, default: []].formUnion(elements) } }

    mutating func remove(_ other: FirewallElements) { for (set, elements) in other.bySet { bySet[set]?.subtract(elements) } }

    private mutating func insert(_ key: [UInt8], value: [UInt8] = [], into set: FirewallSetName) {
        bySet[set, default: []].insert(FirewallElement(key: key, value: value))
    }

    init() {}

    init(_ network: FirewallNetwork) {
        let link = padded(network.link)
        insert(link, into: .bridges)
        insert(link + link, into: .sameBridge)
        if network.letsContainersTalk { insert(link + link, into: .talking) }
        if network.isInternal {
            insert(link, into: .internalBridges)
            return
        }
        for family in network.masqueraded { insert(link, into: family == .v4 ? .masqueradedV4 : .masqueradedV6) }
        for family in network.routed { insert(link, into: family == .v4 ? .routedV4 : .routedV6) }
        for family in network.unprotected { insert(link, into: family == .v4 ? .unprotectedV4 : .unprotectedV6) }
        for source in network.sources { insert(link, value: source.bytes, into: source.family == .v4 ? .sourcesV4 : .sourcesV6) }
        for trusted in network.trustedLinks { insert(padded(trusted) + link, into: .trusted) }
    }

    init(_ endpoint: FirewallEndpoint) {
        let link = padded(endpoint.link)
        insert(link, into: .cables)
        if endpoint.isApart { insert(link, into: .apart) }
        insert(link + endpoint.linkAddress.bytes + [0, 0], into: .linkAddresses)
        // Who has no address yet asks from none.
        insert(link + [0, 0, 0, 0], into: .addressesV4)
        var hasV6 = false
        for address in endpoint.addresses {
            insert(link + address.bytes, into: address.family == .v4 ? .addressesV4 : .addressesV6)
            let sender = link + endpoint.linkAddress.bytes + [0, 0] + address.bytes
            insert(sender, into: address.family == .v4 ? .sendersV4 : .sendersV6)
            hasV6 = hasV6 || address.family == .v6
        }
        guard hasV6 else { return }
        insert(link + [UInt8](repeating: 0, count: 16), into: .addressesV6)
        insert(link + endpoint.linkAddress.linkLocalAddress.bytes, into: .addressesV6)
    }

    /// Of a container that has a published port: it reaches itself by that.
    init(themselves address: IPAddress) {
        insert(address.bytes + address.bytes, into: address.family == .v4 ? .themselvesV4 : .themselvesV6)
    }
}

extension FirewallPort {
    /// The map that leads there, or the set that opens it.
    var map: FirewallSetName {
        let isV4 = containerAddress.family == .v4
        if isDirect { return isV4 ? .openPortsV4 : .openPortsV6 }
        guard let hostAddress else { return isV4 ? .anyPortsV4 : .anyPortsV6 }
        if isForwarded { return hostAddress.isUnspecified ? .anyForwarded : .forwarded }
        return isV4 ? .portsV4 : .portsV6
    }

    /// Whether somebody else goes on from there, since no packet of IPv6 becomes one of IPv4.
    private var isForwarded: Bool { containerAddress.family == .v4 && hostAddress?.family == .v6 }

    /// What the map holds of it: an element for each port.
    var elements: [FirewallElement] {
        if isDirect {
            let head = [transport.number, 0, 0, 0] + containerAddress.bytes
            return (0..<count).map { FirewallElement(key: head + padded(containerPort + $0)) }
        }
        let keyHead = [transport.number, 0, 0, 0] + (map == .anyForwarded ? [] : hostAddress?.bytes ?? [])
        return (0..<count).map { index in
            FirewallElement(key: keyHead + padded(hostPort + index), value: containerAddress.bytes + padded(containerPort + index))
        }
    }
}

/// A link's name as the kernel compares it: sixteen bytes.
func padded(_ link: String) -> [UInt8] {
    let bytes = Array(link.utf8.prefix(15))
    return bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
}

private func padded(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(port & 0xff), 0, 0] }
