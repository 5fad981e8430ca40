package import CoreTypes
internal import LinuxSyscalls
internal import Netlink
internal import Synchronization

/// What the kernel remembers of who spoke to whom: a conversation that was led to a container goes on being led there, whoever has its address
/// by then, and one that began before a port was published goes on past it. Every function blocks, and may be called from any thread.
package final class TrackedConversations: Sendable {
    private struct Sockets: ~Copyable {
        var flows: TrackedFlows
        var host: RouteConversation
    }

    /// Of more addresses than these all conversations are read once.
    private static let fewAddresses = 8
    private let sockets: Mutex<Sockets>

    /// In the network namespace of the calling thread.
    package init() throws(NetworkingError) {
        do throws(NetlinkError) { sockets = Mutex(Sockets(flows: try TrackedFlows(), host: try RouteConversation())) } catch {
            throw NetworkingError(error)
        }
    }

    /// Forgets all that these addresses began or answered, and datagrams that were led to the forwarder by ports that are published no more.
    package func forget(_ addresses: Set<IPAddress>, forwardedPorts: Set<ClosedRange<UInt16>> = []) throws(NetworkingError) {
        try use { sockets throws(NetlinkError) in
            for family in [IPAddress.Family.v4, .v6] {
                let wanted = addresses.filter { $0.family == family }
                if wanted.count > Self.fewAddresses {
                    try sockets.flows.forget(family, .all) { wanted.contains($0.original.source) || wanted.contains($0.reply.source) }
                } else {
                    for address in wanted {
                        try sockets.flows.forget(family, .from(address)) { $0.original.source == address }
                        try sockets.flows.forget(family, .answered(by: address)) { $0.reply.source == address }
                    }
                }
            }
            // What waits for the link address of who is gone would be sent to who comes.
            try sockets.host.forgetNeighbours(addresses)
            if forwardedPorts.isEmpty { return }
            try sockets.flows.forget(.v6, .of(transport: TransportProtocol.udp.number)) { flow in
                flow.isOfDatagrams && flow.isTranslated && flow.original.destination == flow.reply.source
                    && forwardedPorts.contains { $0.contains(flow.original.destinationPort) }
            }
        }
    }

    /// Forgets datagrams to ports of this host that lead to a container from now on, and led nowhere when they began.
    package func forgetBefore(_ ports: [FirewallPort]) throws(NetworkingError) {
        let ports = ports.filter { $0.transport == .udp && !$0.isDirect }
        if ports.isEmpty { return }
        try use { sockets throws(NetlinkError) in
            let own = try sockets.host.addresses()
            for family in [IPAddress.Family.v4, .v6] {
                try sockets.flows.forget(family, .of(transport: TransportProtocol.udp.number)) { flow in
                    let target = flow.original
                    guard flow.isOfDatagrams, !flow.isTranslated, target.destination.isLoopback || own.contains(target.destination) else {
                        return false
                    }
                    return ports.contains { port in
                        port.isAt(target.destination) && target.destinationPort >= port.hostPort
                            && Int(target.destinationPort) < Int(port.hostPort) + Int(port.count)
                    }
                }
            }
        }
    }

    /// Forgets what nobody has any more of addresses in these blocks.
    /// - Parameter holders: who has addresses there besides the host.
    package func forget(in blocks: [AddressBlock], besides holders: Set<IPAddress>) throws(NetworkingError) {
        try use { sockets throws(NetlinkError) in
            let holders = holders.union(try sockets.host.addresses())
            for family in [IPAddress.Family.v4, .v6] {
                let own = blocks.filter { $0.family == family }
                if own.isEmpty { continue }
                func isNobodys(_ address: IPAddress) -> Bool { !holders.contains(address) && own.contains { $0.contains(address) } }
                try sockets.flows.forget(family, .all) { isNobodys($0.original.source) || isNobodys($0.reply.source) }
            }
        }
    }

    private func use(_ body: (inout Sockets) throws(NetlinkError) -> Void) throws(NetworkingError) {
        let failure = sockets.withLock { sockets -> NetlinkError? in
            do throws(NetlinkError) {
                if try sockets.flows.count() > 0 { try body(&sockets) }
                return nil
            } catch { return error }
        }
        if let failure { throw NetworkingError(failure) }
    }
}

extension FirewallPort {
    fileprivate func isAt(_ address: IPAddress) -> Bool {
        guard let hostAddress else { return true }
        return hostAddress == address || hostAddress.isUnspecified && hostAddress.family == address.family
    }
}

extension TrackedFlow {
    fileprivate var isOfDatagrams: Bool { original.transport == TransportProtocol.udp.number }
    /// Whether somebody else answers than was asked.
    fileprivate var isTranslated: Bool {
        reply.source != original.destination || reply.sourcePort != original.destinationPort
    }
}
