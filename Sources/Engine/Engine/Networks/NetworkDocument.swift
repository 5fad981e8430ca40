internal import CoreTypes
internal import EngineAPI
internal import Networking
internal import Records

/// What makes a network's packets move.
enum NetworkDriver: String, Sendable {
    case bridge, macvlan, host
    case none = "null"
}

/// What the engine remembers of a network; the document of its record.
struct NetworkDocument: Codable, Equatable, Sendable {
    static let currentVersion = 1

    var version = NetworkDocument.currentVersion
    /// As clients are told, without containers.
    var resource: NetworkResource
    /// The bridge's link, or a macvlan's card; empty for a network without.
    var link: String
    /// Whether the request named the blocks: only then may containers ask for addresses.
    var hasChosenBlocks: Bool

    var driver: NetworkDriver { NetworkDriver(rawValue: resource.driver) ?? .none }

    /// Whether it is there from the first start and cannot be removed.
    var isPredefined: Bool { NetworkResource.predefinedNames.contains(resource.name) }

    /// What the options mean.
    var bridgeOptions: BridgeOptions { BridgeOptions(of: resource.options) }

    /// The blocks that are in use, with the host's own address in each.
    var blocks: [NetworkBlock] {
        if resource.configOnly { return [] }
        return resource.ipam.config.compactMap { NetworkBlock($0) }.filter {
            $0.block.family == .v4 ? resource.enableIPv4 ?? true : resource.enableIPv6
        }
    }

    func record() throws(EngineError) -> NetworkRecord {
        do throws(DocumentError) {
            return NetworkRecord(id: resource.id, name: resource.name, created: resource.created, document: try EngineJSON.encode(self))
        } catch { throw .system("write the record of network \(resource.name)", error) }
    }

    init(resource: NetworkResource, link: String, hasChosenBlocks: Bool) {
        self.resource = resource
        self.link = link
        self.hasChosenBlocks = hasChosenBlocks
    }

    /// - Throws: `.system` for one that a newer engine wrote, or that is no such document.
    init(_ record: NetworkRecord) throws(EngineError) {
        do throws(DocumentError) { self = try EngineJSON.decode(NetworkDocument.self, from: record.document) } catch {
            throw .system("read the record of network \(record.name)", error)
        }
        guard version <= Self.currentVersion else {
            throw EngineError(.system, "the record of network \(record.name) has version \(version), written by a newer engine")
        }
    }
}

/// Names of options that Docker's drivers take.
enum NetworkOption {
    static let bridgeName = "com.docker.network.bridge.name"
    static let masquerade = "com.docker.network.bridge.enable_ip_masquerade"
    static let mtu = "com.docker.network.driver.mtu"
    static let hostAddress = "com.docker.network.bridge.host_binding_ipv4"
    static let betweenContainers = "com.docker.network.bridge.enable_icc"
    static let inhibitsIPv4 = "com.docker.network.bridge.inhibit_ipv4"
    static let insidePrefix = "com.docker.network.container_iface_prefix"
    static let gatewayModeV4 = "com.docker.network.bridge.gateway_mode_ipv4"
    static let gatewayModeV6 = "com.docker.network.bridge.gateway_mode_ipv6"
    static let sourceV4 = "com.docker.network.host_ipv4"
    static let sourceV6 = "com.docker.network.host_ipv6"
    static let trustedLinks = "com.docker.network.bridge.trusted_host_interfaces"
    static let enablesV4 = "com.docker.network.enable_ipv4"
    static let enablesV6 = "com.docker.network.enable_ipv6"
    static let parent = "parent"
    static let macvlanMode = "macvlan_mode"
}

/// A block of a network, as it is used.
struct NetworkBlock: Equatable, Sendable {
    let block: AddressBlock
    let range: AddressBlock?
    let gateway: IPAddress?
    let auxiliary: [IPAddress]

    /// Nil for a configuration that was never checked.
    init?(_ config: IPAMConfig) {
        guard let block = AddressBlock(config.subnet) else { return nil }
        self.block = block
        range = config.ipRange.isEmpty ? nil : AddressBlock(config.ipRange)
        gateway = IPAddress(config.gateway)
        auxiliary = config.auxiliaryAddresses.values.compactMap { IPAddress($0) }
    }

    /// No container has an address yet.
    var leases: AddressLeases {
        AddressLeases(block, range: range, reserved: auxiliary + (gateway.map { [$0] } ?? []))
    }
}
