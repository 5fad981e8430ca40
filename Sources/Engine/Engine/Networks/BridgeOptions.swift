internal import CoreTypes
internal import EngineAPI

/// What the options of a bridge network mean; others than these are kept and mean nothing, as with Docker. Pure.
///
/// - Source: Docker's manual, "Bridge network driver", "Options".
struct BridgeOptions: Equatable, Sendable {
    /// The link's own name; nil is one made of the network's id.
    var linkName: String?
    /// Whether what leaves by other links carries their address.
    var masquerades = true
    /// Whether containers on it reach each other, aside from published ports.
    var letsContainersTalk = true
    /// Bytes of a packet; nil is the kernel's default.
    var mtu: UInt32?
    /// How containers are reached from elsewhere, and leave.
    var gatewayModes = GatewayModes()
    /// What the packets of those that leave carry as their source, of the families in which that is one address of the host.
    var sources: [IPAddress] = []
    /// Links by which published ports are reached at the containers' own addresses too.
    var trustedLinks: [String] = []
    /// Where ports are published for which the request says nothing; nil is every address.
    var hostAddress: IPAddress?
    /// Whether the bridge has the IPv4 gateway's address.
    var hasIPv4Gateway = true
    /// What the links inside are called before their number.
    var insidePrefix = "eth"

    /// - Throws: `.invalidParameter` in Docker's words, and for what is not served.
    init(checking options: [String: String]) throws(EngineError) {
        if let text = options[NetworkOption.bridgeName], !text.isEmpty { linkName = text }
        masquerades = try Self.flag(NetworkOption.masquerade, options) ?? true
        letsContainersTalk = try Self.flag(NetworkOption.betweenContainers, options) ?? true
        hasIPv4Gateway = try !(Self.flag(NetworkOption.inhibitsIPv4, options) ?? false)
        if let text = options[NetworkOption.mtu] {
            guard let number = UInt32(text), number <= 65_535 else { throw Self.unreadable(NetworkOption.mtu, text, "invalid MTU") }
            mtu = number == 0 ? nil : number
        }
        if let text = options[NetworkOption.hostAddress], !text.isEmpty {
            guard let address = IPAddress(text) else { throw Self.unreadable(NetworkOption.hostAddress, text, "nil ip") }
            // 0.0.0.0 is every address of both families, `::` every one of its own.
            hostAddress = address.isUnspecified && address.family == .v4 ? nil : address
        }
        if let text = options[NetworkOption.insidePrefix], !text.isEmpty {
            // Room for three digits is left.
            guard Self.isLinkName(text, limitBytes: 12) else {
                throw Self.unreadable(NetworkOption.insidePrefix, text, "invalid interface prefix")
            }
            insidePrefix = text
        }
        gatewayModes.v4 = try Self.mode(NetworkOption.gatewayModeV4, options)
        gatewayModes.v6 = try Self.mode(NetworkOption.gatewayModeV6, options)
        let (sourceV4, sourceV6) = (
            try Self.source(NetworkOption.sourceV4, .v4, options), try Self.source(NetworkOption.sourceV6, .v6, options)
        )
        sources = [sourceV4, sourceV6].compactMap(\.self)
        if let text = options[NetworkOption.trustedLinks], !text.isEmpty {
            trustedLinks = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard trustedLinks.allSatisfy({ Self.isLinkName($0, limitBytes: 15) }) else {
                throw Self.unreadable(NetworkOption.trustedLinks, text, "names of network devices, with colons between them")
            }
        }
    }

    private static func mode(_ option: String, _ options: [String: String]) throws(EngineError) -> GatewayMode {
        guard let text = options[option], !text.isEmpty else { return .nat }
        guard let mode = GatewayMode(rawValue: text) else { throw unreadable(option, text, "unknown gateway mode \(text)") }
        return mode
    }

    private static func source(
        _ option: String, _ family: IPAddress.Family, _ options: [String: String]
    ) throws(EngineError) -> IPAddress? {
        guard let text = options[option], !text.isEmpty else { return nil }
        guard let address = IPAddress(text), address.family == family, !address.isUnspecified else {
            throw unreadable(option, text, "nil ip")
        }
        return address
    }

    /// Of a network that is there: what cannot be read means its default.
    init(of options: [String: String]) {
        if let checked = try? BridgeOptions(checking: options) { self = checked } else { self.init() }
    }

    private init() {}

    /// Whether the kernel takes this as a link's name, and for that alone: with a percent sign it would be a pattern of names.
    /// - Source: dev_valid_name, dev_get_valid_name of net/core/dev.c.
    static func isLinkName(_ text: String, limitBytes: Int) -> Bool {
        (1...limitBytes).contains(text.utf8.count) && text != "." && text != ".."
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && ![UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "%")].contains($0) }
    }

    private static func flag(_ option: String, _ options: [String: String]) throws(EngineError) -> Bool? {
        guard let text = options[option] else { return nil }
        do throws(EngineError) { return try OptionText.boolean(text) } catch { throw unreadable(option, text, error.message) }
    }

    private static func unreadable(_ option: String, _ value: String, _ why: String) -> EngineError {
        EngineError(.invalidParameter, "failed to parse \(option) value: \(value) (\(why))")
    }
}

/// What the driver options of one endpoint mean; others are kept and mean nothing, as with Docker. Pure.
struct EndpointOptions: Equatable, Sendable {
    static let linkNameOption = "com.docker.network.endpoint.ifname"
    static let settingsOption = "com.docker.network.endpoint.sysctls"

    /// What the link inside is called; nil is up to the network.
    var linkName: String?
    /// Settings of the kernel for the link, below /proc/sys/net, with `IFNAME` for its name.
    var settings: [String: String] = [:]

    /// - Throws: `.invalidParameter` in Docker's words.
    init(_ options: [String: String]) throws(EngineError) {
        if let name = options[Self.linkNameOption], !name.isEmpty {
            guard BridgeOptions.isLinkName(name, limitBytes: 15), name != "lo" else {
                throw EngineError(.invalidParameter, "invalid interface name \"\(name)\"")
            }
            linkName = name
        }
        for word in (options[Self.settingsOption] ?? "").split(separator: ",") {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let path = parts[0].split(separator: ".", omittingEmptySubsequences: false)
            // net.FAMILY.conf|neigh.IFNAME.NAME: of this link alone, and nothing that leads elsewhere.
            guard parts.count == 2, path.count == 5, path[0] == "net", ["ipv4", "ipv6", "mpls"].contains(path[1]),
                ["conf", "neigh", "input"].contains(path[2]),
                // docker's command line writes all options of an endpoint in lower case.
                ["IFNAME", "ifname"].contains(path[3]),
                !path[4].isEmpty, path[4].utf8.allSatisfy({ (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f })
            else {
                throw EngineError(
                    .invalidParameter, "invalid sysctl \"\(word)\": it is not like net.ipv4.conf.IFNAME.log_martians=1")
            }
            settings["\(path[1])/\(path[2])/IFNAME/\(path[4])"] = parts[1]
        }
    }

    /// The settings of a link, by their paths below /proc/sys/net.
    func settings(of link: String) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: settings.map {
                ($0.key.split(separator: "/").map { $0 == "IFNAME" ? link : String($0) }.joined(separator: "/"), $0.value)
            })
    }
}
