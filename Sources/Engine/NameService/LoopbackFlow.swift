internal import LinuxSyscalls
internal import Netlink

/// Datagrams from one sender on `::1` to one published port, and what comes back.
final class LoopbackFlow {
    let sender: InternetEndpoint
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

    init(_ sender: InternetEndpoint, _ port: UInt16, to target: InternetEndpoint, _ socket: consuming OwnedFD, now: Int64) {
        self.sender = sender
        self.port = port
        self.target = target
        self.socket = socket
        lastUse = now
    }
}

/// Datagrams to published ports on `::1`.
extension NameServer {
    private static let (flowLimit, datagramLimitBytes, transport): (Int, Int, UInt8) = (1024, 65_535, 17)

    func takeLoopbackDatagrams() {
        guard let loopback else { return }
        for _ in 0..<Limit.turn {
            // An error is what an answer to somebody who is gone came to: the next datagram is another matter.
            guard let found = try? receiveDatagram(from: loopback.datagrams.socket.number, limitBytes: Self.datagramLimitBytes) else {
                return
            }
            // A datagram is lost where it cannot be passed on, as a network may lose it.
            guard let flow = flow(of: found.sender, loopback) else { continue }
            try? writeAll(found.bytes, to: flow.socket.number, subject: "a published port")
        }
    }

    /// The way on of what somebody sends now; nil where there is none.
    private func flow(of sender: InternetEndpoint, _ loopback: LoopbackSockets) -> LoopbackFlow? {
        // Asked each time: the kernel may have given the sender's port to a conversation with another published one.
        guard let port = try? loopback.tracked.originalPort(Self.transport, from: sender, to: loopback.place), port != loopback.place.port
        else { return nil }
        let now = monotonicNanoseconds()
        let target = loopbackTarget(port, isStream: false)
        if let flow = loopback.flows[sender] {
            // A port that another container has by now leads elsewhere.
            if flow.port == port && flow.target == target {
                flow.lastUse = now
                return flow
            }
            end(flow)
        }
        if loopback.flows.count >= Self.flowLimit, let oldest = loopback.flows.values.min(by: { $0.lastUse < $1.lastUse }) { end(oldest) }
        do throws(SyscallError) {
            let socket = try connectInternetSocket(.datagrams, to: target)
            let flow = LoopbackFlow(sender, port, to: target, socket, now: now)
            flow.token = try watch(flow.socket.number, .flow(flow))
            loopback.flows[sender] = flow
            return flow
        } catch { return nil }
    }

    /// Passes back what a container says.
    func serve(_ flow: LoopbackFlow) {
        guard let loopback else { return }
        for _ in 0..<Limit.turn {
            let found: ReceivedDatagram?
            // That nobody listens there is told to us once, and asked again by the next datagram.
            do throws(SyscallError) { found = try receiveDatagram(from: flow.socket.number, limitBytes: Self.datagramLimitBytes) } catch {
                continue
            }
            guard let found else { return }
            flow.lastUse = monotonicNanoseconds()
            try? sendDatagram(found.bytes, to: flow.sender, through: loopback.datagrams.socket.number)
        }
    }

    private func end(_ flow: LoopbackFlow) {
        forget(flow.socket.number, flow.token)
        loopback?.flows[flow.sender] = nil
    }

    func endIdleFlows(_ now: Int64) {
        for flow in loopback?.flows.values.filter({ now - $0.lastUse > LoopbackFlow.idleNanoseconds }) ?? [] { end(flow) }
    }
}
