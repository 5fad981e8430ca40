package import CoreTypes
internal import LinuxSyscalls
internal import Netlink

/// How a network's bridge is made.
package struct BridgePlan: Sendable {
    package var link: String
    /// The host's own addresses on it.
    package var addresses: [InterfaceAddress]
    package var linkAddress: MACAddress?
    package var mtu: UInt32?
    /// Whether the firewall sees what the bridge passes on between its ports, where the kernel can show it.
    package var isFiltered = false

    package init(link: String, addresses: [InterfaceAddress]) {
        self.link = link
        self.addresses = addresses
    }
}

/// The host's side of networks. Every function blocks.
package enum HostNetwork {
    /// The longest name of a link: IFNAMSIZ less its end.
    package static let linkNameLimitBytes = 15

    /// Makes a bridge as planned, or makes one that is there already so. - Returns: what it lacked, in words; empty where it was as planned.
    @discardableResult
    package static func makeBridge(_ plan: BridgePlan) throws(NetworkingError) -> [String] {
        do throws(NetlinkError) {
            var host = try RouteConversation()
            var lacks: [String] = []
            do throws(NetlinkError) {
                try host.makeBridge(plan.link, address: plan.linkAddress, mtu: plan.mtu)
                lacks.append("was taken away")
            } catch { if !error.isExisting { throw error } }
            let isNew = !lacks.isEmpty
            let link = try host.link(named: plan.link)
            guard link.kind == "bridge" else {
                throw NetlinkError(code: .refused, doing: "use \(plan.link) as a bridge", cause: nil, words: "it is none")
            }
            // First, since containers may be on it whom this keeps apart, whatever fails below.
            if plan.isFiltered { try host.setFiltering(of: link) }
            if !plan.addresses.contains(where: { $0.address.family == .v6 }) { KernelSetting.disableIPv6(plan.link).write() }
            // Before its addresses: the kernel makes no route of IPv6 to a link that is off.
            if !link.isUp {
                try host.setLink(link, up: true)
                if !isNew { lacks.append("was switched off") }
            }
            for address in plan.addresses {
                do throws(NetlinkError) {
                    try host.addAddress(address.address, prefixLength: address.prefixLength, to: link)
                    if !isNew { lacks.append("had lost \(address.address)") }
                } catch { if !error.isExisting { throw error } }
            }
            KernelSetting.routesLocalNetwork(plan.link).write()
            return lacks
        } catch { throw NetworkingError(error) }
    }

    /// Makes links ports of their bridge again, and switches them on, where they are not; those that are gone are left out.
    /// - Parameter isolated: whether they are kept apart from each other.
    /// - Returns: those of which something was mended.
    package static func rejoin(_ links: [String], bridge: String, isolated: Bool) throws(NetworkingError) -> [String] {
        do throws(NetlinkError) {
            var host = try RouteConversation()
            let bridge = try host.link(named: bridge)
            var mended: [String] = []
            for name in links {
                do throws(NetlinkError) {
                    let link = try host.link(named: name)
                    if link.bridge == bridge.index && link.isUp { continue }
                    if link.bridge != bridge.index {
                        // Who is to be kept apart hears of nobody before.
                        if isolated { try host.setLink(link, up: false) }
                        try host.setBridge(bridge.index, of: link)
                        try host.setHairpin(of: link)
                        if isolated { try host.keepApart(link, bridge: bridge) }
                    }
                    try host.setLink(link, up: true)
                    mended.append(name)
                } catch {
                    if !error.isMissing { throw error }
                }
            }
            return mended
        } catch { throw NetworkingError(error) }
    }

    /// Keeps ports of a bridge apart from each other by what the kernel has for it now; those that are gone are left out.
    package static func keepApart(_ links: [String], bridge: String) throws(NetworkingError) {
        do throws(NetlinkError) {
            var host = try RouteConversation()
            let bridge = try host.link(named: bridge)
            for name in links {
                do throws(NetlinkError) { try host.keepApart(try host.link(named: name), bridge: bridge) } catch {
                    if !error.isMissing { throw error }
                }
            }
        } catch { throw NetworkingError(error) }
    }

    /// Takes a bridge away; one that is gone is no error.
    package static func removeLink(_ link: String) throws(NetworkingError) {
        do throws(NetlinkError) {
            var host = try RouteConversation()
            try host.deleteLink(link)
        } catch { if !error.isMissing { throw NetworkingError(error) } }
    }

    /// Whether there is such a link.
    package static func hasLink(_ link: String) throws(NetworkingError) -> Bool {
        do throws(NetlinkError) {
            var host = try RouteConversation()
            _ = try host.link(named: link)
            return true
        } catch {
            if error.isMissing { return false }
            throw NetworkingError(error)
        }
    }

    /// The links that are ports of a bridge; none where there is no such bridge.
    package static func ports(of bridge: String) throws(NetworkingError) -> [String] {
        do throws(NetlinkError) {
            var host = try RouteConversation()
            let links = try host.links()
            guard let found = links.first(where: { $0.name == bridge }) else { return [] }
            return links.filter { $0.bridge == found.index }.map(\.name).sorted()
        } catch { throw NetworkingError(error) }
    }

    /// Those of some links that are not there.
    package static func missing(of links: Set<String>) throws(NetworkingError) -> Set<String> {
        if links.isEmpty { return [] }
        do throws(NetlinkError) {
            var host = try RouteConversation()
            return links.subtracting(try host.links().map(\.name))
        } catch { throw NetworkingError(error) }
    }

    /// The blocks that the host has routes to, beside the default route and those of the links named.
    package static func routedBlocks(besides links: Set<String>) throws(NetworkingError) -> [AddressBlock] {
        do throws(NetlinkError) {
            var host = try RouteConversation()
            let own = Set(try host.links().filter { links.contains($0.name) }.map(\.index))
            return try host.routes().filter { route in route.destination.prefixLength > 0 && !(route.linkIndex.map(own.contains) ?? false) }
                .map(\.destination)
        } catch { throw NetworkingError(error) }
    }

    /// Lets the host pass packets on between its links. - Returns: whether it did not before.
    package static func forwardPackets(_ family: IPAddress.Family) throws(NetworkingError) -> Bool {
        let setting = family == .v4 ? KernelSetting.forwardsV4 : KernelSetting.forwardsV6
        if setting.isSet { return false }
        guard setting.write() else {
            throw NetworkingError(.kernel, "the kernel does not let packets be forwarded: /proc/sys/net/\(setting.path)")
        }
        return true
    }
}

extension RouteConversation {
    /// Keeps a port of a bridge apart from others of the kind: by the firewall where the kernel can show it what passes between them,
    /// otherwise by the bridge.
    mutating func keepApart(_ link: NetworkLink, bridge: NetworkLink) throws(NetlinkError) {
        let isShown = KernelSetting.framesCanBeFiltered
        // Before the bridge lets go of it; where this fails, it does not.
        if isShown { try setFiltering(of: bridge) }
        try setIsolated(!isShown, of: link)
    }
}
