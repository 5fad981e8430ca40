internal import Glibc
internal import LinuxSyscalls

/// A link that was moved to another network namespace, and what it lost on the way.
package struct MovedLink: Equatable, Sendable {
    /// As it is called where it is now.
    package let name: String
    fileprivate let wasUp: Bool
    fileprivate let addresses: [Address]

    fileprivate struct Address: Equatable, Sendable {
        let family: UInt8
        let prefixLength: UInt8
        let scope: UInt8
        /// IFA_LOCAL, IFA_ADDRESS and IFA_BROADCAST by their numbers.
        let attributes: [UInt16: [UInt8]]
    }
}

/// A conversation with the routing service of the network namespace that it was begun in.
package struct RouteConversation: ~Copyable {
    private let socket: OwnedFD
    private var sequence: UInt32 = 0

    /// The most bytes of one answer. - Source: netlink(7) recommends 8 KiB; dumps come in at most 32 KiB.
    private static let answerLimitBytes = 65_536
    /// The most reads of one dump: 4096 × 32 KiB is more than any machine's addresses.
    private static let readLimit = 4096
    private static let up: UInt32 = 1

    package init() throws(NetlinkError) {
        do throws(SyscallError) { socket = try openRouteSocket() } catch {
            throw NetlinkError(code: .transport, doing: "open a route socket", cause: error)
        }
    }

    /// Moves a link of this namespace to another one, under another name.
    /// - Parameter namespace: a descriptor of the other network namespace.
    /// - Throws: `refused` with ENODEV where there is no such link, EEXIST where the name is taken.
    package mutating func moveLink(_ name: String, toNamespace namespace: Int32, as newName: String) throws(NetlinkError) -> MovedLink {
        let (index, flags) = try findLink(name)
        let addresses = try addresses(ofLink: index)
        var request = nextRequest(RouteRequest.newLink)
        request.appendLink(index: index)
        request.appendAttribute(28, number: UInt32(bitPattern: namespace))  // IFLA_NET_NS_FD
        request.appendAttribute(3, text: newName)  // IFLA_IFNAME
        _ = try perform(request, doing: "move network device \(name)")
        return MovedLink(name: newName, wasUp: flags & Self.up != 0, addresses: addresses)
    }

    /// Gives a link that was moved here its addresses again, and brings it up if it was.
    package mutating func restore(_ link: MovedLink) throws(NetlinkError) {
        let (index, _) = try findLink(link.name)
        for address in link.addresses {
            var request = nextRequest(RouteRequest.newAddress)
            request.appendAddress(family: address.family, prefixLength: address.prefixLength, scope: address.scope, index: index)
            for (type, value) in address.attributes.sorted(by: { $0.key < $1.key }) { request.appendAttribute(type, value) }
            _ = try perform(request, doing: "set the address of network device \(link.name)")
        }
        guard link.wasUp else { return }
        var request = nextRequest(RouteRequest.newLink)
        request.appendLink(index: index, flags: Self.up, change: Self.up)
        _ = try perform(request, doing: "bring network device \(link.name) up")
    }

    private mutating func nextRequest(_ type: UInt16, wantsDump: Bool = false) -> RouteRequest {
        sequence += 1
        return RouteRequest(type, sequence: sequence, wantsDump: wantsDump)
    }

    private mutating func findLink(_ name: String) throws(NetlinkError) -> (index: Int32, flags: UInt32) {
        var request = nextRequest(RouteRequest.getLink)
        request.appendLink(index: 0)
        request.appendAttribute(3, text: name)
        let doing = "look for network device \(name)"
        let answer = try perform(request, doing: doing)
        guard let link = answer.first(where: { $0.type == RouteRequest.newLink }), link.body.count >= 16 else {
            throw NetlinkError(code: .malformedAnswer, doing: doing, cause: nil)
        }
        let index = Int32(truncatingIfNeeded: nativeInteger(link.body.dropFirst(4).prefix(4)))
        return (index, UInt32(nativeInteger(link.body.dropFirst(8).prefix(4))))
    }

    /// Those that last and mean the same everywhere. - Spec: config-linux.md, "Network Devices".
    private mutating func addresses(ofLink index: Int32) throws(NetlinkError) -> [MovedLink.Address] {
        var request = nextRequest(RouteRequest.getAddress, wantsDump: true)
        request.appendAddress(family: 0, prefixLength: 0, scope: 0, index: 0)
        let answer = try perform(request, doing: "list addresses")
        return answer.compactMap { message in
            let body = Array(message.body.prefix(8))
            guard message.type == RouteRequest.newAddress, body.count == 8, nativeInteger(body[4..<8]) == UInt64(UInt32(bitPattern: index))
            else { return nil }
            let attributes = message.attributes(after: 8)
            let flags = attributes[8].map { nativeInteger($0[...]) } ?? UInt64(body[2])  // IFA_FLAGS
            guard body[3] == 0, flags & 0x80 != 0 else { return nil }
            return MovedLink.Address(
                family: body[0], prefixLength: body[1], scope: body[3], attributes: attributes.filter { [1, 2, 4].contains($0.key) })
        }
    }

    /// Sends a request and returns the answer's messages, up to its end.
    private func perform(_ request: RouteRequest, doing: String) throws(NetlinkError) -> [RouteMessage] {
        var answer: [RouteMessage] = []
        do throws(SyscallError) {
            try writeAll(request.bytes, to: socket.number, subject: "NETLINK_ROUTE")
            for _ in 0..<Self.readLimit {
                let bytes = try readChunk(socket.number, limitBytes: Self.answerLimitBytes, subject: "NETLINK_ROUTE")
                guard let messages = RouteMessage.all(in: bytes[...]) else { throw SyscallError("read", "NETLINK_ROUTE", errno: EPROTO) }
                for message in messages {
                    if message.type == RouteMessage.done { return answer }
                    if let errno = message.errno {
                        if errno == 0 { return answer }
                        throw SyscallError("netlink", errno: errno)
                    }
                    answer.append(message)
                }
            }
            throw SyscallError("read", "NETLINK_ROUTE", errno: EMSGSIZE)
        } catch {
            throw NetlinkError(code: error.call == "netlink" ? .refused : .transport, doing: doing, cause: error)
        }
    }
}
