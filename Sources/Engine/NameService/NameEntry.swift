package import CoreTypes
package import JSON

/// What the server of names knows of one running container: a file of the folder that the daemon and it share.
package struct NameEntry: Equatable, Sendable {
    package static let currentVersion = 1

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

    /// The file of the container's network namespace; empty for one that finds nobody by name, and only has ports published.
    package var namespace: String
    /// In the order in which they are asked.
    package var memberships: [Membership]
    /// Servers that the container itself is to reach; empty for the host's.
    package var servers: [IPAddress] = []
    /// Whether the host's servers are asked for what no container is called: not from where nothing leads out.
    package var asksHost = true

    package init(namespace: String, memberships: [Membership]) {
        self.namespace = namespace
        self.memberships = memberships
    }

    package func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("version", Self.currentVersion)
            writer.member("namespace", namespace)
            writer.member("asksHost", asksHost)
            writer.member("servers", servers.map(\.description))
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
