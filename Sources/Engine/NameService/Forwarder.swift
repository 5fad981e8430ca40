internal import CoreTypes
internal import LinuxSyscalls
internal import Netlink

/// What everybody has who is led on by this process.
final class ForwarderSockets {
    /// The port of both sockets, at every IPv6 address of the host.
    let port: UInt16
    let connections: NameServer.OwnedSocket
    let datagrams: NameServer.OwnedSocket
    /// Says which port a datagram was sent to.
    let tracked: TrackedConnections
    /// Conversations by datagrams.
    var flows: [ForwarderFlow.Ends: ForwarderFlow] = [:]
    /// Connections that are led on: from the host itself, and from elsewhere.
    var (ownRelays, otherRelays) = (0, 0)

    init(port: UInt16, _ connections: NameServer.OwnedSocket, _ datagrams: NameServer.OwnedSocket) throws(SyscallError) {
        self.port = port
        self.connections = connections
        self.datagrams = datagrams
        do throws(NetlinkError) { tracked = try TrackedConnections() } catch {
            throw error.cause ?? SyscallError("netlink", error.description, errno: 71)  // EPROTO
        }
    }
}

/// Published ports at IPv6 addresses of the host that the kernel cannot lead on: those of `::1`, from where it leads a packet nowhere but back,
/// and all of containers that have IPv4 alone. A rule of the firewall leads every such port to one port, where there is one socket for
/// connections and one for datagrams. From `::1` they go on to the same port of 127.0.0.1, where the kernel does the rest, or to the container, as
/// its entry says; from other addresses to the container alone, since what is published on 127.0.0.1 is for nobody else.
extension NameServer {
    private static let loopbackV4: [UInt8] = [127, 0, 0, 1]
    private static let anyAddress = [UInt8](repeating: 0, count: 16)
    /// The most at once, of the host's own connections and of others': strangers keep nobody of the host from its containers.
    private static let (relayLimit, backlog): (Int, Int32) = (1024, 128)
    /// Who is gone without a word is found out within some minutes.
    private static let keepAliveSeconds: Int32 = 15
    /// So often another port is tried where one is free for connections and not for datagrams.
    private static let portAttempts = 32
    /// So often, and this far apart, a port that is wished for: the server that was killed may not have closed it yet, and conversations that
    /// the kernel keeps track of are led to that port as long as they last.
    private static let (wishAttempts, wishRestNanoseconds): (Int, Int64) = (50, 10_000_000)

    /// The port that is listened on; nil where this host has no IPv6.
    /// - Parameter wish: taken where it is free, or becomes so within half a second.
    func openForwarder(wish: UInt16?) -> UInt16? {
        if let forwarder { return forwarder.port }
        let wishes = wish.map { Array(repeating: $0, count: Self.wishAttempts) } ?? []
        for port in wishes + Array(repeating: 0, count: Self.portAttempts) {
            do throws(SyscallError) {
                let listener = try bindInternetSocket(
                    .stream, to: InternetEndpoint(address: Self.anyAddress, port: port), backlog: Self.backlog)
                let place = try localEndpoint(of: listener)
                let receiver = try bindInternetSocket(.datagrams, to: place)
                try tellLocalAddresses(by: receiver.number)
                forwarder = try ForwarderSockets(port: place.port, OwnedSocket(listener), OwnedSocket(receiver))
                break
            } catch {
                let addressInUse: Int32 = 98
                if error.errno != addressInUse { return nil }
                if port != 0 { rest(nanoseconds: Self.wishRestNanoseconds) }
            }
        }
        guard let forwarder else { return nil }
        do throws(SyscallError) {
            let token = try watch(forwarder.connections.socket.number, .forwarder)
            do throws(SyscallError) { try watch(forwarder.datagrams.socket.number, .forwarderDatagrams) } catch {
                forget(forwarder.connections.socket.number, token)
                throw error
            }
            return forwarder.port
        } catch {
            self.forwarder = nil
            return nil
        }
    }

    /// Where a port of an address of the host leads; nil where it does not.
    func target(of place: InternetEndpoint, isStream: Bool) -> InternetEndpoint? {
        guard let address = IPAddress(bytes: place.address) else { return nil }
        if let found = table.target(place.port, at: address, isStream: isStream) {
            return InternetEndpoint(address: found.address.bytes, port: found.port)
        }
        return address == .loopbackV6 ? InternetEndpoint(address: Self.loopbackV4, port: place.port) : nil
    }

    func acceptForwarded() {
        guard let forwarder, let outer = try? acceptConnection(forwarder.connections.socket) else { return }
        do throws(SyscallError) {
            try setNonBlocking(true, of: outer.number)
            let place = InternetEndpoint(address: try localEndpoint(of: outer).address, port: try originalPort(of: outer))
            // Who connects to the socket's own port means nothing by it.
            guard place.port != forwarder.port, let target = target(of: place, isStream: true) else { return }
            let isOwn = place.address == IPAddress.loopbackV6.bytes
            // Taken and let go: what waits would be told of for ever.
            guard (isOwn ? forwarder.ownRelays : forwarder.otherRelays) < Self.relayLimit else { return }
            if !isOwn { try keepAlive(outer.number, seconds: Self.keepAliveSeconds) }
            let inner = try connectInternetSocket(.stream, to: target)
            let relay = ForwarderRelay(place, to: target, isOwn: isOwn, outer: outer, inner: inner)
            count(relay, 1)
            settle(relay)
        } catch {}
    }

    private func count(_ relay: ForwarderRelay, _ change: Int) {
        if relay.isOwn { forwarder?.ownRelays += change } else { forwarder?.otherRelays += change }
    }

    func serve(_ relay: ForwarderRelay) {
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
    private func settle(_ relay: ForwarderRelay) {
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

    private func close(_ relay: ForwarderRelay) {
        for end in [relay.outer, relay.inner] where !end.interest.isEmpty {
            forget(end.socket.number, end.token)
            end.interest = []
        }
        if relay.isClosed { return }
        relay.isClosed = true
        count(relay, -1)
    }

    /// Ends connections that would lead elsewhere by now, or nowhere: of a container that is gone they would wait for ever.
    func closeStrayRelays() {
        guard let forwarder, forwarder.ownRelays + forwarder.otherRelays > 0 else { return }
        for case .relay(let relay) in subjects.values where target(of: relay.place, isStream: true) != relay.target { close(relay) }
    }
}
