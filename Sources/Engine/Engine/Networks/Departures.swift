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
        /// Sees to what there was when it began; nil where none is under way.
        var round: Task<Void, Never>?
        /// Before what the last round left is tried again.
        var pauses = Self.allPauses[...]
        var isPausing = false
        /// Told when the round ends.
        var waiters: [OneShot<Void>] = []

        /// What kept a cable from going may be over soon.
        static let allPauses = [Duration.milliseconds(100), .milliseconds(400), .seconds(1), .seconds(4), .seconds(10)]

        struct Cable {
            /// Whose it was; nil where a former daemon knew.
            var endpoint: EndpointRecord?
            /// What the firewall knows of it.
            var part = Firewall.Part()
            /// Whether the kernel kept it when it was told.
            var isKept = false
        }

        /// Whether there is what no round has seen to.
        var hasNews: Bool { !addresses.isEmpty || !forwardedPorts.isEmpty || cables.values.contains { !$0.isKept } }

        /// Addresses that cables have which the kernel keeps: nobody is to get them.
        func keptAddresses(on network: String) -> Set<IPAddress> {
            let kept = cables.values.filter(\.isKept).compactMap(\.endpoint).filter { $0.networkID == network }
            return Set(kept.flatMap(\.allAddresses).map(\.address))
        }
    }

    /// Has the kernel forget the conversations of endpoints that are gone, with their cables.
    func forgetConversations(of endpoints: [EndpointRecord], ports: [PublishedPort] = []) {
        departures.addresses.formUnion(endpoints.flatMap(\.allAddresses).map(\.address).filter { !$0.isLinkLocal })
        departures.forwardedPorts.formUnion(ports.filter { $0.transport == .udp && $0.isDirect == nil }.map(\.hostPorts))
        if departures.hasNews { beginRound() }
    }

    /// Has the kernel take the cables of endpoints away, too, which are noted already. They would go with their namespace, but for somebody who joined
    /// that; and the kernel takes namespaces down one after another.
    func takeAway(_ endpoints: [EndpointRecord], ports: [PublishedPort]) {
        for endpoint in endpoints where !endpoint.hostLink.isEmpty {
            departures.cables[endpoint.hostLink] = Departures.Cable(endpoint: endpoint, part: part([endpoint]))
        }
        forgetConversations(of: endpoints, ports: ports)
    }

    private func beginRound() {
        guard departures.round == nil else { return }
        // Belongs to the networks, and ends when what there is now is gone, or the kernel has said that it stays.
        departures.round = Task(executorPreference: TaskThreads.daemon) { await self.endDepartures() }
    }

    private func endDepartures() async {
        let now = departures
        let kept = await removeCables(now.cables)
        await aboutConversations { conversations throws(NetworkingError) in
            try conversations.forget(now.addresses, forwardedPorts: now.forwardedPorts)
        }
        // Nobody gets one of them before, and so nobody has let go of it again.
        departures.addresses.subtract(now.addresses)
        departures.forwardedPorts.subtract(now.forwardedPorts)
        for link in now.cables.keys {
            if kept.contains(link) { departures.cables[link]?.isKept = true } else { departures.cables[link] = nil }
        }
        departures.round = nil
        if kept.isEmpty { departures.pauses = Departures.allPauses[...] } else { tryAgainLater(kept) }
        if departures.hasNews { beginRound() }
        let waiters = departures.waiters
        departures.waiters = []
        for waiter in waiters { waiter.settle(()) }
    }

    private func tryAgainLater(_ kept: Set<String>) {
        if departures.isPausing { return }
        guard let pause = departures.pauses.popFirst() else {
            let cables = kept.sorted().joined(separator: ", ")
            return logger.error("cables of containers that are gone stay until another one goes, or until the next daemon: \(cables)")
        }
        departures.isPausing = true
        // Belongs to the networks, and ends after the pause.
        Task(executorPreference: TaskThreads.daemon) {
            try? await Pause.wait(for: pause)
            await self.endPause()
        }
    }

    private func endPause() {
        departures.isPausing = false
        beginRound()
    }

    /// All at once: the kernel waits as long for one as for many.
    /// - Returns: those that stay.
    private func removeCables(_ cables: [String: Departures.Cable]) async -> Set<String> {
        if cables.isEmpty { return [] }
        failpoint(.cablesLeft)
        let (remover, firewall, notes, logger, links) = (remover, firewall, settings.partingCables, logger, Array(cables.keys))
        do throws(EngineError) {
            return try await BlockingWork.run { () throws(EngineError) in
                let failures = remover.remove(links)
                for (link, failure) in failures where cables[link]?.isKept == false {
                    logger.error("take the cable \(link) of a container that is gone away: \(failure)")
                }
                failpoint(.cablesGone)
                var part = Firewall.Part()
                for (link, cable) in cables where failures[link] == nil { part.add(cable.part) }
                // Not before: who joined the container's network may have spoken there until now.
                do throws(NetworkingError) { try firewall.remove(part) } catch { throw EngineError(error) }
                failpoint(.cablesClosed)
                for link in links where failures[link] == nil {
                    // One that is noted and gone is no trouble to the next daemon.
                    do throws(NetworkingError) { try notes.forget(link) } catch { logger.error("\(error)") }
                }
                return Set(failures.keys)
            }
        } catch {
            logger.error("forget the cables of containers that are gone: \(error)")
            return Set(links)
        }
    }

    /// How long who gets an address, or removes a network, waits for those who had it: all rounds and the pauses between them, and some more.
    private static let patience = Duration.seconds(30)

    /// Waits until nothing is there any more of who had these addresses before.
    /// - Throws: `.system` where the kernel keeps it.
    func waitUntilGone(_ endpoints: [EndpointRecord]) async throws(EngineError) {
        let (addresses, linkAddresses) = (endpoints.flatMap(\.allAddresses).map(\.address), Set(endpoints.map(\.macAddress)))
        let areGone = await wait(for: Self.patience) { departures in
            departures.addresses.isDisjoint(with: addresses)
                && !departures.cables.values.contains { $0.endpoint.map { linkAddresses.contains($0.macAddress) } ?? false }
        }
        if areGone { return }
        // Others get other addresses.
        for (link, cable) in departures.cables where cable.endpoint.map({ linkAddresses.contains($0.macAddress) }) ?? false {
            departures.cables[link]?.isKept = true
        }
        let whose = linkAddresses.sorted().joined(separator: ", ")
        throw EngineError(.system, "Address already in use: what a container leaves that had it is still there (\(whose))")
    }

    /// Waits until a network's cables are gone that are to go now.
    /// - Throws: `.system` where the kernel keeps them.
    func waitUntilCablesAreGone(of network: NetworkDocument) async throws(EngineError) {
        let links = departures.cables.filter { ($0.value.endpoint?.networkID ?? network.resource.id) == network.resource.id }.keys.sorted()
        if await wait(for: Self.patience, until: { departures in links.allSatisfy { departures.cables[$0] == nil } }) { return }
        throw EngineError(
            .system,
            "error while removing network: network \(network.resource.name) has cables of containers that are gone "
                + "(\(links.filter { departures.cables[$0] != nil }.joined(separator: ", "))), which the kernel does not take away")
    }

    /// Waits until all cables are gone that are to go now. - Returns: whether they are.
    @discardableResult
    func waitUntilCablesAreGone(for patience: Duration = Networks.patience) async -> Bool {
        let links = Array(departures.cables.keys)
        return await wait(for: patience) { departures in links.allSatisfy { departures.cables[$0] == nil } }
    }

    /// - Returns: false where it is not so in time, or nothing is under way by which it would be.
    private func wait(for patience: Duration, until isSo: (Departures) -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + patience
        // What the kernel has kept so far may go by now.
        if !isSo(departures) { beginRound() }
        while !isSo(departures) {
            let rest = deadline - .now
            guard rest > .zero, departures.round != nil || departures.isPausing else { return false }
            let ended = OneShot<Void>()
            departures.waiters.append(ended)
            // Belongs to whoever waits here, and goes on where its request is cancelled: what was begun is ended.
            _ = await Task(executorPreference: TaskThreads.daemon) { await ended.value(within: rest) }.value
        }
        return true
    }

    /// Gives what is to go the time that it usually takes: the next daemon, which takes the rest away, may be long in coming.
    func shutdown() async {
        if await waitUntilCablesAreGone(for: .seconds(5)) { return }
        logger.warning("cables of containers that are gone are still there: the next daemon takes them away")
    }

    /// Takes away what a former daemon had no time to take away.
    /// - Parameter known: cables of containers that run.
    func removePartingCables(besides known: Set<String>) async {
        let notes = settings.partingCables
        do throws(EngineError) {
            let noted = try await onThread { () throws(NetworkingError) in
                let all = try notes.all()
                for link in all where known.contains(link) { try notes.forget(link) }
                return all.filter { !known.contains($0) }
            }
            for link in noted where departures.cables[link] == nil { departures.cables[link] = Departures.Cable() }
        } catch { logger.error("look for cables of containers that are gone: \(error)") }
        if departures.hasNews { beginRound() }
        await waitUntilCablesAreGone()
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
