internal import CoreTypes
internal import LinuxSyscalls
internal import Netlink

/// What everybody has of `::1` who is led there.
final class LoopbackSockets {
    /// Of both sockets.
    let place: InternetEndpoint
    let connections: NameServer.OwnedSocket
    let datagrams: NameServer.OwnedSocket
    /// Says which port a datagram was sent to.
    let tracked: TrackedConnections
    /// Conversations by datagrams, by who began each.
    var flows: [InternetEndpoint: LoopbackFlow] = [:]

    init(_ place: InternetEndpoint, _ connections: NameServer.OwnedSocket, _ datagrams: NameServer.OwnedSocket) throws(SyscallError) {
        self.place = place
        self.connections = connections
        self.datagrams = datagrams
        do throws(NetlinkError) { tracked = try TrackedConnections() } catch {
            throw error.cause ?? SyscallError("netlink", error.description, errno: 71)  // EPROTO
        }
    }
}

/// Published ports on `::1`. The kernel leads a packet from there nowhere but back, so that a rule of the firewall leads every such port to
/// one port, where there is one socket for connections and one for datagrams. They go on to the same port of 127.0.0.1, where the kernel does
/// the rest; a port of `::1` alone, or of IPv6 alone, to the container itself.
extension NameServer {
    private static let loopbackV4: [UInt8] = [127, 0, 0, 1]
    private static let (relayLimit, backlog): (Int, Int32) = (1024, 128)
    /// So often another port is tried where one is free for connections and not for datagrams.
    private static let portAttempts = 32
    /// So often, and this far apart, a port that is wished for: the server that was killed may not have closed it yet, and conversations that
    /// the kernel keeps track of are led to that port as long as they last.
    private static let (wishAttempts, wishRestNanoseconds): (Int, Int64) = (50, 10_000_000)

    /// The port that `::1` is listened on; nil where this host has no such address.
    /// - Parameter wish: taken where it is free, or becomes so within half a second.
    func openLoopback(wish: UInt16?) -> UInt16? {
        if let loopback { return loopback.place.port }
        let wishes = wish.map { Array(repeating: $0, count: Self.wishAttempts) } ?? []
        for port in wishes + Array(repeating: 0, count: Self.portAttempts) {
            do throws(SyscallError) {
                let asked = InternetEndpoint(address: IPAddress.loopbackV6.bytes, port: port)
                let listener = try bindInternetSocket(.stream, to: asked, backlog: Self.backlog)
                let place = try localEndpoint(of: listener)
                let receiver = try bindInternetSocket(.datagrams, to: place)
                loopback = try LoopbackSockets(place, OwnedSocket(listener), OwnedSocket(receiver))
                break
            } catch {
                let addressInUse: Int32 = 98
                if error.errno != addressInUse { return nil }
                if port != 0 { rest(nanoseconds: Self.wishRestNanoseconds) }
            }
        }
        guard let loopback else { return nil }
        do throws(SyscallError) {
            let token = try watch(loopback.connections.socket.number, .loopback)
            do throws(SyscallError) { try watch(loopback.datagrams.socket.number, .loopbackDatagrams) } catch {
                forget(loopback.connections.socket.number, token)
                throw error
            }
            return loopback.place.port
        } catch {
            self.loopback = nil
            return nil
        }
    }

    /// Where a port of `::1` leads.
    func loopbackTarget(_ port: UInt16, isStream: Bool) -> InternetEndpoint {
        guard let found = table.loopbackTarget(port, isStream: isStream) else {
            return InternetEndpoint(address: Self.loopbackV4, port: port)
        }
        return InternetEndpoint(address: found.address.bytes, port: found.port)
    }

    func acceptLoopback() {
        guard let loopback, let outer = try? acceptConnection(loopback.connections.socket) else { return }
        // Taken and let go: what waits would be told of for ever.
        guard relayCount < Self.relayLimit else { return }
        do throws(SyscallError) {
            try setNonBlocking(true, of: outer.number)
            // Who connects to the socket's own port means nothing by it.
            let wanted = try originalPort(of: outer)
            guard wanted != loopback.place.port else { return }
            let inner = try connectInternetSocket(.stream, to: loopbackTarget(wanted, isStream: true))
            let relay = LoopbackRelay(outer: outer, inner: inner)
            relayCount += 1
            settle(relay)
        } catch {}
    }

    func serve(_ relay: LoopbackRelay) {
        do throws(SyscallError) {
            if relay.isConnecting {
                try checkConnection(of: relay.inner.socket.number, subject: "a published port")
                relay.isConnecting = false
            }
            try relay.pump()
        } catch { return close(relay) }
        relay.isOver ? close(relay) : settle(relay)
    }

    /// Waits for each end as it needs it; for one that needs nothing not at all, since its hang-up would be told for ever.
    private func settle(_ relay: LoopbackRelay) {
        for end in [relay.outer, relay.inner] {
            let wanted = relay.interest(of: end)
            if wanted == end.interest { continue }
            if end.interest.isEmpty {
                guard let token = try? watch(end.socket.number, .relay(relay), for: wanted) else { return close(relay) }
                end.token = token
            } else if wanted.isEmpty {
                forget(end.socket.number, end.token)
            } else {
                change(end.socket.number, end.token, for: wanted)
            }
            end.interest = wanted
        }
    }

    private func close(_ relay: LoopbackRelay) {
        for end in [relay.outer, relay.inner] where !end.interest.isEmpty { forget(end.socket.number, end.token) }
        relayCount -= 1
    }
}
