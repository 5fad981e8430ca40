internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import Networking

/// What containers leave in the kernel. It goes on leading a conversation to where it led it first, for as long as it goes on, and takes its time over
/// the end of a cable, for which it asks every processor. Nobody waits for either but who gets an address of one who is gone.
extension Networks {
    /// What is still to go.
    struct Departures {
        /// Whose conversations are to be forgotten.
        var addresses: Set<IPAddress> = []
        var forwardedPorts: Set<ClosedRange<UInt16>> = []
        /// By the cable's end on the host.
        var cables: [String: Cable] = [:]
        /// Sees to what there was when it began; nil where there is nothing.
        var round: Task<Void, Never>?
        var isEmpty: Bool { addresses.isEmpty && forwardedPorts.isEmpty && cables.isEmpty }

        struct Cable {
            let linkAddress: String
            /// What the firewall knows of it.
            let part: Firewall.Part
        }
    }

    /// Has the kernel forget the conversations of endpoints that are gone, with their cables.
    func forgetConversations(of endpoints: [EndpointRecord], ports: [PublishedPort] = []) {
        departures.addresses.formUnion(endpoints.flatMap(\.allAddresses).map(\.address).filter { !$0.isLinkLocal })
        departures.forwardedPorts.formUnion(ports.filter { $0.transport == .udp && $0.isDirect == nil }.map(\.hostPorts))
        beginRound()
    }

    /// Has the kernel take the cables of endpoints away, too, which are noted already. They would go with their namespace, but for somebody who joined
    /// that; and the kernel takes namespaces down one after another.
    func takeAway(_ endpoints: [EndpointRecord], ports: [PublishedPort]) {
        for endpoint in endpoints where !endpoint.hostLink.isEmpty {
            departures.cables[endpoint.hostLink] = Departures.Cable(linkAddress: endpoint.macAddress, part: part([endpoint]))
        }
        forgetConversations(of: endpoints, ports: ports)
    }

    private func beginRound() {
        guard departures.round == nil, !departures.isEmpty else { return }
        // Belongs to the networks, and ends when what there is now is gone.
        departures.round = Task(executorPreference: TaskThreads.daemon) { await self.endDepartures() }
    }

    private func endDepartures() async {
        let now = departures
        await removeCables(now.cables)
        await aboutConversations { conversations throws(NetworkingError) in
            try conversations.forget(now.addresses, forwardedPorts: now.forwardedPorts)
        }
        // Nobody gets one of them before, and so nobody has let go of it again.
        departures.addresses.subtract(now.addresses)
        departures.forwardedPorts.subtract(now.forwardedPorts)
        for link in now.cables.keys { departures.cables[link] = nil }
        departures.round = nil
        beginRound()
    }

    /// All at once: the kernel waits as long for one as for many.
    private func removeCables(_ cables: [String: Departures.Cable]) async {
        if cables.isEmpty { return }
        failpoint(.cablesLeft)
        let (remover, firewall, notes, logger, links) = (remover, firewall, settings.partingCables, logger, Array(cables.keys))
        do throws(EngineError) {
            try await BlockingWork.run { () throws(EngineError) in
                let failures = remover.remove(links)
                for (link, failure) in failures { logger.error("take the cable \(link) of a container that is gone away: \(failure)") }
                failpoint(.cablesGone)
                var part = Firewall.Part()
                for (link, cable) in cables where failures[link] == nil { part.add(cable.part) }
                do throws(NetworkingError) {
                    // Not before: who joined the container's network may have spoken there until now.
                    try firewall.remove(part)
                    failpoint(.cablesClosed)
                    for link in cables.keys where failures[link] == nil { try notes.forget(link) }
                } catch { throw EngineError(error) }
            }
        } catch { logger.error("forget the cables of containers that are gone: \(error)") }
    }

    /// Waits until nothing is there any more of who had these addresses before.
    func waitUntilGone(_ endpoints: [EndpointRecord]) async {
        let (addresses, linkAddresses) = (endpoints.flatMap(\.allAddresses).map(\.address), Set(endpoints.map(\.macAddress)))
        func areThere() -> Bool {
            !departures.addresses.isDisjoint(with: addresses)
                || departures.cables.values.contains { linkAddresses.contains($0.linkAddress) }
        }
        while let round = departures.round, areThere() { await round.value }
    }

    /// Waits until the cables are gone that are to go now.
    func waitUntilCablesAreGone() async {
        let links = departures.cables.keys.map { $0 }
        while let round = departures.round, links.contains(where: { departures.cables[$0] != nil }) { await round.value }
    }

    /// Gives what is to go the time that it usually takes: the next daemon, which takes the rest away, may be long in coming.
    func shutdown() async {
        if departures.round == nil { return }
        let ended = OneShot<Void>()
        // Belongs to the networks, and ends when the kernel has done what it was told.
        Task(executorPreference: TaskThreads.daemon) {
            await self.waitUntilCablesAreGone()
            ended.settle(())
        }
        if await ended.value(within: Self.patience) == nil {
            logger.warning("cables of containers that are gone are still there: the next daemon takes them away")
        }
    }

    private static let patience = Duration.seconds(5)

    /// Takes away what a former daemon had no time to take away.
    /// - Parameter known: cables of containers that run.
    func removePartingCables(besides known: Set<String>) async {
        let (remover, notes, logger) = (remover, settings.partingCables, logger)
        do throws(EngineError) {
            try await onThread { () throws(NetworkingError) in
                let noted = try notes.all()
                let failures = remover.remove(noted.filter { !known.contains($0) })
                for (link, failure) in failures { logger.error("take the cable \(link) of a container that is gone away: \(failure)") }
                for link in noted where failures[link] == nil { try notes.forget(link) }
            }
        } catch { logger.error("take away cables of containers that are gone: \(error)") }
    }

    /// Has datagrams led to published ports that were sent to them before they were published.
    func forgetConversations(before ports: [FirewallPort]) async {
        guard ports.contains(where: { $0.transport == .udp }) else { return }
        await aboutConversations { conversations throws(NetworkingError) in try conversations.forgetBefore(ports) }
    }

    /// Has the kernel forget what containers left of which a former daemon had no time to tell it. Auxiliary addresses are somebody's who is no
    /// container.
    func forgetConversationsOfNobody() async {
        let blocks = networks.values.filter { $0.document.driver == .bridge }.flatMap(\.document.blocks)
        let holders =
            networks.values.flatMap { $0.members.values.flatMap(\.endpoint.allAddresses) }.map(\.address) + blocks.compactMap(\.gateway)
            + blocks.flatMap(\.auxiliary)
        let (own, known) = (blocks.map(\.block), Set(holders))
        await aboutConversations { conversations throws(NetworkingError) in try conversations.forget(in: own, besides: known) }
    }

    /// What fails is told once: a kernel may keep track of nothing, or not say so.
    private func aboutConversations(_ body: @escaping @Sendable (TrackedConversations) throws(NetworkingError) -> Void) async {
        let conversations = conversations
        do throws(EngineError) {
            try await BlockingWork.run { () throws(EngineError) in
                do throws(NetworkingError) { try body(conversations) } catch { throw EngineError(error) }
            }
        } catch {
            if hasToldOfConversations { return }
            hasToldOfConversations = true
            logger.warning("conversations with containers that are gone may be led on to others: \(error)")
        }
    }
}
