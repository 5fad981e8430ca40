internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import Networking
internal import SystemPackage

/// Who is on which network.
extension Networks {
    /// A container that wants to be on networks.
    struct Joiner: Sendable {
        let id: ContainerID
        let name: String
        let config: ContainerConfig
        /// What it wants on each network, by the network's name.
        let endpoints: [String: EndpointSettings]
        /// What it wants of the host's ports.
        var ports: [PortRequest] = []
        /// Whom it wants to ask for names; empty for whom the host asks.
        var nameServers: [String] = []
        /// What it sets of the kernel.
        var sysctls: [String: String] = [:]

        /// Whether it switches IPv6 off, on all its links or on one: then it has no such address there.
        /// - Source: moby, libnetwork/sandbox_linux.go, IPv6Enabled.
        func hasNoIPv6(on link: String, _ options: EndpointOptions) -> Bool {
            let own = options.settings["ipv6/conf/IFNAME/disable_ipv6"]
            return ["all", "lo"].contains { sysctls["net.ipv6.conf.\($0).disable_ipv6"] == "1" }
                || (own ?? sysctls["net.ipv6.conf.\(link).disable_ipv6"]) == "1"
        }
    }

    /// Where a container's namespace is pinned.
    nonisolated func namespace(of id: ContainerID) -> PinnedNamespace { PinnedNamespace(path: settings.namespaces.appending(id.text)) }

    /// Finds addresses on every network that a container is to be on. Nothing of the kernel changes yet.
    /// - Throws: `.notFound` for a network that is gone; what `NetworkingError` says.
    func reserve(_ joiner: Joiner) throws(EngineError) -> NetworkAttachment {
        var attachment = NetworkAttachment(sandboxID: Identifiers.random(), endpoints: [])
        if !joiner.nameServers.isEmpty { attachment.nameServers = joiner.nameServers }
        do throws(EngineError) {
            for (name, wishes) in joiner.endpoints.sorted(by: {
                ($1.value.gatewayPriority ?? 0, $0.key) < ($0.value.gatewayPriority ?? 0, $1.key)
            }) {
                let endpoint = try reserve(joiner, on: name, wishes, besides: Set(attachment.endpoints.map(\.insideLink)))
                attachment.endpoints.append(endpoint)
            }
            do throws(EngineError) { attachment.ports = try takePorts(joiner, attachment.endpoints) } catch {
                throw error.code == .system
                    ? EngineError(.system, "failed to set up container networking: \(error.message)", cause: error) : error
            }
        } catch {
            release(attachment, of: joiner.id)
            throw error
        }
        return attachment
    }

    /// Takes the ports of the host that a container asks for: none where nothing of the host's leads to any of its endpoints.
    /// - Throws: Docker's words for ports that cannot be published.
    func takePorts(_ joiner: Joiner, _ endpoints: [EndpointRecord]) throws(EngineError) -> [PublishedPort] {
        let families = NetworkAttachment.reachableFamilies(endpoints)
        func options(_ family: KeyPath<EndpointRecord, EndpointAddress>) -> BridgeOptions? {
            endpoints.publishingEndpoint(family).flatMap { networks[$0.networkID]?.document.bridgeOptions }
        }
        let (v4, v6) = (options(\.ipv4), options(\.ipv6))
        let routed = families.filter { ($0 == .v4 ? v4 : v6)?.gatewayModes[$0] == .routed }
        do throws(EngineError) {
            return try portTable.take(
                joiner.ports, families: families, routed: routed, defaultAddress: (v4 ?? v6)?.hostAddress, besides: names.forwarderPort)
        } catch {
            guard error.code == .system, let publishing = endpoints.publishingEndpoint(\.ipv4) ?? endpoints.publishingEndpoint(\.ipv6)
            else {
                throw error
            }
            throw EngineError(
                .system,
                "driver failed programming external connectivity on endpoint \(joiner.name) (\(publishing.endpointID)): \(error.message)",
                cause: error)
        }
    }

    /// Gives back what `takePorts` took.
    func release(ports: [PublishedPort]) { portTable.release(ports) }

    /// - Throws: `.forbidden` in Docker's words for what other networks are made from.
    static func refuseConfiguration(_ network: Network) throws(EngineError) {
        guard network.document.resource.configOnly else { return }
        throw EngineError(.forbidden, "cannot create endpoint on configuration-only network")
    }

    /// - Parameter links: names of links that are taken inside.
    func reserve(
        _ joiner: Joiner, on name: String, _ wishes: EndpointSettings, besides links: Set<String>
    ) throws(EngineError) -> EndpointRecord {
        var network = try find(name)
        try Self.refuseConfiguration(network)
        let options = try EndpointOptions(wishes.driverOpts)
        let insideLink = try Self.insideLink(options.linkName, prefix: network.document.bridgeOptions.insidePrefix, besides: links)
        var endpoint = EndpointRecord(
            networkID: network.id, networkName: network.name, endpointID: Identifiers.random(), hostLink: "", insideLink: insideLink,
            macAddress: "")
        endpoint.isInternal = network.document.resource.isInternal
        endpoint.gatewayPriority = wishes.gatewayPriority ?? 0
        let bridge = network.document.bridgeOptions
        if bridge.gatewayModes.v4 == .routed || !bridge.trustedLinks.isEmpty { endpoint.opensV4 = true }
        if bridge.gatewayModes.v6 == .routed || !bridge.trustedLinks.isEmpty { endpoint.opensV6 = true }
        if network.document.driver == .bridge { endpoint.hostLink = "veth\(endpoint.endpointID.prefix(7))" }
        let kept = departures.keptAddresses(on: network.id)
        let families: [IPAddress.Family] = joiner.hasNoIPv6(on: insideLink, options) ? [.v4] : [.v4, .v6]
        do throws(NetworkingError) {
            for family in families {
                let asked = family == .v4 ? wishes.ipamConfig?.ipv4Address : wishes.ipamConfig?.ipv6Address
                guard let (block, address) = try network.lease(family, asked ?? "", besides: kept) else { continue }
                let gateway = network.document.blocks.first { $0.block == block }?.gateway
                let part = EndpointAddress(
                    address: address.description, prefixLength: block.prefixLength,
                    gateway: network.document.resource.isInternal ? "" : gateway?.description ?? "")
                if family == .v4 { endpoint.ipv4 = part } else { endpoint.ipv6 = part }
            }
        } catch {
            throw EngineError(
                error.code == .exhausted ? .system : EngineError(error).code, "failed to set up container networking: \(error)",
                cause: error)
        }
        endpoint.macAddress = try Self.macAddress(wishes, joiner, endpoint)
        endpoint.dnsNames = Self.dnsNames(of: joiner, wishes)
        if let further = wishes.ipamConfig?.linkLocalIPs, !further.isEmpty { endpoint.linkLocalAddresses = further }
        if !options.settings.isEmpty { endpoint.linkSettings = options.settings(of: insideLink) }
        endpoint.links = Self.links(wishes.links)
        network.members[joiner.id.text] = NetworkMember(containerName: joiner.name, endpoint: endpoint)
        networks[network.id] = network
        return endpoint
    }

    private static func insideLink(_ asked: String?, prefix: String, besides taken: Set<String>) throws(EngineError) -> String {
        if let asked {
            guard !taken.contains(asked) else {
                throw EngineError(.invalidParameter, "the interface name \(asked) is in use in the container")
            }
            return asked
        }
        return (0...taken.count).lazy.map { "\(prefix)\($0)" }.first { !taken.contains($0) } ?? "\(prefix)\(taken.count)"
    }

    private static func macAddress(_ wishes: EndpointSettings, _ joiner: Joiner, _ endpoint: EndpointRecord) throws(EngineError) -> String {
        let asked = wishes.macAddress.isEmpty ? joiner.config.macAddress : wishes.macAddress
        guard !asked.isEmpty else {
            return linkAddress(for: endpoint.interfaceAddresses.map(\.address), id: endpoint.endpointID)?.description ?? ""
        }
        guard let address = MACAddress(asked) else { throw EngineError(.invalidParameter, "invalid mac address: \(asked)") }
        return address.description
    }

    static func dnsNames(of joiner: Joiner, _ wishes: EndpointSettings) -> [String] {
        var names: [String] = []
        for name in [joiner.name] + wishes.aliases + [joiner.id.text.shortID, joiner.config.hostname]
        where !name.isEmpty && !names.contains(name) {
            names.append(name)
        }
        return names
    }

    /// Gives back what `reserve` found.
    func release(_ attachment: NetworkAttachment, of id: ContainerID) {
        for endpoint in attachment.endpoints { release(endpoint, of: id) }
        portTable.release(attachment.ports ?? [])
        published[id.text] = nil
    }

    func release(_ endpoint: EndpointRecord, of id: ContainerID) {
        guard var network = networks[endpoint.networkID] else { return }
        network.members.removeValue(forKey: id.text)
        for address in endpoint.interfaceAddresses {
            if let index = network.leases.firstIndex(where: { $0.block.contains(address.address) }) {
                network.leases[index].release(address.address)
            }
        }
        networks[network.id] = network
    }

    /// Makes the namespace with its links, and opens the firewall for it. On failure nothing of that is left but the addresses.
    /// - Parameter userNamespace: the file of the user namespace that it belongs to; nil is the host's.
    func plug(_ attachment: NetworkAttachment, of id: ContainerID, in userNamespace: String?) async throws(EngineError) {
        let cables = try attachment.endpoints.map { endpoint throws(EngineError) in try cable(endpoint, among: attachment.endpoints) }
        let (namespace, firewall, part) = (namespace(of: id), firewall, part(attachment))
        do throws(EngineError) {
            try await waitUntilGone(attachment.endpoints)
            try await onThread { () throws(NetworkingError) in
                try Sandbox.make(namespace, of: userNamespace.map { FilePath($0) }, cables: cables)
                failpoint(.startNamespaceMade)
                do throws(NetworkingError) { try firewall.add(part) } catch { throw error.followed(by: namespace.remove) }
                failpoint(.startFirewallOpened)
            }
            do throws(EngineError) { try await announce(attachment, of: id) } catch {
                do throws(EngineError) {
                    try await onThread { () throws(NetworkingError) in
                        var failure: NetworkingError?
                        NetworkingError.collect(in: &failure, namespace.remove)
                        NetworkingError.collect(in: &failure) { () throws(NetworkingError) in try firewall.remove(part) }
                        if let failure { throw failure }
                    }
                } catch let second { throw EngineError(error.code, "\(error.message) (and \(second.message))", cause: error) }
                throw error
            }
        } catch { throw EngineError(error.code, "failed to set up container networking: \(error.message)", cause: error) }
        failpoint(.startNamed)
        // Before anything is waited for: what somebody takes away meanwhile is put back.
        published[id.text] = attachment.firewallPorts
        self.cables.formUnion(attachment.endpoints.map(\.hostLink))
        await forgetConversations(before: attachment.firewallPorts)
        for endpoint in attachment.endpoints { tell("connect", endpoint, id) }
    }

    /// Writes down which cables are to go: before the record goes that says what the network is, and so before anybody is told of the end. Blocks.
    nonisolated func noteParting(of attachment: NetworkAttachment?) {
        guard let attachment else { return }
        do throws(NetworkingError) {
            for endpoint in attachment.endpoints where !endpoint.hostLink.isEmpty { try settings.partingCables.note(endpoint.hostLink) }
        } catch { logger.error("a cable may be left if the daemon dies now: \(error)") }
        failpoint(.stopCablesNoted)
    }

    /// Undoes `plug`, but for the cables, which are noted and go later. What fails is logged: the container is over in any case.
    func unplug(_ attachment: NetworkAttachment, of id: ContainerID) async {
        var ports = Firewall.Part()
        for port in attachment.firewallPorts { ports.add(port) }
        let (namespace, firewall, part) = (namespace(of: id), firewall, ports)
        let inside = attachment.endpoints.filter(\.hostLink.isEmpty).map(\.insideLink)
        cables.subtract(attachment.endpoints.map(\.hostLink))
        await silence(id)
        failpoint(.stopUnnamed)
        do throws(EngineError) {
            try await onThread { () throws(NetworkingError) in
                var failure: NetworkingError?
                // A card has each link address once: who starts next may want this one's.
                NetworkingError.collect(in: &failure) { () throws(NetworkingError) in try Sandbox.empty(namespace, of: inside) }
                NetworkingError.collect(in: &failure, namespace.remove)
                failpoint(.stopNamespaceRemoved)
                NetworkingError.collect(in: &failure) { () throws(NetworkingError) in try firewall.remove(part) }
                failpoint(.stopFirewallClosed)
                if let failure { throw failure }
            }
        } catch { logger.error("take the network of container \(id) away: \(error)") }
        takeAway(attachment.endpoints, ports: attachment.ports ?? [])
        release(attachment, of: id)
        for endpoint in attachment.endpoints { tell("disconnect", endpoint, id) }
    }

    func cable(_ endpoint: EndpointRecord, among all: [EndpointRecord]) throws(EngineError) -> CablePlan {
        guard let network = networks[endpoint.networkID] else { throw Self.notFound(endpoint.networkName) }
        guard let linkAddress = endpoint.linkAddress else {
            throw EngineError(.invalidParameter, "invalid mac address: \(endpoint.macAddress)")
        }
        var cable = CablePlan(
            parent: network.document.link, hostLink: endpoint.hostLink, insideLink: endpoint.insideLink, linkAddress: linkAddress,
            addresses: endpoint.allAddresses)
        cable.gateways = all.gateways(through: endpoint)
        cable.settings = endpoint.linkSettings ?? [:]
        let options = network.document.bridgeOptions
        cable.mtu = options.mtu
        cable.isIsolated = network.document.keepsContainersApart
        if network.document.driver == .macvlan {
            cable.macvlanMode = Self.macvlanModes[network.document.resource.options[NetworkOption.macvlanMode] ?? "bridge"] ?? 4
        }
        return cable
    }

    /// By the names that Docker has for them. - Source: linux/if_link.h.
    static let macvlanModes: [String: UInt32] = ["private": 1, "vepa": 2, "bridge": 4, "passthru": 8]

    /// What the firewall must know of endpoints.
    func part(_ endpoints: [EndpointRecord]) -> Firewall.Part {
        var part = Firewall.Part()
        for endpoint in endpoints {
            guard var known = endpoint.firewallEndpoint else { continue }
            known.isApart = networks[endpoint.networkID]?.document.keepsContainersApart ?? false
            part.add(known)
        }
        return part
    }

    /// The same with the ports that lead there.
    func part(_ attachment: NetworkAttachment) -> Firewall.Part {
        var part = part(attachment.endpoints)
        for port in attachment.firewallPorts { part.add(port) }
        return part
    }

    func tell(_ action: String, _ endpoint: EndpointRecord, _ id: ContainerID) {
        events.publish(
            .network, action, id: endpoint.networkID,
            attributes: [
                "container": id.text, "name": endpoint.networkName, "type": networks[endpoint.networkID]?.document.resource.driver ?? "",
            ])
    }

    // MARK: - Where nothing is made: the host's network, and none

    /// Notes a container there by its name, also by a new one.
    /// - Returns: what it has there; nil where there is no such network.
    @discardableResult
    func note(_ id: ContainerID, called containerName: String, onBare name: String) -> EndpointRecord? {
        guard let network = networks.values.first(where: { $0.name == name }) else { return nil }
        // The next daemon calls it the same, though nothing is written down of it.
        let endpoint = EndpointRecord(
            networkID: network.id, networkName: name, endpointID: String(id.text.reversed()), hostLink: "", insideLink: "", macAddress: "")
        networks[network.id]?.members[id.text] = NetworkMember(containerName: containerName, endpoint: endpoint)
        return endpoint
    }

    /// Tells of a container there, from now on.
    func enter(_ id: ContainerID, called containerName: String, bare name: String) {
        if let endpoint = note(id, called: containerName, onBare: name) { tell("connect", endpoint, id) }
    }

    /// It is there no more.
    func leave(_ id: ContainerID, bare name: String) {
        guard let network = networks.values.first(where: { $0.name == name }), let member = network.members[id.text] else { return }
        networks[network.id]?.members[id.text] = nil
        tell("disconnect", member.endpoint, id)
    }

    /// The id of its endpoint there; empty where it is on no such network.
    func bareEndpoint(of id: ContainerID, on network: String) -> String {
        guard let endpoint = networks[network]?.members[id.text]?.endpoint, endpoint.insideLink.isEmpty else { return "" }
        return endpoint.endpointID
    }

    // MARK: - After a start of the daemon

    /// Takes a container in that has been running since before this daemon.
    func adopt(_ attachment: NetworkAttachment, id: ContainerID, name: String) {
        for endpoint in attachment.endpoints {
            guard var network = networks[endpoint.networkID] else {
                logger.error("container \(id) runs on network \(endpoint.networkName), of which there is no record")
                continue
            }
            for address in endpoint.interfaceAddresses {
                guard let index = network.leases.firstIndex(where: { $0.block.contains(address.address) }) else { continue }
                do throws(NetworkingError) { try network.leases[index].take(address.address) } catch {
                    logger.error("container \(id) has the address of another one: \(address.address)")
                }
            }
            network.members[id.text] = NetworkMember(containerName: name, endpoint: endpoint)
            networks[network.id] = network
            cables.insert(endpoint.hostLink)
        }
        adopted[id] = nameEntry(attachment, of: id)
        portTable.adopt(attachment.ports ?? [])
        published[id.text] = attachment.firewallPorts
    }

    /// Bridges of networks whose records cannot be read, or are missing, and perhaps of none: nothing gets in or out there until somebody knows what may.
    private func linksOfNobody() async -> [String] {
        if knowsAllNetworks { return [] }
        let (made, known, bridge) = (settings.madeLinks, Set(networks.values.map(\.document.link)), settings.defaultBridge)
        do throws(EngineError) {
            return try await onThread { () throws(NetworkingError) in
                var found: [String] = []
                for link in Set(try made.all() + [bridge]).subtracting(known) where try HostNetwork.hasLink(link) { found.append(link) }
                return found
            }
        } catch {
            logger.error("look for bridges of networks that cannot be read: \(error)")
            return []
        }
    }

    /// A bridge where nothing gets in or out.
    static func closed(_ link: String) -> FirewallNetwork {
        var closed = FirewallNetwork(link: link)
        (closed.isInternal, closed.letsContainersTalk, closed.masqueraded) = (true, false, [])
        return closed
    }

    /// Once every container that runs is known, and before any is started: the firewall becomes what they need, whatever it was. Where it
    /// cannot be made, the next start tries, and fails with it.
    func finishRestoration() async {
        var part = part(networks.values.flatMap { $0.members.values.map(\.endpoint) })
        for network in networks.values.compactMap(\.document.firewallNetwork) { part.add(network) }
        for port in published.values.joined() { part.add(port) }
        for link in await linksOfNobody() {
            part.add(Self.closed(link))
        }
        let apart = networks.values.filter(\.document.keepsContainersApart).map { network in
            (bridge: network.document.link, links: network.members.values.map(\.endpoint.hostLink))
        }
        await removePartingCables(besides: cables)
        let (firewall, whole, settings) = (firewall, part, settings)
        do throws(EngineError) {
            try await onThread { () throws(NetworkingError) in
                var failure: NetworkingError?
                NetworkingError.collect(in: &failure) { () throws(NetworkingError) in
                    try firewall.replace(with: whole, dropsForeignForwarding: settings.madeHostForward)
                }
                // A former daemon, or a kernel before br_netfilter was loaded, may have kept them apart otherwise.
                for each in apart {
                    NetworkingError.collect(in: &failure) { () throws(NetworkingError) in
                        try HostNetwork.keepApart(each.links, bridge: each.bridge)
                    }
                }
                if let failure { throw failure }
            }
        } catch { logger.error("make the firewall: \(error)") }
        await forgetConversationsOfNobody()
        await watch()
        await repairAll()
        let (names, entries) = (names, adopted)
        // Tells of its failures itself.
        try? await BlockingWork.run { () throws(EngineError) in names.replace(with: entries) }
        adopted = [:]
    }
}
