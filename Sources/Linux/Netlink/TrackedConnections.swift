internal import Glibc
package import LinuxSyscalls

/// Asks the kernel's connection tracking, in the network namespace that it was begun in.
package final class TrackedConnections {
    private let socket: FirewallSocket
    private var sequence: UInt32 = 0
    private static let trackingSubsystem: UInt16 = 1
    private static let (original, reply): (UInt16, UInt16) = (1, 2)

    package init() throws(NetlinkError) { socket = try FirewallSocket() }

    /// The port that datagrams were sent to before the firewall led them here; nil where nobody keeps track of them. Waits for nothing.
    /// - Parameters:
    ///   - transport: IPPROTO_UDP.
    ///   - sender: where they seem to come from, of IPv6.
    ///   - local: where they were led to.
    /// - Source: linux/netfilter/nfnetlink_conntrack.h, IPCTNL_MSG_CT_GET.
    package func originalPort(
        _ transport: UInt8, from sender: InternetEndpoint, to local: InternetEndpoint
    ) throws(NetlinkError) -> UInt16? {
        let doing = "ask where port \(sender.port) was going"
        let (get, request, familyV6): (UInt16, UInt16, UInt8) = (1, 0x01, 10)
        var body = MessageWriter()
        body.appendAttribute(Self.reply) { Self.append(transport, from: local, to: sender, to: &$0) }
        sequence &+= 1
        var message = MessageWriter()
        message.appendNetfilterMessage(
            type: Self.trackingSubsystem << 8 | get, flags: request, sequence: sequence, family: familyV6, resource: 0, body: body.bytes)
        let answers: [RouteMessage]
        do throws(SyscallError) {
            try writeAll(message.bytes, to: socket.socket.number, subject: "NETLINK_NETFILTER")
            answers = try socket.answers()
        } catch { throw NetlinkError(code: .transport, doing: doing, cause: error) }
        guard let answer = answers.first(where: { $0.sequence == sequence }) else {
            throw NetlinkError(code: .malformedAnswer, doing: doing, cause: nil)
        }
        if let refusal = answer.refusal(doing: doing) {
            if refusal.cause?.errno == ENOENT { return nil }
            throw refusal
        }
        return Self.destinationPort(answer)
    }

    /// A tuple: CTA_TUPLE_IP with its two addresses, CTA_TUPLE_PROTO with the protocol and its two ports.
    private static func append(
        _ transport: UInt8, from source: InternetEndpoint, to target: InternetEndpoint, to tuple: inout MessageWriter
    ) {
        tuple.appendAttribute(1) { addresses in
            addresses.appendAttribute(3, source.address)
            addresses.appendAttribute(4, target.address)
        }
        tuple.appendAttribute(2) { ports in
            ports.appendAttribute(1, [transport])
            ports.appendAttribute(2, [UInt8(source.port >> 8), UInt8(source.port & 0xff)])
            ports.appendAttribute(3, [UInt8(target.port >> 8), UInt8(target.port & 0xff)])
        }
    }

    private static func destinationPort(_ answer: RouteMessage) -> UInt16? {
        guard let tuple = answer.attributes(after: 4)[original], let ports = RouteMessage.attributes(in: tuple[...])[2],
            let port = RouteMessage.attributes(in: ports[...])[3], port.count == 2
        else { return nil }
        return UInt16(port[0]) << 8 | UInt16(port[1])
    }
}
