internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
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

    /// Puts back what containers lack that ran while no daemon did.
    func repairAll() async {
        var changes = HostChanges()
        changes.isIncomplete = true
        await repair(changes)
    }

    private func repair(_ changes: HostChanges) async {
        await repairBridges(changes)
        await repairCables(changes)
        for family in changes.forwardingOff { await repairForwarding(family) }
    }

    /// Whether something is repaired at once, and not later: who takes it away each time is not fought for ever.
    private func isDue(_ subject: String) -> Bool { !repairPacing.isResting(subject) }

    /// Counts a repair. Where there were too many the next one comes later, and then whatever happened meanwhile is made good.
    private func noteRepair(of subject: String, again: @escaping @Sendable (Networks) async -> Void) {
        guard let rest = repairPacing.repaired(subject, now: monotonicNanoseconds()) else { return }
        logger.warning("\(subject) is changed by somebody else again and again: it is looked at again in \(rest.components.seconds) s")
        // Belongs to the networks, and ends after the rest.
        Task(executorPreference: TaskThreads.daemon) {
            try? await Pause.wait(for: rest)
            await self.endRest(of: subject)
            await again(self)
        }
    }

    private func endRest(of subject: String) { repairPacing.endRest(of: subject) }

    /// Makes bridges what they were that somebody took away or changed, and puts the cables back on them.
    private func repairBridges(_ changes: HostChanges) async {
        let changed = changes.linksGone.union(changes.linksChanged)
        for network in networks.values where network.document.driver == .bridge {
            // Those that we take out ourselves are in the set no more.
            let all = network.members.values.map(\.endpoint.hostLink).filter { cables.contains($0) }
            let isSuspect = changes.isIncomplete || changes.hasLostAddresses || changed.contains(network.document.link)
            let suspects = isSuspect ? all : all.filter { changes.linksChanged.contains($0) }
            guard isSuspect || !suspects.isEmpty, isDue("the bridge \(network.document.link)") else { continue }
            do throws(EngineError) { try await repair(network, isSuspect: isSuspect, suspects) } catch {
                // Of one that was removed meanwhile nothing is missed.
                if networks[network.id] == nil { continue }
                logger.error("repair the bridge \(network.document.link) of network \(network.name): \(error)")
            }
        }
    }

    /// - Parameter isSuspect: whether the bridge itself may have been changed.
    private func repair(_ network: Network, isSuspect: Bool, _ cables: [String]) async throws(EngineError) {
        // It may have been removed, or another of its name be on its way, while others were repaired.
        guard networks[network.id] != nil, !reservedNames.contains(network.name) else { return }
        let link = network.document.link
        var isRepair = false
        if isSuspect {
            let lacks = try await makeLink(network.document, forwards: false)
            if !lacks.isEmpty && networks[network.id] != nil {
                isRepair = true
                logger.warning("the bridge \(link) \(lacks.joined(separator: ", ")), by somebody else, and is as it was")
            }
        }
        let isolated = !network.document.bridgeOptions.letsContainersTalk
        let mended = try await onThread { () throws(NetworkingError) in
            try HostNetwork.rejoin(cables, bridge: link, isolated: isolated)
        }
        if !mended.isEmpty {
            isRepair = true
            logger.warning("put back on the bridge \(link), whence somebody took them: \(mended.joined(separator: ", "))")
        }
        if isRepair { noteRepair(of: "the bridge \(link)") { await $0.repairAll() } }
        // Whoever removed the network meanwhile had its bridge taken away before; by now it may be another one's.
        guard isSuspect, networks[network.id] == nil else { return }
        try await waitUntilCablesAreGone(of: network.document)
        guard networks[network.id] == nil, !claims.contains(where: { $0.link == link && $0.resource.id != network.id }) else { return }
        await takeLinkAway(network.document)
    }

    /// Plugs cables in again of which somebody took an end away.
    private func repairCables(_ changes: HostChanges) async {
        var gone = changes.linksGone
        if changes.isIncomplete {
            let known = cables.filter { !$0.isEmpty }
            do throws(EngineError) {
                gone = try await onThread { () throws(NetworkingError) in try HostNetwork.missing(of: known) }
            } catch { logger.error("look for the cables of containers: \(error)") }
        }
        for network in networks.values {
            for (owner, member) in network.members where gone.contains(member.endpoint.hostLink) {
                await repairCable(member.endpoint, of: owner)
            }
        }
    }

    private func repairCable(_ endpoint: EndpointRecord, of owner: String) async {
        let link = endpoint.hostLink
        // Those that we take out ourselves are in the set no more.
        guard cables.contains(link), isDue("the cable \(link)"), let id = try? ContainerID(owner) else { return }
        do throws(EngineError) {
            try await plugAgain(endpoint, of: id)
            logger.warning("the cable \(link) of container \(id) was taken away by somebody else, and is made anew")
            noteRepair(of: "the cable \(link)") { await $0.repairAll() }
            // Who was taken off the network meanwhile has not got it back.
            if !cables.contains(link) { try await onThread { () throws(NetworkingError) in try HostNetwork.removeLink(link) } }
        } catch {
            if cables.contains(link) { logger.error("make the cable \(link) of container \(id) anew: \(error)") }
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
        guard isDue(name) else { return }
        do throws(EngineError) {
            guard try await onThread({ () throws(NetworkingError) in try HostNetwork.forwardPackets(family) }) else { return }
            logger.warning("\(name) was switched off by somebody else, and is on again: containers need it")
            noteRepair(of: name) { await $0.repairForwarding(family) }
        } catch { logger.error("\(error)") }
    }
}
