internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import Networking

/// What others take away from networks is made anew.
extension Networks {
    /// Repairs what others change from now on.
    func watch() async {
        let (firewall, logger) = (firewall, logger)
        do throws(EngineError) {
            // A thread begins in the network of the one that starts it.
            try await onThread { () throws(NetworkingError) in
                try NetworkMonitor.start(
                    firewall,
                    changed: { links, families in
                        // Belongs to the networks, and ends when what there is to repair is repaired.
                        Task { await self.repair(links, families) }
                    }, report: { logger.warning("\($0)") })
            }
        } catch { logger.error("\(error)") }
    }

    private func repair(_ gone: [String], _ families: [IPAddress.Family]) async {
        await repairBridges(gone)
        await repairCables(gone)
        for family in families { await repairForwarding(family) }
    }

    /// Makes bridges anew that somebody took away, with the cables that were on them.
    private func repairBridges(_ gone: [String]) async {
        for network in networks.values where network.document.driver == .bridge && gone.contains(network.document.link) {
            let (link, cables) = (network.document.link, network.members.values.map(\.endpoint.hostLink))
            let isolated = !network.document.bridgeOptions.letsContainersTalk
            do throws(EngineError) {
                try await makeLink(network.document)
                try await onThread { () throws(NetworkingError) in try HostNetwork.rejoin(cables, bridge: link, isolated: isolated) }
                logger.warning("the bridge \(link) was taken away by somebody else, and is made anew")
            } catch { logger.error("make the bridge \(link) anew: \(error)") }
        }
    }

    /// Plugs cables in again of which somebody took an end away.
    private func repairCables(_ gone: [String]) async {
        for network in networks.values {
            for (owner, member) in network.members where gone.contains(member.endpoint.hostLink) {
                // Those that we take out ourselves are in the set no more.
                guard cables.contains(member.endpoint.hostLink), let id = try? ContainerID(owner) else { continue }
                do throws(EngineError) {
                    try await plugAgain(member.endpoint, of: id)
                    logger.warning(
                        "the cable \(member.endpoint.hostLink) of container \(id) was taken away by somebody else, and is made anew")
                } catch { logger.error("make the cable \(member.endpoint.hostLink) of container \(id) anew: \(error)") }
            }
        }
    }

    private func plugAgain(_ endpoint: EndpointRecord, of id: ContainerID) async throws(EngineError) {
        let all = networks.values.compactMap { $0.members[id.text]?.endpoint }
        var plan = try cable(endpoint, among: all)
        plan.gateways = []
        let (cable, routes, namespace) = (plan, Self.routes(all), namespace(of: id))
        try await onThread { () throws(NetworkingError) in
            try Sandbox.add(cable, to: namespace)
            try Sandbox.setRoutes(routes, in: namespace)
        }
    }

    /// Where it was us who let the host forward packets, it is us who do so again; another's switch is left, and told of.
    private func repairForwarding(_ family: IPAddress.Family) async {
        guard networks.values.contains(where: { $0.document.blocks.contains { $0.block.family == family } }) else { return }
        let name = family == .v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding"
        guard settings.madeHostForward else {
            return logger.warning("\(name) was switched off: containers reach nothing beyond this host until it is on again")
        }
        do throws(EngineError) {
            guard try await onThread({ () throws(NetworkingError) in try HostNetwork.forwardPackets(family) }) else { return }
            logger.warning("\(name) was switched off by somebody else, and is on again: containers need it")
        } catch { logger.error("\(error)") }
    }
}
