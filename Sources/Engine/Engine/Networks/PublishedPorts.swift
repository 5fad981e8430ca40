internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import NameService
internal import Networking
internal import SystemPackage

/// A port of the host that leads into a container while it runs.
struct PublishedPort: Codable, Equatable, Hashable, Sendable {
    var transport: TransportProtocol
    /// `0.0.0.0` and `::` are every address of their family.
    var hostAddress: String
    var hostPort: UInt16
    var containerPort: UInt16

    /// The key of the API's maps: `80/tcp`.
    var key: String { "\(containerPort)/\(transport.rawValue)" }
}

/// What a container asks of the host's ports. Pure.
struct PortRequest: Equatable, Sendable {
    var transport: TransportProtocol
    var containerPort: UInt16
    /// Nil is every address.
    var hostAddress: IPAddress?
    /// The first free one of these; nil is any that is free.
    var hostPorts: ClosedRange<UInt16>?

    /// What `-p`, `-P` and the exposed ports ask for, in the order of the container's ports.
    /// - Throws: `.invalidParameter` in Docker's words.
    static func all(_ config: ContainerConfig, _ host: HostConfig) throws(EngineError) -> [PortRequest] {
        var requests: [PortRequest] = []
        let bound = host.portBindings.filter { $0.value?.isEmpty == false }
        for (key, bindings) in bound {
            let (port, transport) = try Self.port(key)
            for binding in bindings ?? [] {
                requests.append(
                    PortRequest(
                        transport: transport, containerPort: port, hostAddress: try address(binding.hostIP),
                        hostPorts: try range(binding.hostPort)))
            }
        }
        if host.publishAllPorts {
            for key in config.exposedPorts.keys where bound[key] == nil && bound["\(key)/tcp"] == nil {
                let (port, transport) = try Self.port(key)
                requests.append(PortRequest(transport: transport, containerPort: port, hostAddress: nil, hostPorts: nil))
            }
        }
        // Who names a port gets it before who takes any.
        return requests.sorted { left, right in
            (left.hostPorts == nil ? 1 : 0, left.containerPort, left.transport.rawValue) < (
                right.hostPorts == nil ? 1 : 0, right.containerPort, right.transport.rawValue
            )
        }
    }

    /// Reads `80/tcp`, or `80`.
    static func port(_ key: String) throws(EngineError) -> (UInt16, TransportProtocol) {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), let number = number(parts[0]) else {
            throw EngineError(.invalidParameter, "invalid port specification: \"\(key)\"")
        }
        guard let transport = TransportProtocol(rawValue: parts.count == 2 ? parts[1].lowercased() : "tcp") else {
            throw EngineError(.invalidParameter, "invalid proto: \(parts[1])")
        }
        return (number, transport)
    }

    private static func number(_ text: String) -> UInt16? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(text), number > 0 else { return nil }
        return number
    }

    private static func address(_ text: String) throws(EngineError) -> IPAddress? {
        if text.isEmpty { return nil }
        guard let address = IPAddress(text) else { throw EngineError(.invalidParameter, "invalid IP address in port binding: \(text)") }
        return address
    }

    private static func range(_ text: String) throws(EngineError) -> ClosedRange<UInt16>? {
        if text.isEmpty || text == "0" { return nil }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), let low = number(parts[0]), let high = number(parts[parts.count - 1]), low <= high else {
            throw EngineError(.invalidParameter, "invalid port specification: \"\(text)\"")
        }
        return low...high
    }
}

/// Which ports of the host lead into containers. A value: the actor of the networks owns it.
struct PortTable: Sendable {
    private struct Place: Hashable {
        let transport: TransportProtocol
        let port: UInt16
    }

    /// Addresses by port, with the container that has each.
    private var taken: [Place: [IPAddress: String]] = [:]
    /// Where the search for any free port goes on.
    private var next: [TransportProtocol: UInt16] = [:]
    /// Where ports come from that nobody names: the kernel's own choice of such.
    private let anyPorts: ClosedRange<UInt16>

    init(anyPorts: ClosedRange<UInt16> = 32_768...60_999) { self.anyPorts = anyPorts }

    /// Takes the ports that a container asks for, all or none.
    /// - Parameters:
    ///   - families: those in which the container has an address that the host reaches.
    ///   - defaultAddress: where ports are published for which nothing else is asked; nil is every address.
    mutating func take(
        _ requests: [PortRequest], for owner: String, families: [IPAddress.Family], defaultAddress: IPAddress? = nil
    ) throws(EngineError) -> [PublishedPort] {
        var published: [PublishedPort] = []
        do throws(EngineError) {
            for var request in requests {
                request.hostAddress = request.hostAddress ?? defaultAddress
                published += try take(request, for: owner, families: families)
            }
        } catch {
            release(published, of: owner)
            throw error
        }
        return published
    }

    private mutating func take(_ request: PortRequest, for owner: String, families: [IPAddress.Family]) throws(EngineError)
        -> [PublishedPort]
    {
        let addresses: [IPAddress]
        if let asked = request.hostAddress {
            // To `::1` the server goes on by whatever family the container has.
            guard families.contains(asked.family) || asked == .loopbackV6 && families.contains(.v4) else {
                throw EngineError(
                    .invalidParameter,
                    "cannot publish port \(request.containerPort)/\(request.transport.rawValue) on \(asked): the container has no "
                        + "\(asked.family == .v4 ? "IPv4" : "IPv6") address that the host reaches")
            }
            addresses = [asked]
        } else {
            addresses = families.map { IPAddress($0, bits: 0) }
        }
        if addresses.isEmpty { return [] }
        var refusal: EngineError?
        for port in candidates(request) {
            do throws(EngineError) {
                try check(request, addresses, port)
                for address in addresses { taken[Place(transport: request.transport, port: port), default: [:]][address] = owner }
                if request.hostPorts == nil { next[request.transport] = port == anyPorts.upperBound ? anyPorts.lowerBound : port + 1 }
                return addresses.map {
                    PublishedPort(
                        transport: request.transport, hostAddress: $0.description, hostPort: port, containerPort: request.containerPort)
                }
            } catch { refusal = error }
        }
        throw refusal ?? EngineError(.system, "all ports are allocated")
    }

    private func candidates(_ request: PortRequest) -> [UInt16] {
        if let range = request.hostPorts { return Array(range) }
        let start = next[request.transport] ?? anyPorts.lowerBound
        return Array(start...anyPorts.upperBound) + (start > anyPorts.lowerBound ? Array(anyPorts.lowerBound...(start - 1)) : [])
    }

    /// - Throws: Docker's words where a container, or another program of the host, has the port.
    private func check(_ request: PortRequest, _ addresses: [IPAddress], _ port: UInt16) throws(EngineError) {
        let others = taken[Place(transport: request.transport, port: port)] ?? [:]
        for address in addresses {
            let place = address.family == .v4 ? "\(address):\(port)" : "[\(address)]:\(port)"
            if others.keys.contains(where: { $0.family == address.family && ($0 == address || $0.isUnspecified || address.isUnspecified) })
            {
                throw EngineError(.system, "Bind for \(place) failed: port is already allocated")
            }
            do throws(SyscallError) { try probePort(request.transport.number, address: address.bytes, port: port) } catch {
                throw EngineError(
                    .system, "failed to bind host port for \(place)/\(request.transport.rawValue): \(error.message)", cause: error)
            }
        }
    }

    /// Takes ports in that a container has had since before this daemon.
    mutating func adopt(_ ports: [PublishedPort], of owner: String) {
        for port in ports {
            guard let address = IPAddress(port.hostAddress) else { continue }
            taken[Place(transport: port.transport, port: port.hostPort), default: [:]][address] = owner
        }
    }

    mutating func release(_ ports: [PublishedPort], of owner: String) {
        for port in ports {
            guard let address = IPAddress(port.hostAddress) else { continue }
            let place = Place(transport: port.transport, port: port.hostPort)
            if taken[place]?[address] == owner { taken[place]?[address] = nil }
            if taken[place]?.isEmpty == true { taken[place] = nil }
        }
    }
}

extension NetworkAttachment {
    /// Families in which something of the host's leads to the container.
    static func reachableFamilies(_ endpoints: [EndpointRecord]) -> [IPAddress.Family] {
        [(IPAddress.Family.v4, \EndpointRecord.ipv4), (.v6, \EndpointRecord.ipv6)].filter { endpoints.publishingEndpoint($0.1) != nil }.map(
            \.0)
    }

    /// The container's address that a port published on an address of the host leads to.
    private func publishedAddress(for host: IPAddress) -> IPAddress? {
        func address(_ family: KeyPath<EndpointRecord, EndpointAddress>) -> IPAddress? {
            endpoints.publishingEndpoint(family).flatMap { IPAddress($0[keyPath: family].address) }
        }
        if host.family == .v4 { return address(\.ipv4) }
        return address(\.ipv6) ?? (host == .loopbackV6 ? address(\.ipv4) : nil)
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

    /// Ports that lead from `::1` elsewhere than to the same port of 127.0.0.1: those of that address alone, and of IPv6 alone.
    var loopbackPorts: [NameEntry.LoopbackPort] {
        let ways = ways.filter { [.loopbackV6, IPAddress(.v6, bits: 0)].contains($0.value.host) }
        if ways.isEmpty { return [] }
        let ports = ports ?? []
        let everywhere = Set(ports.filter { $0.hostAddress == "0.0.0.0" }.map { [$0.transport.rawValue, String($0.hostPort)] })
        return ports.compactMap { port in
            guard port.transport != .sctp, let way = ways[port.hostAddress],
                way.host == .loopbackV6 || !everywhere.contains([port.transport.rawValue, String(port.hostPort)])
            else { return nil }
            return NameEntry.LoopbackPort(
                isStream: port.transport == .tcp, hostPort: port.hostPort, address: way.inside, containerPort: port.containerPort)
        }
    }

    /// What the firewall must know of the published ports.
    var firewallPorts: [FirewallPort] {
        let ways = ways
        return (ports ?? []).compactMap { port in
            guard let way = ways[port.hostAddress] else { return nil }
            return FirewallPort(
                transport: port.transport, hostAddress: way.host.isUnspecified ? nil : way.host, hostPort: port.hostPort,
                containerAddress: way.inside, containerPort: port.containerPort)
        }
    }

    /// Ports as inspect tells of them: those that are exposed only have no place.
    func portMap(exposed: some Sequence<String>) -> PortMap {
        var map: PortMap = [:]
        for key in exposed { map.updateValue(nil, forKey: key.contains("/") ? key : "\(key)/tcp") }
        for port in ports ?? [] {
            var binding = PortBinding()
            binding.hostIP = port.hostAddress
            binding.hostPort = String(port.hostPort)
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
