package import CoreTypes
internal import LinuxSyscalls

/// A link as the kernel lists it.
package struct NetworkLink: Equatable, Sendable {
    package let index: Int32
    package let name: String
    /// IFF_UP and its like. - Source: netdevice(7).
    package let flags: UInt32
    /// The index of the bridge that it is a port of.
    package let bridge: Int32?
    package let address: MACAddress?
    /// `bridge`, `veth`…; empty for a link of no kind.
    package let kind: String

    package var isUp: Bool { flags & RouteRequest.up != 0 }

    init?(_ message: RouteMessage) {
        guard [RouteRequest.newLink, RouteRequest.deleteLink].contains(message.type), message.body.count >= 16 else { return nil }
        let attributes = message.attributes(after: 16)
        index = Int32(truncatingIfNeeded: nativeInteger(message.body.dropFirst(4).prefix(4)))
        flags = UInt32(nativeInteger(message.body.dropFirst(8).prefix(4)))
        name = Self.text(attributes[3])
        bridge = attributes[10].flatMap { $0.count == 4 ? Int32(truncatingIfNeeded: nativeInteger($0[...])) : nil }
        address = attributes[1].flatMap { MACAddress(bytes: $0) }
        kind = Self.text(attributes[18].flatMap { RouteMessage.attributes(in: $0[...])[1] })
    }

    private static func text(_ bytes: [UInt8]?) -> String { String(decoding: (bytes ?? []).prefix { $0 != 0 }, as: UTF8.self) }
}

/// A route of the main table.
package struct NetworkRoute: Equatable, Sendable {
    package let destination: AddressBlock
    package let gateway: IPAddress?
    package let linkIndex: Int32?
}

/// A pair of links like the ends of a cable: one here, the other in another namespace.
package struct VethPair: Sendable {
    /// The end here.
    package var name: String
    /// The bridge that it becomes a port of.
    package var bridge: Int32
    package var peerName: String
    /// A descriptor of the namespace of the other end.
    package var peerNamespace: Int32
    package var peerAddress: MACAddress?
    /// Bytes of a packet; nil is the kernel's default.
    package var mtu: UInt32?
    /// Whether the end here is up from the beginning.
    package var isUp = true

    package init(name: String, bridge: Int32, peerName: String, peerNamespace: Int32) {
        self.name = name
        self.bridge = bridge
        self.peerName = peerName
        self.peerNamespace = peerNamespace
    }
}

extension RouteConversation {
    // MARK: - Links

    /// The link of this name. - Throws: `refused` with ENODEV where there is none.
    package mutating func link(named name: String) throws(NetlinkError) -> NetworkLink {
        var request = nextRequest(RouteRequest.getLink)
        request.appendLink(index: 0)
        request.appendAttribute(3, text: name)
        return try oneLink(request, name)
    }

    /// The same, of a link by its index.
    package mutating func link(at index: Int32, subject: String) throws(NetlinkError) -> NetworkLink {
        var request = nextRequest(RouteRequest.getLink)
        request.appendLink(index: index)
        return try oneLink(request, subject)
    }

    private func oneLink(_ request: RouteRequest, _ name: String) throws(NetlinkError) -> NetworkLink {
        let doing = "look for network device \(name)"
        guard let link = try perform(request, doing: doing).lazy.compactMap({ NetworkLink($0) }).first else {
            throw NetlinkError(code: .malformedAnswer, doing: doing, cause: nil)
        }
        return link
    }

    /// Every link of the namespace.
    package mutating func links() throws(NetlinkError) -> [NetworkLink] {
        var request = nextRequest(RouteRequest.getLink, wantsDump: true)
        request.appendLink(index: 0)
        return try perform(request, doing: "list network devices").compactMap { NetworkLink($0) }
    }

    /// Makes a bridge that is up. - Throws: `refused` with EEXIST where there is a link of this name.
    package mutating func makeBridge(_ name: String, address: MACAddress?, mtu: UInt32?) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.newLink, creates: true)
        request.appendLink(index: 0, flags: RouteRequest.up, change: RouteRequest.up)
        request.appendAttribute(3, text: name)
        if let address { request.appendAttribute(1, address.bytes) }
        if let mtu { request.appendAttribute(4, number: mtu) }
        request.appendAttribute(18) { $0.appendAttribute(1, text: "bridge") }  // IFLA_LINKINFO, IFLA_INFO_KIND
        try perform(request, doing: "make bridge \(name)")
    }

    /// Makes both ends of a cable in one step; the end here is a port of its bridge.
    package mutating func makeVethPair(_ pair: VethPair) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.newLink, creates: true)
        request.appendLink(index: 0, flags: pair.isUp ? RouteRequest.up : 0, change: RouteRequest.up)
        request.appendAttribute(3, text: pair.name)
        request.appendAttribute(10, number: UInt32(bitPattern: pair.bridge))  // IFLA_MASTER
        if let mtu = pair.mtu { request.appendAttribute(4, number: mtu) }
        request.appendAttribute(18) { info in
            info.appendAttribute(1, text: "veth")
            info.appendAttribute(2) { data in  // IFLA_INFO_DATA
                data.appendAttribute(1) { peer in  // VETH_INFO_PEER
                    peer.appendLink(index: 0)
                    peer.appendAttribute(3, text: pair.peerName)
                    peer.appendAttribute(28, nativeBytes(UInt32(bitPattern: pair.peerNamespace)))  // IFLA_NET_NS_FD
                    if let address = pair.peerAddress { peer.appendAttribute(1, address.bytes) }
                    if let mtu = pair.mtu { peer.appendAttribute(4, nativeBytes(mtu)) }
                }
            }
        }
        try perform(request, doing: "make network device \(pair.name)")
    }

    /// Makes a link that shares the card of another one, in another namespace.
    /// - Parameter mode: of linux/if_link.h: 1 private, 2 vepa, 4 bridge, 8 passthru.
    package mutating func makeMacvlan(
        over parent: Int32, mode: UInt32, named name: String, address: MACAddress?, namespace: Int32
    ) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.newLink, creates: true)
        request.appendLink(index: 0)
        request.appendAttribute(3, text: name)
        request.appendAttribute(5, number: UInt32(bitPattern: parent))  // IFLA_LINK
        request.appendAttribute(28, number: UInt32(bitPattern: namespace))
        if let address { request.appendAttribute(1, address.bytes) }
        request.appendAttribute(18) { info in
            info.appendAttribute(1, text: "macvlan")
            info.appendAttribute(2) { $0.appendAttribute(1, nativeBytes(mode)) }
        }
        try perform(request, doing: "make network device \(name)")
    }

    /// Brings a link up, or down.
    package mutating func setLink(_ link: NetworkLink, up: Bool) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.newLink)
        request.appendLink(index: link.index, flags: up ? RouteRequest.up : 0, change: RouteRequest.up)
        try perform(request, doing: "bring network device \(link.name) \(up ? "up" : "down")")
    }

    /// Makes a link a port of a bridge.
    package mutating func setBridge(_ bridge: Int32, of link: NetworkLink) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.newLink)
        request.appendLink(index: link.index)
        request.appendAttribute(10, number: UInt32(bitPattern: bridge))  // IFLA_MASTER
        try perform(request, doing: "make network device \(link.name) a port of a bridge")
    }

    /// Lets a bridge send what came in at this port out of it again. - Source: IFLA_BRPORT_MODE.
    package mutating func setHairpin(of link: NetworkLink) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.setLink)
        request.appendBridgePort(index: link.index)
        request.appendAttribute(12) { $0.appendAttribute(4, [1]) }  // IFLA_PROTINFO
        try perform(request, doing: "set the hairpin mode of network device \(link.name)")
    }

    /// Makes a port of a bridge nothing but that: it gets no address of IPv6 of its own, and the bridge may send what came in there out of it again.
    /// - Source: IFLA_BRPORT_MODE, IFLA_INET6_ADDR_GEN_MODE.
    package mutating func setPort(_ name: String) throws(NetlinkError) {
        let doing = "set up network device \(name) as a port of a bridge"
        do throws(NetlinkError) { try perform(portRequest(name, namesFamily: true), doing: doing) } catch {
            let noSuchFamily: Int32 = 97  // EAFNOSUPPORT
            guard error.cause?.errno == noSuchFamily else { throw error }
            // Without IPv6 there are no such addresses.
            try perform(portRequest(name, namesFamily: false), doing: doing)
        }
    }

    private mutating func portRequest(_ name: String, namesFamily: Bool) -> RouteRequest {
        let (familyV6, generatesNone): (UInt16, [UInt8]) = (10, [1])
        var request = nextRequest(RouteRequest.newLink)
        request.appendLink(index: 0)
        request.appendAttribute(3, text: name)
        request.appendAttribute(18) { info in  // IFLA_LINKINFO
            info.appendAttribute(4, text: "bridge")  // IFLA_INFO_SLAVE_KIND
            info.appendAttribute(5) { $0.appendAttribute(4, [1]) }  // IFLA_INFO_SLAVE_DATA
        }
        guard namesFamily else { return request }
        request.appendAttribute(26) { families in  // IFLA_AF_SPEC
            families.appendAttribute(familyV6) { $0.appendAttribute(8, generatesNone) }
        }
        return request
    }

    /// Keeps a port of a bridge apart from others of the kind, or does not: what comes in there leaves by other ports only.
    /// - Source: IFLA_BRPORT_ISOLATED.
    package mutating func setIsolated(_ isIsolated: Bool, of link: NetworkLink) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.setLink)
        request.appendBridgePort(index: link.index)
        request.appendAttribute(12) { $0.appendAttribute(33, [isIsolated ? 1 : 0]) }  // IFLA_PROTINFO
        try perform(request, doing: "isolate network device \(link.name)")
    }

    /// Shows the rules for packets what a bridge passes on between its ports, whatever the host's settings say; where the kernel has no
    /// br_netfilter, nothing changes. - Source: IFLA_BR_NF_CALL_IPTABLES, IFLA_BR_NF_CALL_IP6TABLES.
    package mutating func setFiltering(of bridge: NetworkLink) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.newLink)
        request.appendLink(index: bridge.index)
        request.appendAttribute(18) { info in  // IFLA_LINKINFO
            info.appendAttribute(1, text: "bridge")
            info.appendAttribute(2) { data in  // IFLA_INFO_DATA
                for attribute in [UInt16(36), 37] { data.appendAttribute(attribute, [1]) }
            }
        }
        try perform(request, doing: "filter what \(bridge.name) passes on")
    }

    /// Takes a link away, and the other end of a cable with it. - Throws: `refused` with ENODEV where there is none.
    package mutating func deleteLink(_ name: String) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.deleteLink)
        request.appendLink(index: 0)
        request.appendAttribute(3, text: name)
        try perform(request, doing: "remove network device \(name)")
    }

    /// Puts a link into a group. - Throws: `refused` with ENODEV where there is no such link.
    package mutating func setGroup(_ group: UInt32, of name: String) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.setLink)
        request.appendLink(index: 0)
        request.appendAttribute(3, text: name)
        request.appendAttribute(27, number: group)  // IFLA_GROUP
        try perform(request, doing: "put network device \(name) into group \(group)")
    }

    /// Takes all links of a group away, and the other ends of cables with them. - Throws: `refused` with ENODEV where there are none.
    package mutating func deleteLinks(in group: UInt32) throws(NetlinkError) {
        precondition(group != 0, "the group of everybody")
        var request = nextRequest(RouteRequest.deleteLink)
        request.appendLink(index: 0)
        request.appendAttribute(27, number: group)
        try perform(request, doing: "remove the network devices of group \(group)")
    }

    // MARK: - Addresses and routes

    /// Gives a link an address. Other addresses of its block are its neighbours. An IPv6 address is not asked for on the link first.
    package mutating func addAddress(_ address: IPAddress, prefixLength: Int, to link: NetworkLink) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.newAddress, creates: true)
        request.appendAddress(
            family: address.family.number, prefixLength: UInt8(clamping: prefixLength), scope: 0, index: link.index)
        request.appendAttribute(2, address.bytes)  // IFA_LOCAL
        request.appendAttribute(1, address.bytes)  // IFA_ADDRESS
        switch address.family {
        case .v4:
            // As ip(8) does for `brd +`; a block of one or two addresses has no such address.
            if prefixLength < 31, let block = AddressBlock(containing: address, prefixLength: prefixLength) {
                request.appendAttribute(4, block.last.bytes)
            }
        case .v6: request.appendAttribute(8, number: 0x82)  // IFA_FLAGS: permanent, no duplicate address detection
        }
        try perform(request, doing: "give network device \(link.name) the address \(address)/\(prefixLength)")
    }

    /// Every address of the namespace.
    package mutating func addresses() throws(NetlinkError) -> Set<IPAddress> {
        var request = nextRequest(RouteRequest.getAddress, wantsDump: true)
        request.appendAddress(family: 0, prefixLength: 0, scope: 0, index: 0)
        let answer = try perform(request, doing: "list addresses")
        return Set(
            answer.compactMap { message in
                let attributes = message.attributes(after: 8)
                return (attributes[2] ?? attributes[1]).flatMap { IPAddress(bytes: $0) }  // IFA_LOCAL, IFA_ADDRESS
            })
    }

    /// Forgets by which link addresses the host reaches these: what waits for one of them to be found is dropped.
    package mutating func forgetNeighbours(_ addresses: Set<IPAddress>) throws(NetlinkError) {
        for family in Set(addresses.map(\.family)) {
            var request = nextRequest(RouteRequest.getNeighbour, wantsDump: true)
            request.appendNeighbour(family: family.number, index: 0)
            for message in try perform(request, doing: "list neighbours") {
                let index = Int32(truncatingIfNeeded: nativeInteger(message.body.dropFirst(4).prefix(4)))
                guard message.type == RouteRequest.newNeighbour, message.body.count >= 12,
                    let known = message.attributes(after: 12)[1].flatMap({ IPAddress(bytes: $0) }), addresses.contains(known)
                else { continue }
                var removal = nextRequest(RouteRequest.deleteNeighbour)
                removal.appendNeighbour(family: family.number, index: index)
                removal.appendAttribute(1, known.bytes)  // NDA_DST
                do throws(NetlinkError) { try perform(removal, doing: "forget the neighbour \(known)") } catch {
                    let (noEntry, noDevice): (Int32, Int32) = (2, 19)  // gone meanwhile
                    if ![noEntry, noDevice].contains(error.cause?.errno) { throw error }
                }
            }
        }
    }

    /// Sets the route to a block through a gateway of a link's own block, or straight to the link; one that was there is replaced.
    package mutating func setRoute(to destination: AddressBlock, through gateway: IPAddress?, link: NetworkLink) throws(NetlinkError) {
        var request = nextRequest(RouteRequest.newRoute, replaces: true)
        let (universe, thisLink): (UInt8, UInt8) = (0, 253)
        request.appendRoute(
            family: destination.family.number, prefixLength: UInt8(clamping: destination.prefixLength),
            scope: gateway == nil && destination.family == .v4 ? thisLink : universe)
        if destination.prefixLength > 0 { request.appendAttribute(1, destination.base.bytes) }  // RTA_DST
        if let gateway { request.appendAttribute(5, gateway.bytes) }
        request.appendAttribute(4, number: UInt32(bitPattern: link.index))  // RTA_OIF
        try perform(request, doing: "set the route to \(destination)")
    }

    /// The routes of both families that lead somewhere, of the main table.
    package mutating func routes() throws(NetlinkError) -> [NetworkRoute] {
        var found: [NetworkRoute] = []
        for family in [IPAddress.Family.v4, .v6] {
            var request = nextRequest(RouteRequest.getRoute, wantsDump: true)
            request.appendRoute(family: family.number, prefixLength: 0, scope: 0)
            found += try perform(request, doing: "list routes").compactMap { NetworkRoute($0, family: family) }
        }
        return found
    }
}

extension NetworkRoute {
    init?(_ message: RouteMessage, family: IPAddress.Family) {
        let head = Array(message.body.prefix(12))
        let (mainTable, unicast): (UInt8, UInt8) = (254, 1)
        guard message.type == RouteRequest.newRoute, head.count == 12, head[0] == family.number, head[4] == mainTable, head[7] == unicast
        else {
            return nil
        }
        let attributes = message.attributes(after: 12)
        let base = attributes[1].flatMap { IPAddress(bytes: $0) } ?? IPAddress(family, bits: 0)
        guard base.family == family, let destination = AddressBlock(containing: base, prefixLength: Int(head[1])) else { return nil }
        self.destination = destination
        gateway = attributes[5].flatMap { IPAddress(bytes: $0) }
        linkIndex = attributes[4].flatMap { $0.count == 4 ? Int32(truncatingIfNeeded: nativeInteger($0[...])) : nil }
    }
}

extension IPAddress.Family {
    /// AF_INET and AF_INET6.
    var number: UInt8 { self == .v4 ? 2 : 10 }
}
