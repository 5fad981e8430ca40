internal import CoreTypes
internal import EngineAPI
internal import Networking

/// Ports that follow each other, published or exposed in one go: `-p 8000-8999:8000-8999` is a thousand entries of the API's maps, and one
/// of these. What a container's record says of its ports, and what a start works with, does not grow with their number.
struct PortRuns: Codable, Equatable, Sendable {
    /// Ports of the container in a row.
    struct Run: Codable, Equatable, Sendable {
        /// Where on the host the first one is published; the others follow it there.
        struct Place: Codable, Equatable, Sendable {
            var hostIP: String
            var hostPort: UInt16
        }

        var transport: TransportProtocol
        var first: UInt16
        var count: UInt16
        /// Empty where they are exposed only.
        var places: [Place] = []
    }

    /// So many at least are told of together.
    private static let minimumCount = 16

    var published: [Run] = []
    var exposed: [Run] = []
    /// Entries of the maps that are in none of these.
    var otherBindings: PortMap = [:]
    var otherExposed: [String] = []

    /// nil where nothing is so many.
    init?(bindings: PortMap, exposed: [String: EmptyObject]) {
        guard max(bindings.count, exposed.count) >= Self.minimumCount else { return nil }
        let single = bindings.compactMap { key, value in Run(key: key, bindings: value ?? []) }
        let named = exposed.keys.compactMap { Run(key: $0, bindings: nil) }
        (published, self.exposed) = (Self.joined(single), Self.joined(named))
        guard !published.isEmpty || !self.exposed.isEmpty else { return nil }
        let bound = Set(published.flatMap(\.keys))
        otherBindings = bindings.filter { !bound.contains($0.key) }
        otherExposed = Set(exposed.keys).subtracting(self.exposed.flatMap(\.keys)).sorted()
    }

    private static func joined(_ runs: [Run]) -> [Run] {
        var joined: [Run] = []
        for run in runs.sorted(by: { ($0.transport.number, $0.first) < ($1.transport.number, $1.first) }) {
            if let last = joined.last, last.continues(with: run) {
                joined[joined.count - 1].count += 1
            } else {
                joined.append(run)
            }
        }
        return joined.filter { $0.count >= minimumCount }
    }

    /// Whether the numbers are ports: of what a record says.
    var isSound: Bool {
        (published + exposed).allSatisfy { run in
            let firsts = [run.first] + run.places.map(\.hostPort)
            return run.count > 0 && firsts.allSatisfy { $0 > 0 && Int($0) + Int(run.count) - 1 <= Int(UInt16.max) }
        }
    }

    /// The API's map of published ports.
    var bindings: PortMap {
        var map = otherBindings
        for run in published {
            for (index, key) in run.keys.enumerated() {
                let bindings = run.places.map { place in
                    var binding = PortBinding()
                    binding.hostIP = place.hostIP
                    binding.hostPort = String(place.hostPort + UInt16(index))
                    return binding
                }
                map.updateValue(bindings, forKey: key)
            }
        }
        return map
    }

    /// The API's set of exposed ports.
    var exposedPorts: [String: EmptyObject] {
        Dictionary((exposed.flatMap(\.keys) + otherExposed).map { ($0, EmptyObject()) }, uniquingKeysWith: { first, _ in first })
    }
}

extension PortRuns.Run {
    /// Of one port; nil for a key or a place that is not written as it would be written back.
    fileprivate init?(key: String, bindings: [PortBinding]?) {
        guard let (port, transport) = try? PortRequest.port(key), key == "\(port)/\(transport.rawValue)" else { return nil }
        (self.transport, first, count) = (transport, port, 1)
        guard let bindings else { return }
        for binding in bindings {
            guard let port = UInt16(binding.hostPort), port > 0, binding.hostPort == String(port) else { return nil }
            places.append(Place(hostIP: binding.hostIP, hostPort: port))
        }
        if places.isEmpty { return nil }
    }

    fileprivate func continues(with next: Self) -> Bool {
        func follows(_ next: UInt16, _ first: UInt16) -> Bool { Int(next) == Int(first) + Int(count) }
        return transport == next.transport && follows(next.first, first) && places.count == next.places.count
            && zip(places, next.places).allSatisfy { $0.hostIP == $1.hostIP && follows($1.hostPort, $0.hostPort) }
    }

    /// Keys of the API's maps.
    var keys: [String] { (0..<count).map { "\(first + $0)/\(transport.rawValue)" } }

    /// What is asked of the host's ports.
    var requests: [PortRequest] {
        get throws(EngineError) {
            try places.map { place throws(EngineError) in
                PortRequest(
                    transport: transport, containerPort: first, hostAddress: try PortRequest.address(place.hostIP),
                    hostPorts: place.hostPort...(place.hostPort + (count - 1)), count: count)
            }
        }
    }
}
