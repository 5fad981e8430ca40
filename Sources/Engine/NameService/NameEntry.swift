package import CoreTypes
package import JSON

/// What the server of names knows of one running container: a file of the folder that the daemon and it share.
package struct NameEntry: Equatable, Sendable {
    /// 2: ports in a row are one entry.
    package static let currentVersion = 2

    /// One network that a container is on.
    package struct Membership: Equatable, Sendable {
        /// The network's id: containers of one find each other.
        package var network: String
        /// The network's name, by which a container's name may be continued.
        package var networkName: String
        /// The container's names there; the first is the one that its addresses lead back to.
        package var names: [String]
        package var addresses: [IPAddress]
        /// Names that this container alone has for others.
        package var links: [String: String]

        package init(network: String, networkName: String, names: [String], addresses: [IPAddress], links: [String: String] = [:]) {
            self.network = network
            self.networkName = networkName
            self.names = names
            self.addresses = addresses
            self.links = links
        }
    }

    /// A port of an IPv6 address of the host that the server itself leads on, since the kernel cannot.
    package struct ForwardedPort: Equatable, Sendable {
        /// TCP; UDP otherwise.
        package var isStream: Bool
        /// `::` is every one.
        package var hostAddress: IPAddress
        package var hostPort: UInt16
        package var address: IPAddress
        package var containerPort: UInt16
        /// So many: each leads to the one that lies as far from `containerPort`.
        package var count: UInt16

        package init(
            isStream: Bool, hostAddress: IPAddress = .loopbackV6, hostPort: UInt16, address: IPAddress, containerPort: UInt16,
            count: UInt16 = 1
        ) {
            self.isStream = isStream
            self.hostAddress = hostAddress
            self.hostPort = hostPort
            self.address = address
            self.containerPort = containerPort
            self.count = count
        }

        /// Where one of them leads; nil for another port.
        func target(_ port: UInt16) -> (address: IPAddress, port: UInt16)? {
            guard port >= hostPort, port - hostPort < count else { return nil }
            return (address, containerPort + (port - hostPort))
        }
    }

    /// The file of the container's network namespace; empty for one that finds nobody by name, and only has ports published.
    package var namespace: String
    /// In the order in which they are asked.
    package var memberships: [Membership]
    /// Servers that the container itself is to reach; empty for the host's.
    package var servers: [IPAddress] = []
    /// Whether the host's servers are asked for what no container is called: not from where nothing leads out.
    package var asksHost = true
    /// Those of `::1` are left out that lead to the same port of 127.0.0.1.
    package var forwardedPorts: [ForwardedPort] = []

    package init(namespace: String, memberships: [Membership]) {
        self.namespace = namespace
        self.memberships = memberships
    }

    package func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            // The earliest that says it all, so that an earlier server reads what it can.
            writer.member("version", forwardedPorts.contains { $0.count > 1 } ? Self.currentVersion : 1)
            writer.member("namespace", namespace)
            writer.member("asksHost", asksHost)
            writer.member("servers", servers.map(\.description))
            // Apart, since an earlier server takes all of the first list for ports of `::1`.
            let isOfLoopback = { (port: ForwardedPort) in port.hostAddress == .loopbackV6 }
            writer.member("loopbackPorts", unlessEmpty: forwardedPorts.filter(isOfLoopback), Self.write)
            writer.member("forwardedPorts", unlessEmpty: forwardedPorts.filter { !isOfLoopback($0) }, Self.write)
            writer.member("memberships", unlessEmpty: memberships) { writer, membership in
                writer.object { writer in
                    writer.member("network", membership.network)
                    writer.member("networkName", membership.networkName)
                    writer.member("names", membership.names)
                    writer.member("addresses", membership.addresses.map(\.description))
                    writer.member("links", unlessEmpty: membership.links)
                }
            }
        }
        return writer.bytes
    }

    private static func write(_ writer: inout JSONWriter, _ port: ForwardedPort) {
        writer.object { writer in
            writer.member("stream", port.isStream)
            if port.hostAddress != .loopbackV6 { writer.member("hostAddress", port.hostAddress.description) }
            writer.member("hostPort", Int(port.hostPort))
            writer.member("address", port.address.description)
            writer.member("containerPort", Int(port.containerPort))
            if port.count > 1 { writer.member("count", Int(port.count)) }
        }
    }

    /// - Throws: `JSONError` for what is no such file, or one of a newer daemon's.
    package init(decoding bytes: [UInt8]) throws(JSONError) {
        self.init(namespace: "", memberships: [])
        var reader = try JSONReader(bytes, limits: JSONLimits(maximumBytes: NameFolder.entryLimitBytes, maximumDepth: 8, allowsNUL: false))
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "version":
                guard try reader.readInteger(Int.self) <= Self.currentVersion else { throw reader.problem("written by a newer daemon") }
            case "namespace": namespace = try reader.readString()
            case "asksHost": asksHost = try reader.readBool()
            case "servers": servers = try Self.readAddresses(&reader)
            case "loopbackPorts", "forwardedPorts":
                forwardedPorts += try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try ForwardedPort(from: &reader) }
            case "memberships":
                memberships = try reader.readArray { (reader: inout JSONReader) throws(JSONError) in try Membership(from: &reader) }
            default: try reader.skipValue()
            }
        }
        try reader.finish()
    }

    fileprivate static func readAddresses(_ reader: inout JSONReader) throws(JSONError) -> [IPAddress] {
        try reader.readArray { (reader: inout JSONReader) throws(JSONError) in
            guard let address = IPAddress(try reader.readString()) else { throw reader.problem("no address") }
            return address
        }
    }
}

extension NameEntry.ForwardedPort {
    fileprivate init(from reader: inout JSONReader) throws(JSONError) {
        var (isStream, hostPort, address, containerPort): (Bool, UInt16?, IPAddress?, UInt16?) = (true, nil, nil, nil)
        var hostAddress: IPAddress? = .loopbackV6
        var count: UInt16 = 1
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "stream": isStream = try reader.readBool()
            case "hostAddress": hostAddress = IPAddress(try reader.readString())
            case "hostPort": hostPort = try reader.readInteger(UInt16.self)
            case "address": address = IPAddress(try reader.readString())
            case "containerPort": containerPort = try reader.readInteger(UInt16.self)
            case "count": count = try reader.readInteger(UInt16.self)
            default: try reader.skipValue()
            }
        }
        guard let hostAddress, let hostPort, let address, let containerPort, count > 0,
            Int(max(hostPort, containerPort)) + Int(count) - 1 <= Int(UInt16.max)
        else { throw reader.problem("no published port") }
        self.init(
            isStream: isStream, hostAddress: hostAddress, hostPort: hostPort, address: address, containerPort: containerPort, count: count)
    }
}

extension NameEntry.Membership {
    fileprivate init(from reader: inout JSONReader) throws(JSONError) {
        self.init(network: "", networkName: "", names: [], addresses: [])
        try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONError) in
            switch name {
            case "network": network = try reader.readString()
            case "networkName": networkName = try reader.readString()
            case "names": names = try reader.readStrings()
            case "addresses": addresses = try NameEntry.readAddresses(&reader)
            case "links": links = try reader.readStringDictionary()
            default: try reader.skipValue()
            }
        }
    }
}

extension IPAddress {
    /// `::1`.
    package static let loopbackV6 = IPAddress(.v6, bits: 1)
}
