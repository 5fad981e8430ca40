internal import EngineAPI

/// What `--ip` and its like ask for; nil where none is given.
func addressesAskedFor(_ arguments: Arguments) -> EndpointIPAMConfig? {
    guard ["ip", "ip6", "link-local-ip"].contains(where: arguments.has) else { return nil }
    var addresses = EndpointIPAMConfig()
    addresses.ipv4Address = arguments.string("ip") ?? ""
    addresses.ipv6Address = arguments.string("ip6") ?? ""
    addresses.linkLocalIPs = arguments.list("link-local-ip")
    return addresses
}

/// Why a value of `--network` is none; nil when it is one.
@Sendable func complaintAboutNetwork(_ text: String) -> String? {
    do throws(Complaint) { _ = try NetworkWish(text) } catch { return error.description }
    return nil
}

/// Which networks the container is on, and what it is there.
func setNetworks(_ request: inout ContainerCreateRequest, by arguments: Arguments) throws(Complaint) {
    var wishes: [NetworkWish] = []
    for text in arguments.list("network") {
        let wish = try NetworkWish(text)
        guard !wishes.contains(where: { $0.name == wish.name }) else {
            throw Complaint("network \"\(wish.name)\" is specified multiple times")
        }
        wishes.append(wish)
    }
    request.hostConfig.networkMode = wishes.first?.name ?? ""
    // Only networks made by users know links of one container.
    let hasLinks = arguments.has("link") && !isPredefined(request.hostConfig.networkMode)
    let general = ["ip", "ip6", "link-local-ip", "mac-address", "network-alias"].filter(arguments.has) + (hasLinks ? ["link"] : [])
    if !general.isEmpty {
        var first = wishes.first ?? NetworkWish(plain: "default")
        try first.take(general, of: arguments)
        wishes = [first] + wishes.dropFirst()
    }
    for wish in wishes where wish.asksForMore || wishes.count > 1 {
        request.networkingConfig.endpointsConfig[wish.name] = wish.endpoint
    }
}

/// Whether a network mode means no network that somebody made.
private func isPredefined(_ mode: String) -> Bool {
    ["", "default"].contains(mode) || NetworkResource.predefinedNames.contains(mode) || mode.hasPrefix("container:")
}

/// A value of `--network`: a name, or `name=NET,ip=ADDRESS,…`.
private struct NetworkWish {
    var name: String
    var endpoint = EndpointSettings()
    /// Whether anything is asked for beside the network itself.
    var asksForMore = false

    init(plain name: String) { self.name = name }

    /// - Throws: docker's words for what is no such value.
    init(_ text: String) throws(Complaint) {
        name = text
        guard text.contains("=") else { return }
        name = ""
        var addresses = EndpointIPAMConfig()
        for field in try commaSeparated(text) {
            let (key, found) = splitOnce(field, at: "=")
            guard let value = found else { throw Complaint("invalid field \(field): must be a key=value pair") }
            switch key.lowercased().filter({ $0 != " " }) {
            case "name": name = value
            case "alias": endpoint.aliases.append(value)
            case "driver-opt":
                let (option, setting) = splitOnce(value, at: "=")
                guard let setting, !option.isEmpty else { throw Complaint("invalid key value pair format in driver options") }
                endpoint.driverOpts[trimmed(option.lowercased())] = trimmed(setting.lowercased())
            case "ip": addresses.ipv4Address = value
            case "ip6": addresses.ipv6Address = value
            case "link-local-ip": addresses.linkLocalIPs.append(value)
            case "mac-address": endpoint.macAddress = value
            case "gw-priority":
                guard let number = Int(value) else { throw Complaint("invalid gw-priority: \(value)") }
                endpoint.gatewayPriority = number
            default: throw Complaint("invalid field key \(key)")
            }
        }
        guard !name.isEmpty else { throw Complaint("network name/id is not specified") }
        if addresses != EndpointIPAMConfig() { endpoint.ipamConfig = addresses }
        asksForMore = endpoint != EndpointSettings()
    }

    /// Takes what flags of their own ask for, which mean the first network.
    mutating func take(_ flags: [String], of arguments: Arguments) throws(Complaint) {
        for flag in flags {
            let isTaken =
                switch flag {
                case "link": false
                case "network-alias": !endpoint.aliases.isEmpty
                case "mac-address": !endpoint.macAddress.isEmpty
                case "ip": endpoint.ipamConfig?.ipv4Address.isEmpty == false
                case "ip6": endpoint.ipamConfig?.ipv6Address.isEmpty == false
                default: endpoint.ipamConfig?.linkLocalIPs.isEmpty == false
                }
            if isTaken { throw Complaint("conflicting options: cannot specify both --\(flag) and the same of one network") }
        }
        endpoint.aliases += arguments.list("network-alias")
        if flags.contains("link") { endpoint.links = arguments.list("link") }
        if let address = arguments.string("mac-address") { endpoint.macAddress = address }
        if let asked = addressesAskedFor(arguments) {
            var addresses = endpoint.ipamConfig ?? EndpointIPAMConfig()
            if !asked.ipv4Address.isEmpty { addresses.ipv4Address = asked.ipv4Address }
            if !asked.ipv6Address.isEmpty { addresses.ipv6Address = asked.ipv6Address }
            addresses.linkLocalIPs += asked.linkLocalIPs
            endpoint.ipamConfig = addresses
        }
        asksForMore = true
    }
}
