internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import Networking
internal import Records

/// What the daemon was told of the network that containers are on that ask for no other.
package struct DefaultNetwork: Equatable, Sendable {
    /// Whether containers on it reach each other, aside from published ports.
    package var letsContainersTalk = true
    /// Whether what leaves by other links carries their address.
    package var masquerades = true
    /// Where ports are published that name no address.
    package var hostAddress = "0.0.0.0"
    /// Bytes of a packet.
    package var mtu = 1500
    package var hasIPv6 = false
    /// The host's own address with its prefix length, of each family; empty is chosen by the engine.
    package var addresses: [String] = []
    /// The part of the network that containers get addresses of.
    package var range = ""
    /// The same of IPv6, which is the network there.
    package var rangeV6 = ""

    package init() {}

    /// - Throws: `.invalidParameter` for what is no network.
    package func check() throws(EngineError) { try NetworkPlan.check(try request(link: "docker0")) }

    /// The request that makes it.
    func request(link: String) throws(EngineError) -> NetworkCreateRequest {
        var request = NetworkCreateRequest()
        request.name = "bridge"
        request.driver = NetworkDriver.bridge.rawValue
        // Docker says its defaults here, and clients look for them.
        request.options = [
            "com.docker.network.bridge.default_bridge": "true", NetworkOption.betweenContainers: "\(letsContainersTalk)",
            NetworkOption.masquerade: "\(masquerades)", NetworkOption.hostAddress: hostAddress, NetworkOption.bridgeName: link,
            NetworkOption.mtu: "\(mtu)",
        ]
        if hasIPv6 { request.enableIPv6 = true }
        var configs: [IPAMConfig] = []
        for text in addresses { configs.append(try Self.block(of: text)) }
        try add(range, .v4, to: &configs)
        try add(rangeV6, .v6, to: &configs)
        if !configs.isEmpty {
            var management = IPAM()
            management.config = configs
            request.ipam = management
        }
        return request
    }

    /// Where there is no block of the family, the range is the block.
    private func add(_ range: String, _ family: IPAddress.Family, to configs: inout [IPAMConfig]) throws(EngineError) {
        guard !range.isEmpty else { return }
        guard let block = AddressBlock(range), block.family == family else {
            throw EngineError(
                .invalidParameter, "the range '\(range)' is no block of addresses such as \(family == .v4 ? "10.1.2.0/24" : "fd00::/64")")
        }
        guard let index = configs.firstIndex(where: { AddressBlock($0.subnet)?.family == family }) else {
            var config = IPAMConfig()
            (config.subnet, config.ipRange) = (block.description, family == .v4 ? block.description : "")
            configs.append(config)
            return
        }
        guard AddressBlock(configs[index].subnet)?.contains(block) == true else {
            throw EngineError(.invalidParameter, "the range '\(range)' does not lie in \(configs[index].subnet)")
        }
        configs[index].ipRange = block.description
    }

    /// Reads `192.168.5.1/24`: the host's address, and the block that it lies in.
    private static func block(of text: String) throws(EngineError) -> IPAMConfig {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(String(parts[0])), let length = Int(parts[1]),
            (1...address.family.bitCount - 2).contains(length), let block = AddressBlock(containing: address, prefixLength: length)
        else {
            throw EngineError(
                .invalidParameter, "the bridge's address '\(text)' is no address with the length of its network, such as 192.168.5.1/24")
        }
        var config = IPAMConfig()
        (config.subnet, config.gateway) = (block.description, address.description)
        return config
    }

    /// Whether a network that was made before is as it is wanted now.
    static func isServed(_ request: NetworkCreateRequest, by document: NetworkDocument) -> Bool {
        let (resource, wanted) = (document.resource, request.ipam?.config ?? [])
        return resource.options == request.options && resource.enableIPv6 == (request.enableIPv6 ?? false)
            && document.hasChosenBlocks == !wanted.isEmpty
            && wanted.allSatisfy { one in
                resource.ipam.config.contains { other in
                    one.subnet == other.subnet && one.ipRange == other.ipRange && (one.gateway.isEmpty || one.gateway == other.gateway)
                }
            }
    }
}

extension Networks {
    /// Takes the default network away that settings of before made, so that it is made anew. Containers that run keep it until they end.
    func renewDefaultNetwork() async throws(EngineError) {
        guard unreadable["bridge"] == nil, let network = networks.values.first(where: { $0.name == "bridge" }) else { return }
        let wanted = try settings.defaultNetwork.request(link: settings.defaultBridge)
        if DefaultNetwork.isServed(wanted, by: network.document) { return }
        guard !settings.hasSandboxes else {
            logger.warning(
                "the default network stays as it was made while containers run: its settings hold from the daemon's next start without them"
            )
            return
        }
        let (made, link) = (settings.madeLinks, network.document.link)
        try await onThread { () throws(NetworkingError) in try made.remove(link) }
        do { _ = try await records.remove(network.id) } catch { throw .system("renew the default network", error) }
        networks[network.id] = nil
    }
}
