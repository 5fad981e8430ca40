package import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import Synchronization

/// Something that changed in the network namespace of the watch.
package enum NetworkChange: Hashable, Sendable {
    /// A table of the firewall, or what is in it, was changed.
    case table(String)
    case linkGone(String)
    /// A link was switched on or off, or joined or left a bridge; or this is the first that is heard of it.
    case linkChanged(String)
    /// A link lost an address.
    case addressGone
    /// The host passes packets of this family on no more.
    case forwardingOff(IPAddress.Family)
    /// More changed than was listened to.
    case missed
}

/// Hears of changes that anybody makes.
package final class NetworkWatch: Sendable {
    /// Nil where changes of the firewall are not listened to.
    private let firewall: OwnedFD?
    private let links: OwnedFD
    /// Both, by their numbers.
    private let sockets: [Int32]
    /// What was last heard of each link, by its index: it is told in as many words when a cable's other end comes and goes.
    private let known = Mutex<[Int32: LinkState]>([:])
    private static let bufferBytes: Int32 = 1 << 20

    private struct LinkState: Equatable {
        let (name, isUp, bridge): (String, Bool, Int32?)
    }

    /// - Parameter hearsFirewall: where nobody listens, the kernel writes no word for each of a thousand elements that a change adds.
    package init(hearsFirewall: Bool) throws(NetlinkError) {
        let (nftables, linkGroup): (Int32, Int32) = (7, 1)  // NFNLGRP_NFTABLES, RTNLGRP_LINK
        // RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF
        let others: [Int32] = [5, 9, 24, 25]
        links = try Self.listen(.route, to: linkGroup)
        if hearsFirewall {
            let socket = try Self.listen(.netfilter, to: nftables)
            sockets = [links.number, socket.number]
            firewall = consume socket
        } else {
            sockets = [links.number]
            firewall = nil
        }
        do throws(SyscallError) { for group in others { try joinNetlinkGroup(group, of: links) } } catch {
            throw NetlinkError(code: .transport, doing: "watch the network", cause: error)
        }
    }

    private static func listen(_ service: NetlinkService, to group: Int32) throws(NetlinkError) -> OwnedFD {
        do throws(SyscallError) {
            let socket = try openNetlinkSocket(service)
            // A socket without a number of its own is told nothing.
            _ = try netlinkPort(of: socket)
            try joinNetlinkGroup(group, of: socket)
            try setNonBlocking(true, of: socket.number)
            try forceReceiveBuffer(of: socket, bytes: bufferBytes)
            return socket
        } catch { throw NetlinkError(code: .transport, doing: "watch the network", cause: error) }
    }

    /// Waits for changes. Blocks.
    /// - Parameter port: changes of the firewall made through this socket are left out.
    /// - Returns: none after the timeout, or where what changed is of no interest.
    package func next(timeoutMilliseconds: Int32?, besides port: UInt32) throws(NetlinkError) -> [NetworkChange] {
        do throws(SyscallError) {
            var found: [NetworkChange] = []
            for index in try waitUntilReadable(sockets, timeoutMilliseconds: timeoutMilliseconds) {
                found += try read(sockets[index], besides: port)
            }
            return found
        } catch { throw NetlinkError(code: .transport, doing: "watch the network", cause: error) }
    }

    private func read(_ socket: Int32, besides port: UInt32) throws(SyscallError) -> [NetworkChange] {
        var found: [NetworkChange] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        do throws(SyscallError) {
            while case .bytes(let count) = try readAvailable(socket, into: &buffer) {
                guard let messages = RouteMessage.all(in: buffer[..<count]) else { continue }
                found += messages.compactMap { change($0, besides: port) }
            }
        } catch {
            guard error.errno == ENOBUFS else { throw error }
            found.append(.missed)
        }
        return found
    }

    private func change(_ message: RouteMessage, besides port: UInt32) -> NetworkChange? {
        if message.type >> 8 == 10 {  // nf_tables; every kind of its messages says the table in attribute 1
            guard message.port != port, let name = message.attributes(after: 4)[1] else { return nil }
            return .table(String(decoding: name.prefix { $0 != 0 }, as: UTF8.self))
        }
        switch message.type {
        case 80: return Self.forwardingChange(message)  // RTM_NEWNETCONF
        case RouteRequest.deleteAddress: return .addressGone
        // A port of a bridge that leaves it is told in the same words, by the family of bridges.
        case RouteRequest.newLink, RouteRequest.deleteLink: return message.body.first == 0 ? linkChange(message) : nil
        default: return nil
        }
    }

    private func linkChange(_ message: RouteMessage) -> NetworkChange? {
        guard let link = NetworkLink(message) else { return nil }
        if message.type == RouteRequest.deleteLink {
            known.withLock { $0[link.index] = nil }
            return .linkGone(link.name)
        }
        let state = LinkState(name: link.name, isUp: link.isUp, bridge: link.bridge)
        let isNews = known.withLock { known in
            defer { known[link.index] = state }
            return known[link.index] != state
        }
        return isNews ? .linkChanged(link.name) : nil
    }

    /// - Source: linux/netconf.h; the settings of all links together come with the index -1.
    private static func forwardingChange(_ message: RouteMessage) -> NetworkChange? {
        let attributes = message.attributes(after: 4)
        func number(_ attribute: UInt16) -> Int32? {
            attributes[attribute].flatMap { $0.count == 4 ? Int32(truncatingIfNeeded: nativeInteger($0[...])) : nil }
        }
        guard let family = message.body.first, number(1) == -1, number(2) == 0 else { return nil }
        switch family {
        case 2: return .forwardingOff(.v4)
        case 10: return .forwardingOff(.v6)
        default: return nil
        }
    }
}

/// The socket that a firewall's changes go through, so that they can be told from those of others.
package final class FirewallSocket: Sendable {
    let socket: OwnedFD
    /// What the kernel calls it.
    package let port: UInt32

    /// In the network namespace of the calling thread.
    package init() throws(NetlinkError) {
        let opened = try Self.open()
        do throws(SyscallError) { port = try netlinkPort(of: opened) } catch {
            throw NetlinkError(code: .transport, doing: "open a firewall socket", cause: error)
        }
        socket = opened
    }

    private static func open() throws(NetlinkError) -> OwnedFD {
        do throws(SyscallError) {
            let opened = try openNetlinkSocket(.netfilter)
            try setNonBlocking(true, of: opened.number)
            return opened
        } catch { throw NetlinkError(code: .transport, doing: "open a firewall socket", cause: error) }
    }
}
