internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import Networking
internal import Records

/// Making networks.
extension Networks {
    /// Makes a network that a client asks for.
    /// - Throws: `.conflict` for a name that is taken, `.invalidParameter`, `.forbidden` in Docker's words.
    func create(_ request: NetworkCreateRequest) async throws(EngineError) -> NetworkCreateResponse {
        // `default` is what `--network default` and a request without a network mean: nobody could join one of that name by it.
        guard !NetworkResource.predefinedNames.contains(request.name), request.name != "default" else {
            throw EngineError(.forbidden, "operation is not permitted on predefined \(request.name) network ")
        }
        let request = try configured(NetworkPlan.settlingFamilies(of: request))
        try NetworkPlan.check(request)
        if settings.isRootless && request.driver == NetworkDriver.macvlan.rawValue {
            throw EngineError(
                .notImplemented, "macvlan is not supported in rootless mode: an ordinary user may not share the host's network cards")
        }
        var answer = NetworkCreateResponse()
        let document = try await make(request, isPredefined: false)
        answer.id = document.resource.id
        if document.blocks.count < document.resource.ipam.config.count {
            answer.warning =
                "The network has blocks of a family that is not enabled on it (--ipv6, --ipv4): no container gets addresses of them."
        }
        return answer
    }

    /// Fills in what another network is the configuration for.
    /// - Throws: `.notFound` for one that is not there, `.forbidden` for what the request says itself, in Docker's words.
    private func configured(_ request: NetworkCreateRequest) throws(EngineError) -> NetworkCreateRequest {
        guard let source = request.configFrom?.network, !source.isEmpty else { return request }
        if request.configOnly {
            throw EngineError(.forbidden, "a configuration network cannot depend on another configuration network")
        }
        guard let found = networks.values.first(where: { $0.name == source && $0.document.resource.configOnly })?.document.resource else {
            throw EngineError(.notFound, "configuration network \"\(source)\" does not exist")
        }
        return try NetworkPlan.request(request, from: found)
    }

    @discardableResult
    func make(_ request: NetworkCreateRequest, isPredefined: Bool) async throws(EngineError) -> NetworkDocument {
        let name = request.name
        guard !reservedNames.contains(name), unreadable[name] == nil, !networks.values.contains(where: { $0.name == name }) else {
            throw EngineError(.conflict, "network with name \(name) already exists")
        }
        // Marked before the first wait: two requests cannot both get the name, nor both a block, since one is made at a time.
        reservedNames.insert(name)
        defer { reservedNames.remove(name) }
        let ownLinks = Set(claims.map(\.link))
        let routed = try await onThread { () throws(NetworkingError) in try HostNetwork.routedBlocks(besides: ownLinks) }
        let id = Identifiers.random()
        let document = try NetworkPlan.document(
            for: request, id: id, defaultLink: isPredefined ? settings.defaultBridge : Self.usualLink(of: id), isPredefined: isPredefined,
            others: claims, routed: routed, pools: settings.addressPools)
        // It has its place among the others at once, so that the next one avoids its blocks.
        insert(Network(document))
        do throws(EngineError) {
            if document.driver == .macvlan { try await checkCard(document.link) }
            try await makeLink(document)
            failpoint(.networkLinkMade)
            var part = Firewall.Part()
            if let known = document.firewallNetwork { part.add(known) }
            let (firewall, added) = (firewall, part)
            try await onThread { () throws(NetworkingError) in try firewall.add(added) }
            failpoint(.networkFirewallOpened)
            let record = try document.record()
            do throws(RecordsError) { try await records.insert(record) } catch { throw .system("create network \(name)", error) }
            failpoint(.networkRecorded)
        } catch {
            beginLeaving(document)
            defer { leaving[id] = nil }
            await takeLinkAway(document)
            throw error
        }
        events.publish(.network, "create", id: id, attributes: ["name": name, "type": document.resource.driver])
        return document
    }

    /// What a network's bridge is called that was asked for without a name.
    static func usualLink(of id: String) -> String { "br-\(id.shortID)" }

    private func checkCard(_ link: String) async throws(EngineError) {
        guard try await onThread({ () throws(NetworkingError) in try HostNetwork.hasLink(link) }) else {
            throw EngineError(.invalidParameter, "there is no network card \(link) that a macvlan network could share: see `ip link`")
        }
    }

    /// From now on nobody joins it, and a second removal finds nothing.
    func beginLeaving(_ document: NetworkDocument) {
        networks[document.resource.id] = nil
        leaving[document.resource.id] = document
    }

    /// Undoes what `make` did to the host. What fails is logged: there is an error to tell already, or nobody to tell it to.
    func takeLinkAway(_ document: NetworkDocument) async {
        guard document.driver == .bridge else { return }
        var part = Firewall.Part()
        if let known = document.firewallNetwork { part.add(known) }
        let (firewall, removed, link, made) = (firewall, part, document.link, settings.madeLinks)
        do throws(EngineError) {
            try await onThread { () throws(NetworkingError) in
                try made.remove(link)
                failpoint(.networkBridgeGone)
                try firewall.remove(removed)
            }
        } catch { logger.error("take the bridge of network \(document.resource.name) away: \(error)") }
    }
}

extension NetworkDocument {
    /// Whether nothing passes between containers on it but by published ports.
    var keepsContainersApart: Bool { driver == .bridge && !bridgeOptions.letsContainersTalk }

    /// What the firewall must know; nil for networks that it has nothing to do with.
    var firewallNetwork: FirewallNetwork? {
        guard driver == .bridge else { return nil }
        var network = FirewallNetwork(link: link)
        network.isInternal = resource.isInternal
        let options = bridgeOptions
        network.masqueraded = options.masquerades ? options.gatewayModes.families(\.translates) : []
        network.sources = options.sources.filter { network.masqueraded.contains($0.family) }
        network.routed = options.gatewayModes.families { $0 == .routed }
        network.unprotected = options.gatewayModes.families { $0 == .unprotected }
        network.trustedLinks = options.trustedLinks
        network.letsContainersTalk = options.letsContainersTalk
        return network
    }
}

/// Turns a request into a network. Pure.
enum NetworkPlan {
    private static let drivers: Set<String> = ["", "bridge", "macvlan"]

    /// - Throws: what is wrong with the request itself.
    static func check(_ request: NetworkCreateRequest) throws(EngineError) {
        guard ContainerNames.isValid(network: request.name) else {
            throw EngineError(
                .invalidParameter,
                "invalid network name \"\(request.name)\": only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, and spaces in between")
        }
        if request.configOnly { return try checkConfiguration(request) }
        switch request.driver {
        case "host", "null":
            let name = request.driver == "null" ? "null" : "host"
            throw EngineError(.forbidden, "only one instance of \"\(name)\" network is allowed")
        case let driver where !drivers.contains(driver): throw EngineError(.notFound, "plugin \"\(driver)\" not found")
        default: break
        }
        guard ["", "local"].contains(request.scope) else {
            throw EngineError(.invalidParameter, "invalid network scope \"\(request.scope)\": only local networks are served")
        }
        if request.ingress { throw EngineError(.invalidParameter, "Ingress network can not be created: this node is not a swarm manager") }
        guard ["", "default"].contains(request.ipam?.driver ?? "") else {
            throw EngineError(.notFound, "could not resolve driver \(request.ipam?.driver ?? "") in registry")
        }
        if request.enableIPv4 == false && request.enableIPv6 != true {
            throw EngineError(.invalidParameter, "IPv4 or IPv6 must be enabled")
        }
        if ["", "bridge"].contains(request.driver) {
            let modes = try BridgeOptions(checking: request.options).gatewayModes
            guard request.isInternal || modes.families({ $0 == .isolated }).isEmpty else {
                throw EngineError(.invalidParameter, "gateway mode 'isolated' can only be used for an internal network")
            }
        }
    }

    /// What options of the driver say of families that the request itself says nothing of.
    /// - Throws: `.invalidParameter` in Docker's words.
    static func settlingFamilies(of asked: NetworkCreateRequest) throws(EngineError) -> NetworkCreateRequest {
        func wish(_ option: String) throws(EngineError) -> Bool? {
            guard let text = asked.options[option] else { return nil }
            do throws(EngineError) { return try OptionText.boolean(text) } catch {
                throw EngineError(.invalidParameter, "driver-opt \"\(option)\" is not a valid bool", cause: error)
            }
        }
        var request = asked
        if asked.enableIPv4 == nil { request.enableIPv4 = try wish(NetworkOption.enablesV4) }
        if asked.enableIPv6 == nil { request.enableIPv6 = try wish(NetworkOption.enablesV6) }
        return request
    }

    static func document(
        for request: NetworkCreateRequest, id: String, defaultLink: String, isPredefined: Bool, others: [NetworkDocument],
        routed: [AddressBlock], pools: [NetworkPool] = []
    ) throws(EngineError) -> NetworkDocument {
        var resource = NetworkResource()
        resource.name = request.name
        resource.id = id
        resource.created = .now
        resource.scope = "local"
        resource.driver = request.driver.isEmpty ? NetworkDriver.bridge.rawValue : request.driver
        resource.enableIPv4 = request.enableIPv4 ?? true
        resource.enableIPv6 = request.enableIPv6 ?? false
        resource.isInternal = request.isInternal
        resource.attachable = request.attachable
        resource.options = request.options
        resource.labels = request.labels
        resource.ipam.driver = "default"
        resource.ipam.options = request.ipam?.options
        resource.configFrom = request.configFrom ?? ConfigReference()
        if request.configOnly {
            // As Docker's: nothing moves packets of a configuration, and its blocks are nobody's yet.
            resource.driver = NetworkDriver.none.rawValue
            resource.configOnly = true
            resource.ipam.config = request.ipam?.config ?? []
        }
        var document = NetworkDocument(resource: resource, link: "", hasChosenBlocks: false)
        guard document.driver == .bridge || document.driver == .macvlan else { return document }
        let chosen = (request.ipam?.config ?? []).filter { !$0.subnet.isEmpty }
        document.hasChosenBlocks = !chosen.isEmpty
        document.resource.ipam.config = try blocks(
            of: request, isDefaultNetwork: isPredefined, taken: others.flatMap { $0.blocks.map(\.block) }, routed: routed,
            pools: pools, seed: seed(of: id, others))
        document.link = try link(of: document, defaultLink: defaultLink, others: others)
        return document
    }

    /// The bridge's name, or the card of a macvlan.
    private static func link(of document: NetworkDocument, defaultLink: String, others: [NetworkDocument]) throws(EngineError) -> String {
        let options = document.resource.options
        if document.driver == .macvlan {
            guard let parent = options[NetworkOption.parent], !parent.isEmpty else {
                throw EngineError(.invalidParameter, "a macvlan network needs the option parent, the network card to share")
            }
            if let mode = options[NetworkOption.macvlanMode], Networks.macvlanModes[mode] == nil {
                throw EngineError(
                    .invalidParameter, "requested macvlan mode '\(mode)' is not valid, 'bridge' mode is the macvlan driver default")
            }
            if let owner = others.first(where: { $0.driver == .macvlan && $0.link == parent }) {
                throw EngineError(.forbidden, "network \(owner.resource.name) is already using parent interface \(parent)")
            }
            return parent
        }
        let link = document.bridgeOptions.linkName ?? defaultLink
        guard BridgeOptions.isLinkName(link, limitBytes: HostNetwork.linkNameLimitBytes) else {
            throw EngineError(
                .invalidParameter,
                "invalid bridge name \"\(link)\": at most \(HostNetwork.linkNameLimitBytes) letters, no /, : or % among them")
        }
        if let owner = others.first(where: { $0.driver == .bridge && $0.link == link }) {
            throw EngineError(.conflict, "bridge \(link) belongs to network \(owner.resource.name)")
        }
        return link
    }

    /// The blocks that a request names, checked and filled in, and those that it leaves to us.
    private static func blocks(
        of request: NetworkCreateRequest, isDefaultNetwork: Bool, taken: [AddressBlock], routed: [AddressBlock],
        pools: [NetworkPool], seed: UInt64
    ) throws(EngineError) -> [IPAMConfig] {
        var configs: [IPAMConfig] = []
        for config in request.ipam?.config ?? [] where config != IPAMConfig() {
            guard !config.subnet.isEmpty else {
                throw EngineError(.invalidParameter, "invalid network config: a gateway or an address range needs a subnet")
            }
            let complete = try completed(config)
            guard let block = AddressBlock(complete.subnet) else { continue }
            let others = configs.compactMap { AddressBlock($0.subnet) }
            if request.driver != NetworkDriver.macvlan.rawValue, others.contains(where: { $0.family == block.family }) {
                throw EngineError(.forbidden, "bridge driver doesn't support multiple subnets")
            }
            if (taken + others).contains(where: block.overlaps) {
                throw EngineError(.forbidden, "invalid pool request: Pool overlaps with other one on this address space")
            }
            configs.append(complete)
        }
        let families = Set(configs.compactMap { AddressBlock($0.subnet)?.family })
        do throws(NetworkingError) {
            if request.enableIPv4 ?? true, !families.contains(.v4) {
                let block =
                    pools.contains { $0.block.family == .v4 }
                    ? try AddressPools.choose(.v4, from: pools, avoiding: taken + routed)
                    : try AddressPools.chooseV4(avoiding: taken + routed, isDefaultNetwork: isDefaultNetwork)
                configs.insert(config(for: block), at: 0)
            }
            if request.enableIPv6 == true, !families.contains(.v6) {
                let block =
                    pools.contains { $0.block.family == .v6 }
                    ? try AddressPools.choose(.v6, from: pools, avoiding: taken + routed)
                    : try AddressPools.chooseV6(avoiding: taken + routed, seed: seed)
                configs.append(config(for: block))
            }
        } catch { throw EngineError(error) }
        // Where the host has no address there is none to keep free, unless the request names one.
        let modes = BridgeOptions(of: request.options).gatewayModes
        let named = Set((request.ipam?.config ?? []).map(\.gateway))
        for index in configs.indices where !named.contains(configs[index].gateway) {
            if let family = AddressBlock(configs[index].subnet)?.family, modes[family] == .isolated { configs[index].gateway = "" }
        }
        // Those of a family that the network has not stay, as with Docker, and mean nothing.
        return configs
    }

    private static func config(for block: AddressBlock) -> IPAMConfig {
        var config = IPAMConfig()
        config.subnet = block.description
        config.gateway = IPAddress(block.family, bits: block.base.bits + 1).description
        return config
    }

    /// One block of a request, with every address checked, and with a gateway.
    private static func completed(_ config: IPAMConfig) throws(EngineError) -> IPAMConfig {
        guard let block = AddressBlock(config.subnet) else {
            throw EngineError(.invalidParameter, "invalid subnet \(config.subnet): it must be an address block such as 172.28.0.0/16")
        }
        guard block.prefixLength <= block.family.bitCount - 2 else {
            throw EngineError(.invalidParameter, "invalid subnet \(config.subnet): it has no room for a gateway and a container")
        }
        if let why = refusal(of: block) { throw EngineError(.invalidParameter, why) }
        var complete = config
        complete.subnet = block.description
        if !config.ipRange.isEmpty {
            guard let range = AddressBlock(config.ipRange), block.contains(range) else {
                throw EngineError(.invalidParameter, "invalid ip-range \(config.ipRange): it does not lie in \(block)")
            }
        }
        for (what, text) in [("gateway", config.gateway)] + config.auxiliaryAddresses.sorted(by: { $0.key < $1.key }) where !text.isEmpty {
            guard let address = IPAddress(text), block.contains(address) else {
                throw EngineError(.invalidParameter, "no matching subnet for \(what) \(text)")
            }
        }
        if config.gateway.isEmpty { complete.gateway = IPAddress(block.family, bits: block.base.bits + 1).description }
        return complete
    }

    /// Blocks of addresses that no container can have: of all hosts of a group, of the machine itself, of nobody.
    private static let (groupsV4, ownV4, nobodyV4) = (AddressBlock("224.0.0.0/4"), AddressBlock("127.0.0.0/8"), AddressBlock("0.0.0.0/32"))
    private static let (groupsV6, ownV6, linkLocalV6) = (AddressBlock("ff00::/8"), AddressBlock("::/127"), AddressBlock("fe80::/64"))

    /// Why a block is of no use, in words of Docker's where it has some; nil for one that is. Docker makes a network of most of these on which no
    /// container starts.
    private static func refusal(of block: AddressBlock) -> String? {
        func overlaps(_ others: AddressBlock?...) -> Bool { others.contains { $0?.overlaps(block) == true } }
        if overlaps(groupsV4, groupsV6) { return "multicast subnet '\(block)' is not allowed" }
        if overlaps(ownV4) { return "invalid subnet \(block): addresses of 127.0.0.0/8 mean the machine itself, and lead to no container" }
        if overlaps(nobodyV4) { return "invalid subnet \(block): 0.0.0.0 is nobody's address; without a subnet one is chosen" }
        if overlaps(ownV6) { return "invalid subnet \(block): :: is nobody's address, and ::1 means the machine itself" }
        // The kernel gives every link an address of that block, with that length.
        if block != linkLocalV6, overlaps(linkLocalV6) { return "'\(block)' clashes with the Link-Local prefix 'fe80::/64'" }
        return nil
    }

    /// What this daemon's own IPv6 prefix is made of: the id of its default network, or of the first network of all.
    private static func seed(of id: String, _ others: [NetworkDocument]) -> UInt64 {
        let oldest = others.min { $0.resource.created < $1.resource.created }?.resource.id ?? id
        return UInt64(oldest.prefix(10), radix: 16) ?? 1
    }
}
