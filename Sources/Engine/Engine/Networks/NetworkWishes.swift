internal import CoreTypes
internal import EngineAPI
internal import Networking

extension MACAddress {
    /// Why no link can have an address that somebody asks for; nil where one can, and for none. Docker takes what the kernel refuses, and fails when
    /// the container is started.
    static func refusal(of text: String) -> String? {
        if text.isEmpty { return nil }
        guard let address = MACAddress(text) else { return "invalid MAC address: \(text)" }
        if address.bytes == [0, 0, 0, 0, 0, 0] { return "invalid MAC address: \(text) is no link's" }
        if address.bytes[0] & 1 == 1 {
            return "invalid MAC address: \(text) is a group's (multicast), and no link's: make the first byte even"
        }
        return nil
    }
}

/// What a container asks of its networks, before it is on any.
extension Networks {
    /// What a new container is to be on, by the networks' names.
    /// - Throws: `.invalidParameter` in Docker's words; also for a network that is not there, since clients take 404 for a missing image.
    func wishes(of request: ContainerCreateRequest) throws(EngineError) -> [String: EndpointSettings] {
        let mode = request.hostConfig.networkMode
        let asked = request.networkingConfig.endpointsConfig
        guard let word = Self.networkName(ofMode: mode) else { return [:] }
        let isClosed = request.config.networkDisabled && word != "host"
        if isClosed || word == "bridge" && !settings.hasDefaultBridge { return ["none": EndpointSettings()] }
        let own = try known(word).name
        // Where networks are named, the container is on these and no other. - Source: moby, daemon/container_operations.go, updateContainerNetworkSettings.
        let isByMode = asked.isEmpty || ["host", "none"].contains(own)
        var wishes = isByMode ? [own: EndpointSettings()] : [:]
        for (key, settings) in asked.sorted(by: { $0.key < $1.key }) {
            let network = try known(key == "default" ? "bridge" : key)
            let endpoint = settings ?? EndpointSettings()
            try Self.check(endpoint, on: network)
            wishes[network.name] = endpoint
        }
        let closed = wishes.keys.filter { ["host", "none"].contains($0) }
        guard closed.isEmpty || wishes.count == 1 else {
            throw EngineError(
                .invalidParameter,
                "container cannot be connected to multiple networks with one of the networks in private (\(closed.sorted()[0])) mode")
        }
        return wishes
    }

    private func known(_ word: String) throws(EngineError) -> Network {
        do throws(EngineError) { return try find(word) } catch { throw EngineError(.invalidParameter, error.message) }
    }

    /// - Throws: `.invalidParameter` for what no container can have there.
    static func check(_ endpoint: EndpointSettings, on network: Network) throws(EngineError) {
        func refusal(_ why: String) -> EngineError {
            EngineError(.invalidParameter, "invalid config for network \(network.name): invalid endpoint settings:\n\(why)")
        }
        if !endpoint.links.isEmpty && network.document.isPredefined { throw Refusal.notYet("EndpointSettings.Links") }
        do throws(EngineError) { _ = try EndpointOptions(endpoint.driverOpts) } catch { throw refusal(error.message) }
        let addresses = endpoint.ipamConfig ?? EndpointIPAMConfig()
        for text in addresses.linkLocalIPs where IPAddress(text)?.isLinkLocal != true {
            throw refusal("invalid link-local IP address: \(text)")
        }
        if network.document.isPredefined && !endpoint.aliases.isEmpty {
            throw refusal("network-scoped aliases are only supported for user-defined networks")
        }
        if let why = MACAddress.refusal(of: endpoint.macAddress) { throw refusal(why) }
        for (text, family, word) in [(addresses.ipv4Address, IPAddress.Family.v4, "IPv4"), (addresses.ipv6Address, .v6, "IPv6")]
        where !text.isEmpty {
            guard let address = IPAddress(text), address.family == family else { throw refusal("invalid \(word) address: \(text)") }
            if network.document.isPredefined { throw refusal("user specified IP address is supported on user defined networks only") }
            guard network.document.hasChosenBlocks else {
                throw refusal("user specified IP address is supported only when connecting to networks with user configured subnets")
            }
            // Docker passes over an address of a family that the network has blocks of, and has not enabled.
            guard network.document.resource.ipam.config.contains(where: { AddressBlock($0.subnet)?.contains(address) == true }) else {
                throw refusal("no configured subnet contains IP address \(text)")
            }
        }
    }

    /// What the address `host-gateway` means: the host's own on the default network.
    var hostGateway: String? {
        guard settings.hasDefaultBridge else { return nil }
        return networks.values.first { $0.name == "bridge" }.flatMap { $0.document.blocks.compactMap(\.gateway).first?.description }
    }

    /// The id of a network by its name; empty where there is none.
    func id(ofNetwork name: String) -> String { (try? find(name))?.id ?? "" }

    /// The names of networks that lead their containers to each other by name.
    func isUserNetwork(_ name: String) -> Bool { (try? find(name)).map { !$0.document.isPredefined } ?? false }
}
