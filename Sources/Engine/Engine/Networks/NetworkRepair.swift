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
                    changed: { changes in
                        // Belongs to the networks, and ends when what there is to repair is repaired.
                        Task(executorPreference: TaskThreads.daemon) { await self.repair(changes) }
                    }, report: { logger.warning("\($0)") })
            }
        } catch { logger.error("\(error)") }
    }

    private func repair(_ changes: HostChanges) async {
        await repairBridges(changes)
        await repairCables(changes.linksGone)
        for family in changes.forwardingOff { await repairForwarding(family) }
    }

    /// Makes bridges what they were that somebody took away or changed, and puts the cables back on them.
    private func repairBridges(_ changes: HostChanges) async {
        let changed = changes.linksGone.union(changes.linksChanged)
        for network in networks.values where network.document.driver == .bridge && !reservedNames.contains(network.name) {
            // Those that we take out ourselves are in the set no more.
            let all = network.members.values.map(\.endpoint.hostLink).filter { cables.contains($0) }
            let isSuspect = changes.isIncomplete || changes.hasLostAddresses || changed.contains(network.document.link)
            let suspects = isSuspect ? all : all.filter { changes.linksChanged.contains($0) }
            guard isSuspect || !suspects.isEmpty else { continue }
            do throws(EngineError) { try await repair(network, isSuspect: isSuspect, suspects) } catch {
                logger.error("repair the bridge \(network.document.link) of network \(network.name): \(error)")
            }
        }
    }

    /// - Parameter isSuspect: whether the bridge itself may have been changed.
    private func repair(_ network: Network, isSuspect: Bool, _ cables: [String]) async throws(EngineError) {
        let link = network.document.link
        if isSuspect {
            let lacks = try await makeLink(network.document, forwards: false)
            if !lacks.isEmpty {
                logger.warning("the bridge \(link) \(lacks.joined(separator: ", ")), by somebody else, and is as it was")
            }
        }
        let isolated = !network.document.bridgeOptions.letsContainersTalk
        let mended = try await onThread { () throws(NetworkingError) in
            try HostNetwork.rejoin(cables, bridge: link, isolated: isolated)
        }
        if !mended.isEmpty {
            logger.warning("put back on the bridge \(link), whence somebody took them: \(mended.joined(separator: ", "))")
        }
        // Whoever removed the network meanwhile had its bridge taken away before.
        if isSuspect && networks[network.id] == nil { await takeLinkAway(network.document) }
    }

    /// Plugs cables in again of which somebody took an end away.
    private func repairCables(_ gone: Set<String>) async {
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
