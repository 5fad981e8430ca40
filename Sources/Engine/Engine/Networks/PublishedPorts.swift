internal import CoreTypes
internal import EngineAPI
internal import NameService
internal import Networking
internal import SystemPackage

/// A port of the host that leads into a container while it runs, or several in a row.
struct PublishedPort: Codable, Equatable, Hashable, Sendable {
    var transport: TransportProtocol
    /// `0.0.0.0` and `::` are every address of their family.
    var hostAddress: String
    var hostPort: UInt16
    var containerPort: UInt16
    /// So many, where they are more than one: each leads to the one that lies as far from `containerPort`.
    var count: UInt16?
    /// Whether it is one of the container's own addresses and no port of the host, of which `hostPort` then says nothing; nil for no.
    var isDirect: Bool?

    /// The key of the API's maps, of a single one: `80/tcp`.
    var key: String { "\(containerPort)/\(transport.rawValue)" }

    var hostPorts: ClosedRange<UInt16> { hostPort...(hostPort + ((count ?? 1) - 1)) }

    /// Each for itself.
    var singles: [PublishedPort] {
        if count == nil { return [self] }
        return (0..<(count ?? 1)).map {
            PublishedPort(
                transport: transport, hostAddress: hostAddress, hostPort: hostPort + $0, containerPort: containerPort + $0, count: nil,
                isDirect: isDirect)
        }
    }

    /// Whether the numbers are ports: of what a file says.
    var isSound: Bool {
        let last = Int(count ?? 1) - 1
        return count != 0 && hostPort > 0 && containerPort > 0 && Int(max(hostPort, containerPort)) + last <= Int(UInt16.max)
    }
}

extension NetworkAttachment {
    /// Families in which something of the host's leads to the container.
    static func reachableFamilies(_ endpoints: [EndpointRecord]) -> [IPAddress.Family] {
        [(IPAddress.Family.v4, \EndpointRecord.ipv4), (.v6, \EndpointRecord.ipv6)].filter { endpoints.publishingEndpoint($0.1) != nil }.map(
            \.0)
    }

    /// Takes the ports away where nothing of the host's leads to any endpoint. - Returns: those that it takes away.
    mutating func withdrawPorts() -> [PublishedPort] {
        guard let former = ports, !former.isEmpty, Self.reachableFamilies(endpoints).isEmpty else { return [] }
        ports = []
        return former
    }

    /// The container's address that a port published on an address of the host leads to.
    private func publishedAddress(for host: IPAddress) -> IPAddress? {
        func address(_ family: KeyPath<EndpointRecord, EndpointAddress>) -> IPAddress? {
            endpoints.publishingEndpoint(family).flatMap { IPAddress($0[keyPath: family].address) }
        }
        if host.family == .v4 { return address(\.ipv4) }
        return address(\.ipv6) ?? address(\.ipv4)
    }

    /// Where addresses of the host lead that ports are published on. Each is read once, however many ports there are.
    private var ways: [String: (host: IPAddress, inside: IPAddress)] {
        var found: [String: (host: IPAddress, inside: IPAddress)] = [:]
        for text in Set((ports ?? []).map(\.hostAddress)) {
            guard let host = IPAddress(text), let inside = publishedAddress(for: host) else { continue }
            found[text] = (host, inside)
        }
        return found
    }

    /// Ports that the kernel cannot lead on: of a container that has IPv4 alone those of IPv6 addresses of the host; of one that has IPv6 those that
    /// lead from `::1` elsewhere than to the same port of 127.0.0.1, of that address alone and of IPv6 alone.
    var forwardedPorts: [NameEntry.ForwardedPort] {
        let ways = ways.filter { _, way in
            way.host.family == .v6 && (way.inside.family == .v4 || way.host == .loopbackV6 || way.host.isUnspecified)
        }
        if ways.isEmpty { return [] }
        let ports = (ports ?? []).filter { $0.isDirect == nil }
        return ports.filter { $0.transport != .sctp }.flatMap { port -> [NameEntry.ForwardedPort] in
            guard let way = ways[port.hostAddress] else { return [] }
            let isForwarded = way.inside.family == .v4
            // What all of IPv4 has as well is gone on to by that, where that is all.
            let everywhere = ports.filter { other in
                !isForwarded && way.host != .loopbackV6 && other.hostAddress == "0.0.0.0" && other.transport == port.transport
                    && other.hostPorts.overlaps(port.hostPorts)
            }
            if everywhere.contains(where: { $0.hostPorts == port.hostPorts }) { return [] }
            let parts =
                everywhere.isEmpty
                ? [port]
                : port.singles.filter { one in
                    !everywhere.contains { $0.hostPorts.contains(one.hostPort) }
                }
            return parts.map { part in
                NameEntry.ForwardedPort(
                    isStream: part.transport == .tcp, hostAddress: isForwarded ? way.host : .loopbackV6, hostPort: part.hostPort,
                    address: way.inside, containerPort: part.containerPort, count: part.count ?? 1)
            }
        }
    }

    /// What the firewall must know of the published ports.
    var firewallPorts: [FirewallPort] {
        let ways = ways
        return (ports ?? []).filter { $0.isDirect == nil }.compactMap { port in
            guard let way = ways[port.hostAddress] else { return nil }
            let isEverywhere = way.host.isUnspecified && way.host.family == way.inside.family
            return FirewallPort(
                transport: port.transport, hostAddress: isEverywhere ? nil : way.host, hostPort: port.hostPort,
                containerAddress: way.inside, containerPort: port.containerPort, count: port.count ?? 1)
        } + openPorts
    }

    /// Published ports at the container's own addresses, on networks where they are reached there. Which address of the host a port is
    /// published on says of what family it is.
    private var openPorts: [FirewallPort] {
        endpoints.filter { !$0.isInternal && !$0.hostLink.isEmpty }.flatMap { endpoint in
            let addresses = [endpoint.opensV4 == true ? endpoint.ipv4 : nil, endpoint.opensV6 == true ? endpoint.ipv6 : nil]
            return addresses.compactMap { $0.flatMap { IPAddress($0.address) } }.flatMap { address in
                (ports ?? []).filter { IPAddress($0.hostAddress)?.family == address.family }.map { port in
                    var open = FirewallPort(
                        transport: port.transport, hostAddress: nil, hostPort: port.containerPort, containerAddress: address,
                        containerPort: port.containerPort, count: port.count ?? 1)
                    open.isDirect = true
                    return open
                }
            }
        }
    }

    /// Ports as inspect tells of them: those that are exposed only have no place.
    func portMap(exposed: some Sequence<String>) -> PortMap {
        var map: PortMap = [:]
        for key in exposed { map.updateValue(nil, forKey: key.contains("/") ? key : "\(key)/tcp") }
        for port in (ports ?? []).flatMap(\.singles) {
            var binding = PortBinding()
            binding.hostIP = port.hostAddress
            binding.hostPort = port.isDirect == nil ? String(port.hostPort) : ""
            map.updateValue((map[port.key].flatMap(\.self) ?? []) + [binding], forKey: port.key)
        }
        return map
    }
}

extension [EndpointRecord] {
    /// The endpoint that published ports lead to: the first by precedence on a bridge that is not closed.
    func publishingEndpoint(_ family: KeyPath<EndpointRecord, EndpointAddress>) -> EndpointRecord? {
        byPrecedence.first { !$0.isInternal && !$0.hostLink.isEmpty && !$0[keyPath: family].address.isEmpty }
    }
}
