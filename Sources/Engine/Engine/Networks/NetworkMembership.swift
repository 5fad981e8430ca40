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
    }

    /// Where a container's namespace is pinned.
    nonisolated func namespace(of id: ContainerID) -> PinnedNamespace { PinnedNamespace(path: settings.namespaces.appending(id.text)) }

    /// Finds addresses on every network that a container is to be on. Nothing of the kernel changes yet.
    /// - Throws: `.notFound` for a network that is gone; what `NetworkingError` says.
    func reserve(_ joiner: Joiner) throws(EngineError) -> NetworkAttachment {
        var attachment = NetworkAttachment(sandboxID: Identifiers.random(), endpoints: [])
        do throws(EngineError) {
            for (name, wishes) in joiner.endpoints.sorted(by: {
                ($1.value.gatewayPriority ?? 0, $0.key) < ($0.value.gatewayPriority ?? 0, $1.key)
            }) {
                let endpoint = try reserve(joiner, on: name, wishes, insideLink: "eth\(attachment.endpoints.count)")
                attachment.endpoints.append(endpoint)
            }
            let families = NetworkAttachment.reachableFamilies(attachment.endpoints)
            attachment.ports = try portTable.take(joiner.ports, for: joiner.id.text, families: families)
        } catch {
            release(attachment, of: joiner.id)
            throw error
        }
        return attachment
    }

    func reserve(_ joiner: Joiner, on name: String, _ wishes: EndpointSettings, insideLink: String) throws(EngineError) -> EndpointRecord {
        var network = try find(name)
        var endpoint = EndpointRecord(
            networkID: network.id, networkName: network.name, endpointID: Identifiers.random(), hostLink: "", insideLink: insideLink,
            macAddress: "")
        endpoint.isInternal = network.document.resource.isInternal
        endpoint.gatewayPriority = wishes.gatewayPriority ?? 0
        if network.document.driver == .bridge { endpoint.hostLink = "veth\(endpoint.endpointID.prefix(7))" }
        do throws(NetworkingError) {
            for index in network.leases.indices {
                let block = network.leases[index].block
                let asked = block.family == .v4 ? wishes.ipamConfig?.ipv4Address : wishes.ipamConfig?.ipv6Address
                let address: IPAddress
                if let asked, !asked.isEmpty {
                    guard let wanted = IPAddress(asked) else { throw NetworkingError(.invalid, "invalid IP address: \(asked)") }
                    try network.leases[index].take(wanted)
                    address = wanted
                } else {
                    address = try network.leases[index].take()
                }
                let gateway = network.document.blocks.first { $0.block == block }?.gateway
                let part = EndpointAddress(
                    address: address.description, prefixLength: block.prefixLength,
                    gateway: network.document.resource.isInternal ? "" : gateway?.description ?? "")
                if block.family == .v4 { endpoint.ipv4 = part } else { endpoint.ipv6 = part }
            }
        } catch {
            throw EngineError(
                error.code == .exhausted ? .system : EngineError(error).code, "failed to set up container networking: \(error.message)",
                cause: error)
        }
        endpoint.macAddress = try Self.macAddress(wishes, joiner, endpoint)
        endpoint.dnsNames = Self.dnsNames(of: joiner, wishes)
        network.members[joiner.id.text] = NetworkMember(containerName: joiner.name, endpoint: endpoint)
        networks[network.id] = network
        return endpoint
    }

    private static func macAddress(_ wishes: EndpointSettings, _ joiner: Joiner, _ endpoint: EndpointRecord) throws(EngineError) -> String {
        let asked = wishes.macAddress.isEmpty ? joiner.config.macAddress : wishes.macAddress
        guard !asked.isEmpty else {
            return linkAddress(for: endpoint.interfaceAddresses.map(\.address), id: endpoint.endpointID)?.description ?? ""
        }
        guard let address = MACAddress(asked) else { throw EngineError(.invalidParameter, "invalid mac address: \(asked)") }
        return address.description
    }

    private static func dnsNames(of joiner: Joiner, _ wishes: EndpointSettings) -> [String] {
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
        portTable.release(attachment.ports ?? [], of: id.text)
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
    func plug(_ attachment: NetworkAttachment, of id: ContainerID) async throws(EngineError) {
        let cables = try attachment.endpoints.map { endpoint throws(EngineError) in try cable(endpoint, among: attachment.endpoints) }
        let (namespace, firewall, part) = (namespace(of: id), firewall, Self.part(attachment))
        do throws(EngineError) {
            try await onThread { () throws(NetworkingError) in
                try Sandbox.make(namespace, cables: cables)
                do throws(NetworkingError) { try firewall.add(part) } catch {
                    namespace.remove()
                    throw error
                }
            }
        } catch { throw EngineError(error.code, "failed to set up container networking: \(error.message)", cause: error) }
        published[id.text] = attachment.firewallPorts
        for endpoint in attachment.endpoints { tell("connect", endpoint, id) }
    }

    /// Undoes `plug`. What fails is logged: the container is over in any case.
    func unplug(_ attachment: NetworkAttachment, of id: ContainerID) async {
        let (namespace, firewall, part) = (namespace(of: id), firewall, Self.part(attachment))
        let cables = attachment.endpoints.map(\.hostLink).filter { !$0.isEmpty }
        do throws(EngineError) {
            try await onThread { () throws(NetworkingError) in
                namespace.remove()
                try firewall.remove(part)
                // They would go with the namespace, which the kernel takes down in its own time, behind those of everybody else.
                for cable in cables { try HostNetwork.removeLink(cable) }
            }
        } catch { logger.error("take the network of container \(id) away: \(error)") }
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
            addresses: endpoint.interfaceAddresses)
        cable.gateways = all.gateways(through: endpoint)
        cable.mtu = network.document.mtu
        if network.document.driver == .macvlan {
            cable.macvlanMode = Self.macvlanModes[network.document.resource.options[NetworkOption.macvlanMode] ?? "bridge"] ?? 4
        }
        return cable
    }

    /// By the names that Docker has for them. - Source: linux/if_link.h.
    static let macvlanModes: [String: UInt32] = ["private": 1, "vepa": 2, "bridge": 4, "passthru": 8]

    static func part(_ endpoints: [EndpointRecord]) -> Firewall.Part {
        var part = Firewall.Part()
        for endpoint in endpoints.compactMap(\.firewallEndpoint) { part.add(endpoint) }
        return part
    }

    /// The same with the ports that lead there.
    static func part(_ attachment: NetworkAttachment) -> Firewall.Part {
        var part = Self.part(attachment.endpoints)
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
        }
        portTable.adopt(attachment.ports ?? [], of: id.text)
        published[id.text] = attachment.firewallPorts
    }

    /// Once every container is known: the firewall becomes what they need, whatever it was.
    func finishRestoration() async {
        var part = Self.part(networks.values.flatMap { $0.members.values.map(\.endpoint) })
        for network in networks.values.compactMap(\.document.firewallNetwork) { part.add(network) }
        for port in published.values.joined() { part.add(port) }
        let (firewall, whole, settings) = (firewall, part, settings)
        do throws(EngineError) {
            try await onThread { () throws(NetworkingError) in
                try firewall.replace(with: whole, dropsForeignForwarding: settings.madeHostForward)
            }
        } catch { logger.error("make the firewall: \(error)") }
        watch()
    }

    /// Repairs what others change from now on.
    private func watch() {
        let (firewall, logger) = (firewall, logger)
        do throws(NetworkingError) {
            try NetworkMonitor.start(
                firewall,
                linkGone: { links in
                    // Belongs to the networks, and ends when what there is to repair is repaired.
                    Task { await self.repair(links) }
                }, report: { logger.warning("\($0)") })
        } catch { logger.error("\(error)") }
    }

    /// Makes bridges anew that somebody took away, with the cables that were on them.
    private func repair(_ gone: [String]) async {
        for network in networks.values where network.document.driver == .bridge && gone.contains(network.document.link) {
            let (link, cables) = (network.document.link, network.members.values.map(\.endpoint.hostLink))
            do throws(EngineError) {
                try await makeLink(network.document)
                try await onThread { () throws(NetworkingError) in try HostNetwork.rejoin(cables, bridge: link) }
                logger.warning("the bridge \(link) was taken away by somebody else, and is made anew")
            } catch { logger.error("make the bridge \(link) anew: \(error)") }
        }
    }
}
