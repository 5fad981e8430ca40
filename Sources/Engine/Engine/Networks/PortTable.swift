internal import CoreTypes
internal import LinuxSyscalls
internal import NameService
internal import Networking
internal import SystemPackage

/// Which ports of the host lead into containers. A value: the actor of the networks owns it.
struct PortTable: Sendable {
    private struct Place: Hashable {
        let transport: TransportProtocol
        let address: IPAddress
    }

    /// Ports that are taken, by the address that they are taken on.
    private var taken: [Place: PortSet] = [:]
    /// Where the search for any free port goes on.
    private var next: [TransportProtocol: UInt16] = [:]
    /// Where ports come from that nobody names: the kernel's own choice of such.
    private let anyPorts: ClosedRange<UInt16>
    /// Whether the host has IPv6, `::1` at least, by which containers are reached that have IPv4 alone.
    private let hasLoopbackV6: Bool

    init(anyPorts: ClosedRange<UInt16> = 32_768...60_999, hasLoopbackV6: Bool = false) {
        self.anyPorts = anyPorts
        self.hasLoopbackV6 = hasLoopbackV6
    }

    /// Takes the ports that a container asks for, all or none.
    /// - Parameters:
    ///   - families: those in which the container has an address that the host reaches.
    ///   - routed: those of them in which it is reached at its own address instead.
    ///   - defaultAddress: where ports are published for which nothing else is asked; nil is every address.
    ///   - ownPort: of IPv6, where connections to other ports are led on from: it is in nobody's way who asks for more than IPv6.
    mutating func take(
        _ requests: [PortRequest], families: [IPAddress.Family], routed: [IPAddress.Family] = [], defaultAddress: IPAddress? = nil,
        besides ownPort: UInt16? = nil
    ) throws(EngineError) -> [PublishedPort] {
        // On internal networks alone nothing is published, as with Docker, whatever address is named.
        if families.isEmpty && routed.isEmpty { return [] }
        let translated = families.filter { !routed.contains($0) }
        var published: [PublishedPort] = []
        do throws(EngineError) {
            for var request in requests {
                request.hostAddress = request.hostAddress ?? defaultAddress
                var places = routed.filter { request.hostAddress.map(\.family) ?? $0 == $0 }.map(request.direct)
                if places.isEmpty || request.hostAddress == nil {
                    places += try take(
                        request, families: translated, isLedFromV6: families == [.v4] && routed.isEmpty,
                        besides: request.hostAddress == .loopbackV6 || request.hostAddress?.family == .v6 && !translated.contains(.v6)
                            ? nil : ownPort)
                }
                published += places.sorted { !$0.hostAddress.contains(":") && $1.hostAddress.contains(":") }
            }
        } catch {
            release(published)
            throw error
        }
        return published
    }

    /// - Parameter isLedFromV6: whether who asks by IPv6 is led to the container's IPv4 address, which is told as `::`, as Docker's is.
    private mutating func take(
        _ request: PortRequest, families: [IPAddress.Family], isLedFromV6: Bool, besides ownPort: UInt16?
    ) throws(EngineError) -> [PublishedPort] {
        let isLedFromV6 = isLedFromV6 && hasLoopbackV6 && request.transport != .sctp
        let addresses: [IPAddress]
        if let asked = request.hostAddress {
            // From IPv6 the server goes on by whatever family the container has.
            let isForwarded = asked.family == .v6 && families.contains(.v4) && request.transport != .sctp
            guard families.contains(asked.family) || isForwarded else {
                throw EngineError(
                    .invalidParameter,
                    "cannot publish port \(request.containerPort)/\(request.transport.rawValue) on \(asked): the container has no "
                        + "\(asked.family == .v4 ? "IPv4" : "IPv6") address that the host reaches")
            }
            addresses = [asked]
        } else {
            addresses = (families + (isLedFromV6 ? [.v6] : [])).map { IPAddress($0, bits: 0) }
        }
        if addresses.isEmpty { return [] }
        var refusal: EngineError?
        for ports in candidates(request) where request.hostPorts != nil || ports.lowerBound != ownPort {
            do throws(EngineError) {
                try check(request.transport, addresses, ports, besides: ownPort, isLedFromV6: isLedFromV6)
                // Whoever asks for all of IPv4 has `::1` as well, which no program of the host is to lose by it.
                if isLedFromV6, addresses == [IPAddress(.v4, bits: 0)] {
                    try checkPrograms(request.transport, .loopbackV6, ports, besides: ownPort, isLedFromV6: true)
                }
                for address in addresses { taken[Place(transport: request.transport, address: address), default: PortSet()].insert(ports) }
                if request.hostPorts == nil {
                    next[request.transport] = ports.upperBound >= anyPorts.upperBound ? anyPorts.lowerBound : ports.upperBound + 1
                }
                return addresses.map {
                    PublishedPort(
                        transport: request.transport, hostAddress: $0.description, hostPort: ports.lowerBound,
                        containerPort: request.containerPort, count: request.count > 1 ? request.count : nil)
                }
            } catch { refusal = error }
        }
        throw refusal ?? EngineError(.system, "all ports are allocated")
    }

    /// What is tried, in this order.
    private func candidates(_ request: PortRequest) -> [ClosedRange<UInt16>] {
        if let range = request.hostPorts { return request.count > 1 ? [range] : range.map { $0...$0 } }
        let start = next[request.transport] ?? anyPorts.lowerBound
        let ports = Array(start...anyPorts.upperBound) + (start > anyPorts.lowerBound ? Array(anyPorts.lowerBound...(start - 1)) : [])
        return ports.map { $0...$0 }
    }

    /// - Throws: Docker's words where a container, or another program of the host, has one of the ports.
    private func check(
        _ transport: TransportProtocol, _ addresses: [IPAddress], _ ports: ClosedRange<UInt16>, besides ownPort: UInt16?, isLedFromV6: Bool
    ) throws(EngineError) {
        for address in addresses {
            for (other, set) in taken where other.transport == transport && other.address.family == address.family {
                guard other.address == address || other.address.isUnspecified || address.isUnspecified else { continue }
                guard let port = set.first(in: ports) else { continue }
                throw EngineError(.system, "Bind for \(Self.place(address, port)) failed: port is already allocated")
            }
            let isToldOnly = isLedFromV6 && address == IPAddress(.v6, bits: 0)
            try checkPrograms(transport, address, ports, besides: ownPort, isLedFromV6: isToldOnly)
        }
    }

    private func checkPrograms(
        _ transport: TransportProtocol, _ address: IPAddress, _ ports: ClosedRange<UInt16>, besides ownPort: UInt16?, isLedFromV6: Bool
    ) throws(EngineError) {
        guard let (port, error) = HostPorts.refusal(transport, address, ports, besides: address.family == .v6 ? ownPort : nil) else {
            return
        }
        // A host that has lost its `::1` meanwhile publishes by IPv4 alone.
        if isLedFromV6, ![.addressInUse, .permissionDenied].contains(Errno(rawValue: error.errno)) { return }
        throw EngineError(
            .system, "failed to bind host port for \(Self.place(address, port))/\(transport.rawValue): \(error.message)", cause: error)
    }

    private static func place(_ address: IPAddress, _ port: UInt16) -> String {
        address.family == .v4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }

    /// Takes ports in that a container has had since before this daemon.
    mutating func adopt(_ ports: [PublishedPort]) {
        for port in ports where port.isDirect == nil {
            guard let address = IPAddress(port.hostAddress) else { continue }
            taken[Place(transport: port.transport, address: address), default: PortSet()].insert(port.hostPorts)
        }
    }

    /// Gives back what `take` or `adopt` took.
    mutating func release(_ ports: [PublishedPort]) {
        for port in ports where port.isDirect == nil {
            guard let address = IPAddress(port.hostAddress) else { continue }
            let place = Place(transport: port.transport, address: address)
            taken[place]?.remove(port.hostPorts)
            if taken[place]?.isEmpty == true { taken[place] = nil }
        }
    }
}

extension PortRequest {
    /// What is told of it where the container is reached at its own address: the host's port is not asked for, and its address says the
    /// family alone.
    fileprivate func direct(_ family: IPAddress.Family) -> PublishedPort {
        PublishedPort(
            transport: transport, hostAddress: IPAddress(family, bits: 0).description, hostPort: containerPort,
            containerPort: containerPort, count: count > 1 ? count : nil, isDirect: true)
    }
}

/// A set of port numbers, a bit for each: asking for a range costs the same whatever is in it.
private struct PortSet: Sendable {
    private var words = [UInt64](repeating: 0, count: 1024)

    var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    mutating func insert(_ ports: ClosedRange<UInt16>) { for (word, mask) in Self.masks(ports) { words[word] |= mask } }

    mutating func remove(_ ports: ClosedRange<UInt16>) { for (word, mask) in Self.masks(ports) { words[word] &= ~mask } }

    /// The lowest of them that is in the set.
    func first(in ports: ClosedRange<UInt16>) -> UInt16? {
        for (word, mask) in Self.masks(ports) where words[word] & mask != 0 {
            return UInt16(word * 64 + (words[word] & mask).trailingZeroBitCount)
        }
        return nil
    }

    /// The words that a range lies in, with its bits of each.
    private static func masks(_ ports: ClosedRange<UInt16>) -> [(word: Int, mask: UInt64)] {
        let (low, high) = (Int(ports.lowerBound), Int(ports.upperBound))
        return (low / 64...high / 64).map { word in
            let from = UInt64.max << UInt64(max(low - word * 64, 0))
            let to = UInt64.max >> UInt64(max(word * 64 + 63 - high, 0))
            return (word, from & to)
        }
    }
}
