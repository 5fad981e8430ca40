internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import Networking

/// The kernel goes on leading a conversation to where it led it first, for as long as it goes on. Of a container that is gone it is to forget
/// all, before somebody else has its address.
extension Networks {
    /// What is still to be forgotten.
    struct OldConversations {
        var addresses: Set<IPAddress> = []
        var forwardedPorts: Set<ClosedRange<UInt16>> = []
        /// Who sees to it; nil while there is nothing.
        var work: Task<Void, Never>?
        var isEmpty: Bool { addresses.isEmpty && forwardedPorts.isEmpty }
    }

    /// Has the kernel forget the conversations of endpoints that are gone. Nobody waits for it but who gets one of their addresses: where a
    /// host has many conversations it takes a while.
    func forgetConversations(of endpoints: [EndpointRecord], ports: [PublishedPort] = []) {
        oldConversations.addresses.formUnion(endpoints.flatMap(\.allAddresses).map(\.address).filter { !$0.isLinkLocal })
        oldConversations.forwardedPorts.formUnion(ports.filter { $0.transport == .udp && $0.isDirect == nil }.map(\.hostPorts))
        guard oldConversations.work == nil, !oldConversations.isEmpty else { return }
        // Belongs to the networks, and ends when there is nothing more to forget.
        oldConversations.work = Task(executorPreference: TaskThreads.daemon) { await self.forgetOldConversations() }
    }

    private func forgetOldConversations() async {
        while !oldConversations.isEmpty {
            let (addresses, ports) = (oldConversations.addresses, oldConversations.forwardedPorts)
            await aboutConversations { conversations throws(NetworkingError) in try conversations.forget(addresses, forwardedPorts: ports) }
            // Nobody gets one of them before, and so nobody has let go of it again.
            oldConversations.addresses.subtract(addresses)
            oldConversations.forwardedPorts.subtract(ports)
        }
        oldConversations.work = nil
    }

    /// Waits until nothing is known any more of who had these addresses before.
    func waitUntilForgotten(_ endpoints: [EndpointRecord]) async {
        let addresses = endpoints.flatMap(\.allAddresses).map(\.address)
        while let work = oldConversations.work, !oldConversations.addresses.isDisjoint(with: addresses) { await work.value }
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
