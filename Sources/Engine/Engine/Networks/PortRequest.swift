internal import CoreTypes
internal import EngineAPI
internal import Networking

/// What a container asks of the host's ports. Pure.
struct PortRequest: Equatable, Sendable {
    var transport: TransportProtocol
    var containerPort: UInt16
    /// Nil is every address.
    var hostAddress: IPAddress?
    /// The first free one of these; nil is any that is free. Of several ports in a row, these in their order.
    var hostPorts: ClosedRange<UInt16>?
    /// How many ports of the container, from `containerPort` on.
    var count: UInt16 = 1

    /// What `-p`, `-P` and the exposed ports ask for, in the order of the container's ports.
    /// - Parameter runs: those of them that are many in a row, where that is known.
    /// - Throws: `.invalidParameter` in Docker's words.
    static func all(_ config: ContainerConfig, _ host: HostConfig, runs: PortRuns? = nil) throws(EngineError) -> [PortRequest] {
        var requests: [PortRequest] = []
        for run in runs?.published ?? [] { requests += try run.requests }
        for (key, bindings) in runs?.otherBindings ?? host.portBindings {
            let (port, transport) = try Self.port(key)
            for binding in bindings ?? [] {
                requests.append(
                    PortRequest(
                        transport: transport, containerPort: port, hostAddress: try address(binding.hostIP),
                        hostPorts: try range(binding.hostPort)))
            }
        }
        if host.publishAllPorts {
            let isBound = { (key: String) in host.portBindings[key].flatMap(\.self)?.isEmpty == false }
            for key in config.exposedPorts.keys where !isBound(key) && !isBound("\(key)/tcp") {
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

    /// Reads `80/tcp`, `80`, or `80-90/udp`.
    static func ports(_ key: String) throws(EngineError) -> (numbers: ClosedRange<UInt16>, transport: TransportProtocol) {
        let parts = key.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let numbers = try range(parts[0]) else { throw EngineError(.invalidParameter, "invalid port specification: \"\(key)\"") }
        return (numbers, try port("\(numbers.lowerBound)/\(parts.count == 2 ? parts[1] : "tcp")").1)
    }

    private static func number(_ text: String) -> UInt16? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(text), number > 0 else { return nil }
        return number
    }

    static func address(_ text: String) throws(EngineError) -> IPAddress? {
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
