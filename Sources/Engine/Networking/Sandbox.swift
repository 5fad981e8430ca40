package import CoreTypes
internal import LinuxSyscalls
internal import Netlink
package import SystemPackage

/// An address with its neighbours' block.
package struct InterfaceAddress: Hashable, Sendable {
    package let address: IPAddress
    package let prefixLength: Int

    package init(_ address: IPAddress, prefixLength: Int) {
        self.address = address
        self.prefixLength = prefixLength
    }
}

/// How a container's end of a network is made.
package struct CablePlan: Sendable {
    /// The link of the bridge, or the card that a macvlan shares.
    package var parent: String
    /// The host's end; unused by a macvlan.
    package var hostLink: String
    /// `eth0`…
    package var insideLink: String
    package var linkAddress: MACAddress
    package var addresses: [InterfaceAddress]
    /// Where packets for elsewhere go, at most one for each family.
    package var gateways: [IPAddress] = []
    package var mtu: UInt32?
    /// Whether nothing passes between this end and others of the kind but by published ports.
    package var isIsolated = false
    /// Settings of the kernel for the link inside, by their paths below /proc/sys/net.
    package var settings: [String: String] = [:]
    /// Nil is a cable to a bridge; otherwise the mode of a macvlan.
    package var macvlanMode: UInt32?

    var hasIPv6: Bool { addresses.contains { $0.address.family == .v6 } }

    package init(parent: String, hostLink: String, insideLink: String, linkAddress: MACAddress, addresses: [InterfaceAddress]) {
        self.parent = parent
        self.hostLink = hostLink
        self.insideLink = insideLink
        self.linkAddress = linkAddress
        self.addresses = addresses
    }
}

/// Where packets for elsewhere leave a container.
package struct DefaultRoute: Sendable {
    /// `eth0`…
    package let link: String
    /// At most one for each family.
    package let gateways: [IPAddress]

    package init(link: String, gateways: [IPAddress]) {
        self.link = link
        self.gateways = gateways
    }
}

/// The inside of a container's network. Every function blocks, and runs on the namespace thread.
package enum Sandbox {
    /// Makes a namespace with all its cables. On failure nothing is left.
    /// - Parameter userNamespace: the file of the one that it belongs to; nil is the caller's.
    package static func make(
        _ namespace: PinnedNamespace, of userNamespace: FilePath? = nil, cables: [CablePlan]
    ) throws(NetworkingError) {
        if let userNamespace { try namespace.make(of: userNamespace) } else { try namespace.make() }
        do throws(NetworkingError) {
            var host = try conversation()
            // Each change of a link waits for whatever else the kernel is at with any of the host's, and a setting of a link that there is
            // asks for that again and again: here is nobody yet whom it would concern what links are born with.
            let (bare, others) = (cables.filter { !$0.hasIPv6 }, cables.filter(\.hasIPv6))
            let usual = try namespace.enter { () throws(NetworkingError) in
                do throws(NetlinkError) { try bringLoopbackUp() } catch { throw NetworkingError(error) }
                return bare.isEmpty ? nil : KernelSetting.exchange(.disableIPv6("default"))
            }
            try plug(bare, into: namespace, &host)
            if let usual { try namespace.enter { () throws(NetworkingError) in _ = usual.write() } }
            try plug(others, into: namespace, &host)
            try configure(cables, in: namespace)
        } catch { throw error.followed(by: namespace.remove) }
    }

    /// Adds a cable to a namespace that is in use. On failure nothing is left.
    package static func add(_ cable: CablePlan, to namespace: PinnedNamespace) throws(NetworkingError) {
        var host = try conversation()
        do throws(NetworkingError) {
            try plug([cable], into: namespace, &host)
            try configure([cable], in: namespace)
        } catch {
            throw error.followed { () throws(NetworkingError) in try remove(cable.insideLink, from: namespace) }
        }
    }

    /// Takes a cable out of a namespace.
    package static func remove(_ insideLink: String, from namespace: PinnedNamespace) throws(NetworkingError) {
        try namespace.enter { () throws(NetworkingError) in
            var inside = try conversation()
            do throws(NetlinkError) { try inside.deleteLink(insideLink) } catch {
                if !error.isMissing { throw NetworkingError(error) }
            }
        }
    }

    /// Takes links out of a namespace that is to go, before the kernel does in its own time; where it is gone already, they go with it.
    package static func empty(_ namespace: PinnedNamespace, of insideLinks: [String]) throws(NetworkingError) {
        if insideLinks.isEmpty { return }
        do throws(SyscallError) { _ = try namespace.open() } catch {
            if error.errno == Errno.noSuchFileOrDirectory.rawValue { return }
            throw NetworkingError(.kernel, "open a container's network: \(error)")
        }
        for link in insideLinks { try remove(link, from: namespace) }
    }

    /// Leads packets for elsewhere through these gateways, whichever had them before.
    package static func setRoutes(_ routes: [DefaultRoute], in namespace: PinnedNamespace) throws(NetworkingError) {
        if routes.isEmpty { return }
        try namespace.enter { () throws(NetworkingError) in
            var inside = try conversation()
            do throws(NetlinkError) {
                for each in routes { try route(each.gateways, through: try inside.link(named: each.link), &inside) }
            } catch { throw NetworkingError(error) }
        }
    }

    private static func conversation() throws(NetworkingError) -> RouteConversation {
        do throws(NetlinkError) { return try RouteConversation() } catch { throw NetworkingError(error) }
    }

    /// Makes cables whose other ends are there.
    private static func plug(
        _ cables: [CablePlan], into namespace: PinnedNamespace, _ host: inout RouteConversation
    ) throws(NetworkingError) {
        if cables.isEmpty { return }
        let pinned: OwnedFD
        do throws(SyscallError) { pinned = try namespace.open() } catch {
            throw NetworkingError(.kernel, "open a container's network: \(error)")
        }
        do throws(NetlinkError) { for cable in cables { try plug(cable, into: pinned.number, &host) } } catch {
            throw NetworkingError(error)
        }
    }

    private static func configure(_ cables: [CablePlan], in namespace: PinnedNamespace) throws(NetworkingError) {
        try namespace.enter { () throws(NetworkingError) in
            var inside = try conversation()
            do throws(NetlinkError) { for cable in cables { try configure(cable, &inside) } } catch { throw NetworkingError(error) }
        }
    }

    /// Makes both ends of a cable.
    private static func plug(_ cable: CablePlan, into namespace: Int32, _ host: inout RouteConversation) throws(NetlinkError) {
        let parent = try host.link(named: cable.parent)
        if let mode = cable.macvlanMode {
            return try host.makeMacvlan(
                over: parent.index, mode: mode, named: cable.insideLink, address: cable.linkAddress, namespace: namespace)
        }
        var pair = VethPair(name: cable.hostLink, bridge: parent.index, peerName: cable.insideLink, peerNamespace: namespace)
        pair.peerAddress = cable.linkAddress
        pair.mtu = cable.mtu
        // Who is to be kept apart hears of nobody before.
        pair.isUp = !cable.isIsolated
        try host.makeVethPair(pair)
        // Who asks its own published port by the host's address is answered by itself where the rules for packets see frames, now or later.
        try host.setPort(cable.hostLink)
        // Should it ever be without its bridge.
        KernelSetting.hearsNoRouters(cable.hostLink).write()
        guard cable.isIsolated else { return }
        let link = try host.link(named: cable.hostLink)
        try host.keepApart(link, bridge: parent)
        try host.setLink(link, up: true)
    }

    private static func configure(_ cable: CablePlan, _ inside: inout RouteConversation) throws(NetlinkError) {
        let link = try inside.link(named: cable.insideLink)
        let isBare = KernelSetting.disableIPv6(cable.insideLink)
        if !cable.hasIPv6 && !isBare.isSet { isBare.write() }
        for address in cable.addresses { try inside.addAddress(address.address, prefixLength: address.prefixLength, to: link) }
        for (path, value) in cable.settings.sorted(by: { $0.key < $1.key }) where !KernelSetting(path: path, value: value).write() {
            throw NetlinkError(code: .refused, doing: "set /proc/sys/net/\(path) to \(value)", cause: nil, words: "the kernel refuses it")
        }
        try inside.setLink(link, up: true)
        try route(cable.gateways, through: link, &inside)
    }

    private static func route(_ gateways: [IPAddress], through link: NetworkLink, _ inside: inout RouteConversation) throws(NetlinkError) {
        for gateway in gateways {
            guard let everywhere = AddressBlock(containing: IPAddress(gateway.family, bits: 0), prefixLength: 0) else { continue }
            try inside.setRoute(to: everywhere, through: gateway, link: link)
        }
    }
}

extension NetlinkError {
    /// What was to be changed or removed is not there.
    var isMissing: Bool { code == .refused && (cause?.errno == 19 || cause?.errno == 2) }  // ENODEV, ENOENT
    /// What was to be made is there.
    var isExisting: Bool { code == .refused && cause?.errno == 17 }  // EEXIST
}
