internal import CoreTypes

/// Who is called what on which network. Pure.
struct NameTable: Sendable {
    /// What there is to say to a question.
    enum Finding: Equatable, Sendable {
        /// Addresses of both families, each asker's first another one.
        case addresses([IPAddress])
        case name(SpelledName)
        /// The name is a container's, and it has no record of this type.
        case nothing
        /// Somebody else may know.
        case unknown
    }

    private struct Holder: Sendable {
        let container: String
        let addresses: [IPAddress]
    }

    /// Who has one name.
    private struct Holders: Sendable {
        var all: [Holder] = []
        /// Who comes first in the next answer, for each type of question: a resolver asks for addresses of both families at once, and each of its
        /// questions is to find another one first.
        private var turns: [RecordType: Int] = [:]

        /// Their addresses that a question of this type asks for.
        mutating func addresses(_ type: RecordType) -> [IPAddress] {
            let asked = all.map { $0.addresses.filter { type.asks(for: $0.family) } }.filter { !$0.isEmpty }
            if asked.isEmpty { return [] }
            let turn = turns[type] ?? 0
            turns[type] = turn &+ 1
            let start = Int(UInt(bitPattern: turn) % UInt(asked.count))
            return Array((asked[start...] + asked[..<start]).joined())
        }
    }

    private struct Network: Sendable {
        var holders: [DomainName: Holders] = [:]
        /// Whom addresses lead back to.
        var names: [IPAddress: SpelledName] = [:]
    }

    /// A port of an address of the host.
    private struct ForwardedPlace: Hashable {
        let isStream: Bool
        let address: IPAddress
        let port: UInt16
    }

    private var entries: [String: NameEntry] = [:]
    private var forwardedPorts: [ForwardedPlace: NameEntry.ForwardedPort] = [:]
    /// Those of several in a row: few, however many ports they are.
    private var forwardedRanges: [NameEntry.ForwardedPort] = []
    private var networks: [String: Network] = [:]

    var isEmpty: Bool { entries.isEmpty }
    var containers: some Collection<String> { entries.keys }
    subscript(container: String) -> NameEntry? { entries[container] }

    /// Takes a container in, in place of what was known of it.
    mutating func insert(_ entry: NameEntry, of container: String) {
        remove(container)
        entries[container] = entry
        for port in entry.forwardedPorts where port.count == 1 { forwardedPorts[Self.place(port)] = port }
        forwardedRanges += entry.forwardedPorts.filter { $0.count > 1 }
        for membership in entry.memberships {
            var network = networks[membership.network] ?? Network()
            let holder = Holder(container: container, addresses: membership.addresses)
            for name in Set(membership.names.compactMap { DomainName($0) }) { network.holders[name, default: Holders()].all.append(holder) }
            if let first = membership.names.first, let name = SpelledName("\(first).\(membership.networkName)") {
                for address in membership.addresses { network.names[address] = name }
            }
            networks[membership.network] = network
        }
    }

    mutating func remove(_ container: String) {
        guard let entry = entries.removeValue(forKey: container) else { return }
        forwardedRanges.removeAll(where: entry.forwardedPorts.contains)
        for port in entry.forwardedPorts where port.count == 1 && forwardedPorts[Self.place(port)] == port {
            forwardedPorts[Self.place(port)] = nil
        }
        for membership in entry.memberships {
            guard var network = networks[membership.network] else { continue }
            for name in Set(membership.names.compactMap { DomainName($0) }) {
                network.holders[name]?.all.removeAll { $0.container == container }
                if network.holders[name]?.all.isEmpty == true { network.holders[name] = nil }
            }
            for address in membership.addresses { network.names[address] = nil }
            networks[membership.network] = network.holders.isEmpty ? nil : network
        }
    }

    private static func place(_ port: NameEntry.ForwardedPort) -> ForwardedPlace {
        ForwardedPlace(isStream: port.isStream, address: port.hostAddress, port: port.hostPort)
    }

    /// Where a port of an IPv6 address of the host leads; nil for one that no container has of it.
    func target(_ port: UInt16, at address: IPAddress, isStream: Bool) -> (address: IPAddress, port: UInt16)? {
        let addresses = [address, IPAddress(.v6, bits: 0)]
        return addresses.lazy.compactMap { forwardedPorts[ForwardedPlace(isStream: isStream, address: $0, port: port)]?.target(port) }.first
            ?? forwardedRanges.lazy.filter { $0.isStream == isStream && addresses.contains($0.hostAddress) }.compactMap { $0.target(port) }
            .first
    }

    /// What a container is told: of its own networks only.
    mutating func find(_ question: NameQuestion, for container: String) -> Finding {
        guard let entry = entries[container], [NameQuestion.internet, NameQuestion.anyClass].contains(question.recordClass) else {
            return .unknown
        }
        if let address = question.name.reverseAddress {
            let name = entry.memberships.compactMap { networks[$0.network]?.names[address] }.first
            guard let name else { return .unknown }
            return [.pointer, .any].contains(question.type) ? .name(name) : .nothing
        }
        for membership in entry.memberships {
            guard let wanted = addresses(question, on: membership) else { continue }
            return wanted.isEmpty ? .nothing : .addresses(wanted)
        }
        return .unknown
    }

    /// nil where nobody there is called so.
    private mutating func addresses(_ question: NameQuestion, on membership: NameEntry.Membership) -> [IPAddress]? {
        let name = question.name
        let linked = membership.links.first { DomainName($0.key) == name }.flatMap { DomainName($0.value) }
        let short = DomainName(membership.networkName).flatMap { name.before($0) }
        for candidate in [linked, name, short].compactMap({ $0 }) {
            if let found = networks[membership.network]?.holders[candidate]?.addresses(question.type) { return found }
        }
        return nil
    }
}

extension RecordType {
    fileprivate func asks(for family: IPAddress.Family) -> Bool {
        switch self {
        case .any: true
        case .address: family == .v4
        case .addressV6: family == .v6
        default: false
        }
    }
}
