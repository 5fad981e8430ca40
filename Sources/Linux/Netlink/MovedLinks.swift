internal import Glibc
internal import LinuxSyscalls

/// A link that was moved to another network namespace, and what it lost on the way.
package struct MovedLink: Equatable, Sendable {
    /// As it was called where it came from.
    package let formerName: String
    /// Whether it was up there.
    package let wasUp: Bool
    fileprivate let addresses: [Address]

    fileprivate struct Address: Equatable, Sendable {
        let family: UInt8
        let prefixLength: UInt8
        let scope: UInt8
        /// IFA_LOCAL, IFA_ADDRESS and IFA_BROADCAST by their numbers.
        let attributes: [UInt16: [UInt8]]
    }
}

extension RouteConversation {
    /// Moves a link of this namespace to another one, under another name.
    /// - Parameter namespace: a descriptor of the other network namespace.
    /// - Throws: `refused` with ENODEV where there is no such link, EEXIST where the name is taken.
    package mutating func moveLink(_ name: String, toNamespace namespace: Int32, as newName: String) throws(NetlinkError) -> MovedLink {
        try moveLink(link(named: name), toNamespace: namespace, as: newName)
    }

    /// The same, of a link that was looked for before.
    package mutating func moveLink(
        _ link: NetworkLink, toNamespace namespace: Int32, as newName: String
    ) throws(NetlinkError) -> MovedLink {
        let addresses = try addresses(ofLink: link.index)
        var request = nextRequest(RouteRequest.newLink)
        request.appendLink(index: link.index)
        request.appendAttribute(28, number: UInt32(bitPattern: namespace))  // IFLA_NET_NS_FD
        request.appendAttribute(3, text: newName)  // IFLA_IFNAME
        _ = try perform(request, doing: "move network device \(link.name)")
        return MovedLink(formerName: link.name, wasUp: link.isUp, addresses: addresses)
    }

    /// The name that a link gets here: a template such as `eth%d` becomes the first name of its kind that is free, as dev_alloc_name() of
    /// the kernel has it.
    /// - Throws: `refused` with EEXIST where the first 4096 are taken.
    package mutating func freeName(for template: String) throws(NetlinkError) -> String {
        guard Self.name(template, number: 0) != template else { return template }
        for number in 0..<4096 {
            let name = Self.name(template, number: number)
            if try !hasLink(named: name) { return name }
        }
        let full = SyscallError("netlink:", template, errno: EEXIST)
        throw NetlinkError(code: .refused, doing: "find a name for network device \(template)", cause: full)
    }

    /// The name that a template has for a number.
    package static func name(_ template: String, number: Int) -> String {
        guard let sign = template.firstIndex(of: "%"), template[sign...].hasPrefix("%d") else { return template }
        return "\(template[..<sign])\(number)\(template[sign...].dropFirst(2))"
    }

    /// Whether the namespace has a link of that name.
    package mutating func hasLink(named name: String) throws(NetlinkError) -> Bool {
        do throws(NetlinkError) { _ = try link(named: name) } catch {
            guard error.cause?.errno == ENODEV else { throw error }
            return false
        }
        return true
    }

    /// Gives a link that was moved here the addresses that it had where it came from, and brings it up.
    /// - Parameter found: the link as it is here.
    package mutating func restore(_ moved: MovedLink, to found: NetworkLink, up: Bool = true) throws(NetlinkError) {
        for address in moved.addresses {
            var request = nextRequest(RouteRequest.newAddress)
            request.appendAddress(family: address.family, prefixLength: address.prefixLength, scope: address.scope, index: found.index)
            for (type, value) in address.attributes.sorted(by: { $0.key < $1.key }) { request.appendAttribute(type, value) }
            _ = try perform(request, doing: "set the address of network device \(found.name)")
        }
        if up { try setLink(found, up: true) }
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
}
