internal import LinuxSyscalls
internal import Netlink

/// Datagrams from one sender to one published port, and what comes back.
final class ForwarderFlow {
    /// Who talks with which address of the host.
    struct Ends: Hashable {
        let sender: InternetEndpoint
        let address: [UInt8]
    }

    let ends: Ends
    /// The published port.
    let port: UInt16
    /// To where the port leads, and led when the socket was made.
    let target: InternetEndpoint
    let socket: OwnedFD
    var token: UInt64 = 0
    /// Of the clock that is never set.
    var lastUse: Int64

    /// The kernel forgets what was answered after two minutes, and what was not after half of one.
    static let idleNanoseconds: Int64 = 90_000_000_000

    init(_ ends: Ends, _ port: UInt16, to target: InternetEndpoint, _ socket: consuming OwnedFD, now: Int64) {
        self.ends = ends
        self.port = port
        self.target = target
        self.socket = socket
        lastUse = now
    }

    /// Whether the host talks with itself.
    var isOwn: Bool { ends.isOwn }
}

extension ForwarderFlow.Ends {
    fileprivate var isOwn: Bool { sender.address == address }
}

/// Datagrams to published ports.
extension NameServer {
    /// The most at once, of the host's own conversations and of others'.
    private static let flowLimit = 1024
    private static let (datagramLimitBytes, transport): (Int, UInt8) = (65_535, 17)

    func takeForwardedDatagrams() {
        guard let forwarder else { return }
        for _ in 0..<Limit.turn {
            // An error is what an answer to somebody who is gone came to: the next datagram is another matter.
            guard let found = try? receiveAddressedDatagram(from: forwarder.datagrams.socket.number, limitBytes: Self.datagramLimitBytes)
            else { return }
            // A datagram is lost where it cannot be passed on, as a network may lose it.
            guard let flow = flow(of: ForwarderFlow.Ends(sender: found.sender, address: found.address), forwarder) else { continue }
            try? writeAll(found.bytes, to: flow.socket.number, subject: "a published port")
        }
    }

    /// The way on of what somebody sends now; nil where there is none.
    private func flow(of ends: ForwarderFlow.Ends, _ forwarder: ForwarderSockets) -> ForwarderFlow? {
        // Asked each time: the kernel may have given the sender's port to a conversation with another published one.
        let place = InternetEndpoint(address: ends.address, port: forwarder.port)
        guard let port = try? forwarder.tracked.originalPort(Self.transport, from: ends.sender, to: place), port != forwarder.port else {
            return nil
        }
        let now = monotonicNanoseconds()
        let target = target(of: InternetEndpoint(address: ends.address, port: port), isStream: false)
        if let flow = forwarder.flows[ends] {
            // A port that another container has by now leads elsewhere.
            if flow.port == port && flow.target == target {
                flow.lastUse = now
                return flow
            }
            end(flow)
        }
        guard let target else { return nil }
        makeRoom(for: ends, forwarder)
        do throws(SyscallError) {
            let socket = try connectInternetSocket(.datagrams, to: target)
            let flow = ForwarderFlow(ends, port, to: target, socket, now: now)
            flow.token = try watch(flow.socket.number, .flow(flow))
            forwarder.flows[ends] = flow
            return flow
        } catch { return nil }
    }

    /// The conversation that rested longest makes room for the next; those of strangers for none of the host's.
    private func makeRoom(for ends: ForwarderFlow.Ends, _ forwarder: ForwarderSockets) {
        if forwarder.flows.count < Self.flowLimit { return }
        let alike = forwarder.flows.values.filter { $0.isOwn == ends.isOwn }
        if alike.count >= Self.flowLimit, let oldest = alike.min(by: { $0.lastUse < $1.lastUse }) { end(oldest) }
    }

    /// Passes back what a container says.
    func serve(_ flow: ForwarderFlow) {
        guard let forwarder else { return }
        for _ in 0..<Limit.turn {
            let found: ReceivedDatagram?
            // That nobody listens there is told to us once, and asked again by the next datagram.
            do throws(SyscallError) { found = try receiveDatagram(from: flow.socket.number, limitBytes: Self.datagramLimitBytes) } catch {
                continue
            }
            guard let found else { return }
            flow.lastUse = monotonicNanoseconds()
            try? sendDatagram(found.bytes, to: flow.ends.sender, from: flow.ends.address, through: forwarder.datagrams.socket.number)
        }
    }

    private func end(_ flow: ForwarderFlow) {
        forget(flow.socket.number, flow.token)
        forwarder?.flows[flow.ends] = nil
    }

    func endIdleFlows(_ now: Int64) {
        for flow in forwarder?.flows.values.filter({ now - $0.lastUse > ForwarderFlow.idleNanoseconds }) ?? [] { end(flow) }
    }
}
