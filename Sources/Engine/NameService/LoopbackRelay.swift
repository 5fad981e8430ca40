internal import LinuxSyscalls

/// One connection from `::1` of the host, and the one that goes on from there: bytes are passed in both directions until both are over.
final class LoopbackRelay {
    /// One of its two sockets.
    final class End {
        let socket: OwnedFD
        var token: UInt64 = 0
        /// What it is waited for; empty is not at all.
        var interest: Readiness = []
        /// Read at the other end, to be written here.
        var pending: ArraySlice<UInt8> = []
        /// Nothing comes from here any more, and nothing goes there any more.
        var (isReadOut, isShut) = (false, false)

        init(_ socket: consuming OwnedFD) { self.socket = socket }
    }

    /// What is held of one direction while its reader is slow.
    static let bufferBytes = 65_536

    let outer: End
    let inner: End
    var isConnecting = true

    init(outer: consuming OwnedFD, inner: consuming OwnedFD) {
        self.outer = End(outer)
        self.inner = End(inner)
    }

    var isOver: Bool { outer.isShut && inner.isShut }

    /// Passes on what can be passed on without waiting. - Throws: what ends the connection.
    func pump() throws(SyscallError) {
        try pass(from: outer, to: inner)
        try pass(from: inner, to: outer)
    }

    private func pass(from source: End, to target: End) throws(SyscallError) {
        if target.pending.isEmpty && !source.isReadOut {
            var buffer = [UInt8](repeating: 0, count: Self.bufferBytes)
            switch try readAvailable(source.socket.number, into: &buffer) {
            case .bytes(let count): target.pending = buffer[..<count]
            case .end: source.isReadOut = true
            case .wouldBlock: break
            }
        }
        if !target.pending.isEmpty {
            target.pending = target.pending.dropFirst(try writeAvailable(target.pending, to: target.socket.number))
        }
        if source.isReadOut && target.pending.isEmpty && !target.isShut {
            target.isShut = true
            try endWriting(to: target.socket.number)
        }
    }

    /// What an end is to be waited for now.
    func interest(of end: End) -> Readiness {
        if isConnecting { return end === inner ? .writable : [] }
        let other = end === inner ? outer : inner
        var interest: Readiness = []
        if other.pending.isEmpty && !end.isReadOut { interest.insert(.readable) }
        if !end.pending.isEmpty { interest.insert(.writable) }
        return interest
    }
}

/// Published ports on `::1`. The kernel leads a packet from there nowhere but back, so that a rule of the firewall leads every such port to
/// this one socket, which connects to the same port of 127.0.0.1: there the kernel does the rest.
extension NameServer {
    private static let (loopbackV4, loopbackV6): ([UInt8], [UInt8]) = ([127, 0, 0, 1], [UInt8](repeating: 0, count: 15) + [1])
    private static let (relayLimit, backlog): (Int, Int32) = (1024, 128)

    /// The port that `::1` is listened on; nil where this host has no such address.
    func openLoopback() -> UInt16? {
        if let loopback { return (try? localEndpoint(of: loopback.socket))?.port }
        do throws(SyscallError) {
            let listener = try bindInternetSocket(.stream, to: InternetEndpoint(address: Self.loopbackV6, port: 0), backlog: Self.backlog)
            let port = try localEndpoint(of: listener).port
            let owned = OwnedSocket(listener)
            try watch(owned.socket.number, .loopback)
            loopback = owned
            return port
        } catch { return nil }
    }

    func acceptLoopback() {
        guard let loopback, let outer = try? acceptConnection(loopback.socket), relayCount < Self.relayLimit else { return }
        do throws(SyscallError) {
            try setNonBlocking(true, of: outer.number)
            // Who connects to the socket's own port means nothing by it.
            let wanted = try originalPort(of: outer)
            guard wanted != (try localEndpoint(of: loopback.socket).port) else { return }
            let inner = try connectInternetSocket(.stream, to: InternetEndpoint(address: Self.loopbackV4, port: wanted))
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
