package import CoreTypes
internal import LinuxSyscalls

/// A socket of this host that has a port for itself.
package struct LocalSocket: Equatable, Sendable {
    /// `::` of a socket of both families is told of for IPv4 as well, as `0.0.0.0`.
    package let address: IPAddress
    package let port: UInt16
}

/// Which ports the sockets of a network namespace have: one question for all of them, where bind(2) answers for one port at a time.
package enum LocalPorts {
    private static let byFamily: UInt16 = 20  // SOCK_DIAG_BY_FAMILY
    private static let isV6Only: UInt16 = 11  // INET_DIAG_SKV6ONLY
    private static let answerHeader = 72  // struct inet_diag_msg

    /// Sockets that nobody can bind beside: those that listen, those that are bound and do not (told of from Linux 6.8 on), of UDP all.
    /// In the network namespace of the calling thread. Blocks.
    /// - Parameter transport: IPPROTO_TCP or IPPROTO_UDP.
    /// - Throws: `refused` where the kernel tells of no such sockets. - Source: sock_diag(7), linux/inet_diag.h.
    package static func taken(_ transport: UInt8, _ family: IPAddress.Family) throws(NetlinkError) -> [LocalSocket] {
        var conversation = try RouteConversation(.sockets)
        var found: [LocalSocket] = []
        for asked in family == .v4 ? [IPAddress.Family.v4, .v6] : [.v6] {
            for message in try conversation.perform(request(transport, asked, &conversation), doing: "ask which ports are taken") {
                guard let socket = socket(message, asked) else { continue }
                if asked == family {
                    found.append(socket)
                } else if socket.address.isUnspecified, message.attributes(after: answerHeader)[isV6Only] != [1] {
                    found.append(LocalSocket(address: IPAddress(.v4, bits: 0), port: socket.port))
                }
            }
        }
        return found
    }

    private static func request(_ transport: UInt8, _ family: IPAddress.Family, _ conversation: inout RouteConversation) -> RouteRequest {
        let (listening, boundOnly, all): (UInt32, UInt32, UInt32) = (1 << 10, 1 << 13, 0xffff_ffff)
        let tcp: UInt8 = 6
        var request = conversation.nextRequest(byFamily, wantsDump: true)
        request.appendSocketQuestion(
            family: family == .v4 ? 2 : 10, transport: transport, states: transport == tcp ? listening | boundOnly : all)
        return request
    }

    private static func socket(_ message: RouteMessage, _ family: IPAddress.Family) -> LocalSocket? {
        guard message.type == byFamily, message.body.count >= answerHeader else { return nil }
        let port = message.body.dropFirst(4).prefix(2).reduce(0) { $0 << 8 | UInt16($1) }
        let address = Array(message.body.dropFirst(8).prefix(family == .v4 ? 4 : 16))
        guard port != 0, let address = IPAddress(bytes: address) else { return nil }
        return LocalSocket(address: address, port: port)
    }
}

extension RouteRequest {
    /// struct inet_diag_req_v2, of sockets with any addresses.
    mutating func appendSocketQuestion(family: UInt8, transport: UInt8, states: UInt32) {
        let identityBytes = 48
        appendRaw([family, transport, 0, 0] + nativeBytes(states) + [UInt8](repeating: 0, count: identityBytes))
    }
}
