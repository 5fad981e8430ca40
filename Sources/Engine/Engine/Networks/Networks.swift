internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import NameService
internal import Networking
internal import Records
internal import SystemPackage

/// One network, and who is on it.
struct Network: Sendable {
    let document: NetworkDocument
    /// One for each of the document's blocks.
    var leases: [AddressLeases]
    /// Containers that run on it, by id.
    var members: [String: NetworkMember] = [:]

    var id: String { document.resource.id }
    var name: String { document.resource.name }

    init(_ document: NetworkDocument) {
        self.document = document
        leases = document.blocks.map(\.leases)
    }

    /// Takes an address, with the block that it lies in; nil where the network has none of the family.
    /// - Parameters:
    ///   - asked: empty is any: the lowest free one of the first block that has one.
    ///   - others: addresses that are somebody's still who let go of them.
    mutating func lease(
        _ family: IPAddress.Family, _ asked: String, besides others: Set<IPAddress> = []
    ) throws(NetworkingError) -> (AddressBlock, IPAddress)? {
        let indices = leases.indices.filter { leases[$0].block.family == family }
        guard let first = indices.first else { return nil }
        if !asked.isEmpty {
            guard let wanted = IPAddress(asked) else { throw NetworkingError(.invalid, "invalid IP address: \(asked)") }
            let index = indices.first { leases[$0].block.contains(wanted) } ?? first
            try leases[index].take(wanted, besides: others)
            return (leases[index].block, wanted)
        }
        for index in indices.dropLast() {
            if let address = try? leases[index].take(besides: others) { return (leases[index].block, address) }
        }
        let last = indices.last ?? first
        return (leases[last].block, try leases[last].take(besides: others))
    }
}

/// A running container as its networks know it.
struct NetworkMember: Sendable {
    var containerName: String
    var endpoint: EndpointRecord
}

/// A network of whose record no more is known than that it is there.
struct UnreadableNetwork: Sendable {
    let id: String
    let error: EngineError
}

/// The networks, and every change of who is on which. What is decided here is decided at once, without waiting in between; the kernel is
/// changed afterwards, and what it refuses is taken back.
actor Networks {
    /// Networks by id.
    var networks: [String: Network] = [:]
    /// Networks by id that are going: nobody joins them or finds them, and nobody else has their bridges and blocks yet.
    var leaving: [String: NetworkDocument] = [:]
    let records: NetworkRecords
    let firewall: Firewall
    let conversations: TrackedConversations
    let remover: LinkRemover
    let thread: NamespaceThread
    let events: EventJournal
    let names: NameKeeper
    nonisolated let settings: NetworkSettingsOfDaemon
    let logger: Logger
    /// Which ports of the host lead into containers.
    var portTable = PortTable(hasLoopbackV6: HostPorts.hasLoopbackV6)
    /// What the firewall knows of published ports, by container.
    var published: [String: [FirewallPort]] = [:]
    /// Cables that are in place, by their host's ends: those that go away are made anew.
    var cables: Set<String> = []
    /// What the containers are called that former daemons left, until all of them are known.
    var adopted: [ContainerID: NameEntry] = [:]
    /// Networks whose records cannot be read, by their names: their bridges stay, and the firewall lets nothing in or out there.
    var unreadable: [String: UnreadableNetwork] = [:]
    /// Whether there may be networks that are on no record.
    private var mayLackRecords = false
    /// Else any bridge may be that of a network which nobody can read of.
    var knowsAllNetworks: Bool { unreadable.isEmpty && !mayLackRecords }
    var departures = Departures()
    var repairPacing = RepairPacing()
    /// Whether the log says already that the kernel forgets nothing.
    var hasToldOfConversations = false
    /// Names of networks that are being made.
    var reservedNames: Set<String> = []

    init(
        records: NetworkRecords, thread: NamespaceThread, events: EventJournal, names: NameKeeper, settings: NetworkSettingsOfDaemon,
        logger: Logger
    ) throws(EngineError) {
        self.records = records
        self.thread = thread
        self.events = events
        self.names = names
        self.settings = settings
        self.logger = logger
        do throws(NetworkingError) {
            (firewall, conversations, remover) = try thread.runAndWait { () throws(NetworkingError) in
                (try Firewall(name: settings.instance, ownsTables: settings.ownsFirewall), try TrackedConversations(), try LinkRemover())
            }
        } catch { throw EngineError(error) }
        let firewall = firewall
        names.whenServed { port in
            do throws(NetworkingError) { try firewall.lead(toForwarder: port) } catch {
                logger.error("lead IPv6 of the host to published ports: \(error)")
            }
        }
    }

    /// What has a claim to bridges and blocks.
    var claims: [NetworkDocument] { networks.values.map(\.document) + leaving.values }

    // MARK: - Finding

    /// The network that a user's word means: an id, a name, or the beginning of an id, in this order.
    /// - Throws: `.notFound`, or `.invalidParameter` for a beginning of several.
    func find(_ word: String) throws(EngineError) -> Network {
        if let exact = networks[word] { return exact }
        if let named = networks.values.first(where: { $0.name == word }) { return named }
        if let known = unreadable[word] { throw known.error }
        let found = word.isEmpty ? [] : networks.values.filter { $0.id.hasPrefix(word) }
        guard let first = found.first else { throw Self.notFound(word) }
        guard found.count == 1 else {
            throw EngineError(.invalidParameter, "network \(word) is ambiguous (\(found.count) matches found based on ID prefix)")
        }
        return first
    }

    static func notFound(_ word: String) -> EngineError { EngineError(.notFound, "network \(word) not found") }

    /// The name of the network that a container's mode means; nil for modes that mean none: `container:…`.
    static func networkName(ofMode mode: String) -> String? {
        switch mode {
        case "", "default": "bridge"
        case let mode where mode.hasPrefix("container:"): nil
        default: mode
        }
    }

    // MARK: - Beginning

    /// Reads the records, makes the networks that are there from the first day, and what the kernel lacks of all of them.
    /// - Parameter mayLackRecords: whether there may be networks that are on no record.
    func start(mayLackRecords: Bool) async throws(EngineError) {
        self.mayLackRecords = mayLackRecords
        do throws(RecordsError) {
            for record in try await records.all() {
                // One damaged record must not keep the others down.
                do throws(EngineError) { insert(Network(try NetworkDocument(record))) } catch {
                    logger.error("network \(record.name) is left out: \(error)")
                    unreadable[record.name] = UnreadableNetwork(id: record.id, error: error)
                }
            }
        } catch { throw .system("restore the networks", error) }
        if knowsAllNetworks { await takeStrayLinksAway() }
        for (name, driver) in [("host", NetworkDriver.host), ("none", .none)] { try await makePredefined(name, driver) }
        if settings.hasDefaultBridge {
            try await renewDefaultNetwork()
            try await makePredefined("bridge", .bridge)
        }
        for network in networks.values where network.document.driver == .bridge {
            do throws(EngineError) { try await makeLink(network.document) } catch { logger.error("network \(network.name): \(error)") }
        }
    }

    /// A daemon that died between a bridge and its record left the one without the other.
    func takeStrayLinksAway() async {
        let (made, parting) = (settings.madeLinks, settings.partingCables)
        let known = Set(claims.map(\.link) + [settings.defaultBridge])
        do throws(EngineError) {
            try await onThread { () throws(NetworkingError) in
                let (strays, noted) = (try made.all().filter { !known.contains($0) }, Set(try parting.all()))
                for link in strays {
                    // Without its bridge a cable would lead to the host itself, past what the firewall asks of bridges.
                    for cable in try HostNetwork.ports(of: link) where noted.contains(cable) { try HostNetwork.removeLink(cable) }
                    try made.remove(link)
                }
            }
        } catch { logger.error("take away bridges without a network: \(error)") }
    }

    private func makePredefined(_ name: String, _ driver: NetworkDriver) async throws(EngineError) {
        guard unreadable[name] == nil, !networks.values.contains(where: { $0.name == name }) else { return }
        var request = NetworkCreateRequest()
        request.name = name
        request.driver = driver.rawValue
        if driver == .bridge { request = try settings.defaultNetwork.request(link: settings.defaultBridge) }
        _ = try await make(request, isPredefined: true)
    }

    func insert(_ network: Network) { networks[network.id] = network }

    /// Makes what the host lacks of a bridge.
    /// - Parameter forwards: whether the host is to pass packets on from now on.
    /// - Returns: what the bridge lacked, in words.
    @discardableResult
    func makeLink(_ document: NetworkDocument, forwards: Bool = true) async throws(EngineError) -> [String] {
        guard document.driver == .bridge else { return [] }
        let blocks = document.blocks
        let options = document.bridgeOptions
        var plan = BridgePlan(
            link: document.link,
            addresses: blocks.filter { block in
                options.gatewayModes[block.block.family] != .isolated && (options.hasIPv4Gateway || block.block.family == .v6)
            }.compactMap { block in
                block.gateway.map { InterfaceAddress($0, prefixLength: block.block.prefixLength) }
            })
        plan.mtu = options.mtu
        plan.isFiltered = !options.letsContainersTalk
        plan.linkAddress = Self.linkAddress(for: blocks.compactMap(\.gateway), id: document.resource.id)
        let families = forwards ? Set(blocks.map(\.block.family)) : []
        let (bridge, settings) = (plan, settings)
        return try await onThread { () throws(NetworkingError) in
            if try !HostNetwork.hasLink(bridge.link) {
                try settings.madeLinks.note(bridge.link)
                failpoint(.networkLinkNoted)
            }
            let lacked = try HostNetwork.makeBridge(bridge)
            for family in families where try HostNetwork.forwardPackets(family) { try settings.rememberForwarding() }
            return lacked
        }
    }

    /// As Docker's: the IPv4 address says it, so that who gets the address of another one is found at once; without one, the id does.
    static func linkAddress(for addresses: [IPAddress], id: String) -> MACAddress? {
        let four =
            addresses.first { $0.family == .v4 }?.bytes
            ?? Array(id.utf8.prefix(8)).reduce(into: [0, 0, 0, 0]) { $0[Int($1 % 4)] = $0[Int($1 % 4)] &* 31 &+ $1 }
        return MACAddress(bytes: [0x02, 0x42] + four)
    }

    /// Does what blocks on the thread that may leave the host's network.
    func onThread<Value: Sendable>(
        _ body: @escaping @Sendable () throws(NetworkingError) -> Value
    ) async throws(EngineError) -> Value {
        do throws(NetworkingError) { return try await thread.run(body) } catch { throw EngineError(error) }
    }
}

extension EngineError {
    init(_ error: NetworkingError) {
        let code: Code =
            switch error.code {
            case .kernel, .exhausted: .system
            case .addressTaken: .forbidden
            case .invalid: .invalidParameter
            }
        self.init(code, error.description, cause: error)
    }
}
