internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import Templates

/// The verbs of `apus network`.
let networkVerbs = [
    networkConnectVerb, networkCreateVerb, networkDisconnectVerb, networkInspectVerb, networkListVerb, networkPruneVerb, networkRemoveVerb,
]

private let networkListVerb = Verb(
    ["network ls", "network list"], "[OPTIONS]", "List networks",
    flags: [
        Flag("filter", "f", .list, "Provide filter values (e.g. \"driver=bridge\")", placeholder: "filter"),
        Flag("format", nil, .string, formatUsage),
        Flag("no-trunc", nil, .bool(default: false), "Do not truncate the output"),
        Flag("quiet", "q", .bool(default: false), "Only display network IDs"),
    ]
) { invocation in
    let arguments = invocation.arguments
    let wanted = try filters(arguments.list("filter"))
    let query = wanted.values.isEmpty ? [] : [(name: "filters", value: try wanted.query)]
    let networks = try await invocation.environment.client.document([NetworkResource].self, EngineRequest("GET", "/networks", query: query))
    let isQuiet = arguments.bool("quiet")
    let raw = "network_id: {{.ID}}" + (isQuiet ? "" : "\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n")
    let asked = ListFormat(invocation.listFormat("networksFormat"), raw: raw)
    let format = isQuiet && asked == .table(nil) ? ListFormat("{{.ID}}") : asked
    let rows = networks.sorted { precedesNaturally($0.name, $1.name) }.map { networkRow($0, isWhole: arguments.bool("no-trunc")) }
    StandardStream.output.write(
        try listText(rows, of: .network, columns: networkColumns, byDefault: ["ID", "Name", "Driver", "Scope"], format: format))
    return 0
}

private let networkColumns = [
    Column("CreatedAt", "CREATED AT"), Column("Driver", "DRIVER"), Column("ID", "NETWORK ID"), Column("IPv4", "IPV4"),
    Column("IPv6", "IPV6"),
    Column("Internal", "INTERNAL"), Column("Labels", "LABELS"), Column("Name", "NAME"), Column("Scope", "SCOPE"),
]

private func networkRow(_ network: NetworkResource, isWhole: Bool) -> TemplateValue {
    let labels = network.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    let fields: [(String, String)] = [
        ("CreatedAt", tableTime(network.created)), ("Driver", network.driver),
        ("ID", isWhole ? network.id : String(network.id.prefix(12))),
        ("IPv4", "\(network.enableIPv4 ?? true)"), ("IPv6", "\(network.enableIPv6)"), ("Internal", "\(network.isInternal)"),
        ("Labels", labels),
        ("Name", network.name), ("Scope", network.scope),
    ]
    return .map(fields.map { .init($0.0, .text(printable($0.1))) })
}

private let networkInspectVerb = Verb(
    ["network inspect"], "[OPTIONS] NETWORK [NETWORK...]", "Display detailed information on one or more networks",
    flags: inspectFlags + [Flag("verbose", "v", .bool(default: false), "Verbose output for diagnostics")], operands: .atLeast(1)
) { try await inspect($0, [.network]) }

private let networkCreateVerb = Verb(
    ["network create"], "[OPTIONS] NETWORK", "Create a network",
    flags: [
        Flag("attachable", nil, .bool(default: false), "Enable manual container attachment"),
        Flag("aux-address", nil, .list, "Auxiliary IPv4 or IPv6 addresses used by Network driver", placeholder: "map"),
        Flag("config-from", nil, .string, "The network from which to copy the configuration"),
        Flag("config-only", nil, .bool(default: false), "Create a configuration only network"),
        Flag("driver", "d", .string, "Driver to manage the Network", defaultText: "bridge"),
        Flag("gateway", nil, .commaSeparated, "IPv4 or IPv6 Gateway for the master subnet"),
        Flag("ingress", nil, .bool(default: false), "Create swarm routing-mesh network"),
        Flag("internal", nil, .bool(default: false), "Restrict external access to the network"),
        Flag("ip-range", nil, .commaSeparated, "Allocate container ip from a sub-range"),
        Flag("ipam-driver", nil, .string, "IP Address Management Driver", defaultText: "default"),
        Flag("ipam-opt", nil, .list, "Set IPAM driver specific options", placeholder: "map"),
        Flag("ipv4", nil, .bool(default: true), "Enable or disable IPv4 address assignment"),
        Flag("ipv6", nil, .bool(default: false), "Enable or disable IPv6 address assignment"),
        Flag("label", nil, .list, "Set metadata on a network"),
        Flag("opt", "o", .list, "Set driver specific options", placeholder: "map"),
        Flag("scope", nil, .string, "Control the network's scope"),
        Flag("subnet", nil, .commaSeparated, "Subnet in CIDR format that represents a network segment"),
    ], operands: .exactly(1)
) { invocation in
    let request = EngineRequest("POST", "/networks/create", body: try EngineJSON.encode(try networkRequest(invocation.arguments)))
    let answer = try await invocation.environment.client.document(NetworkCreateResponse.self, request)
    if !answer.warning.isEmpty { StandardStream.error.write("WARNING: \(answer.warning)\n") }
    StandardStream.output.write("\(answer.id)\n")
    return 0
}

private func networkRequest(_ arguments: Arguments) throws(Complaint) -> NetworkCreateRequest {
    var request = NetworkCreateRequest()
    request.name = arguments.operands[0]
    request.driver = arguments.string("driver") ?? "bridge"
    request.scope = arguments.string("scope") ?? ""
    request.enableIPv4 = arguments.has("ipv4") ? arguments.bool("ipv4") : nil
    request.enableIPv6 = arguments.has("ipv6") ? arguments.bool("ipv6") : nil
    request.isInternal = arguments.bool("internal")
    request.attachable = arguments.bool("attachable")
    request.ingress = arguments.bool("ingress")
    request.configOnly = arguments.bool("config-only")
    if let source = arguments.string("config-from") {
        var reference = ConfigReference()
        reference.network = source
        request.configFrom = reference
    }
    request.options = pairs(arguments.list("opt"))
    request.labels = pairs(arguments.list("label"))
    var ipam = IPAM()
    ipam.driver = arguments.string("ipam-driver") ?? "default"
    ipam.options = pairs(arguments.list("ipam-opt"))
    ipam.config = try blocks(arguments)
    request.ipam = ipam
    return request
}

/// A block for each `--subnet`, and to it the range, gateway and further addresses that lie in it.
private func blocks(_ arguments: Arguments) throws(Complaint) -> [IPAMConfig] {
    let subnets = arguments.list("subnet")
    let (ranges, gateways) = (arguments.list("ip-range"), arguments.list("gateway"))
    guard subnets.count >= ranges.count, subnets.count >= gateways.count else {
        throw Complaint("every ip-range or gateway must have a corresponding subnet")
    }
    var configs: [IPAMConfig] = []
    for text in subnets {
        guard let block = AddressBlock(text) else { throw Complaint("invalid CIDR address: \(text)") }
        guard !configs.compactMap({ AddressBlock($0.subnet) }).contains(where: block.overlaps) else {
            throw Complaint("multiple overlapping subnet configuration is not supported")
        }
        var config = IPAMConfig()
        config.subnet = text
        configs.append(config)
    }
    func place(_ address: IPAddress?, _ complaint: String, _ change: (inout IPAMConfig) -> Void) throws(Complaint) {
        let index = address.flatMap { address in configs.firstIndex { AddressBlock($0.subnet)?.contains(address) ?? false } }
        guard let index else { throw Complaint(complaint) }
        change(&configs[index])
    }
    for range in ranges { try place(AddressBlock(range)?.base, "no matching subnet for range \(range)") { $0.ipRange = range } }
    for gateway in gateways { try place(IPAddress(gateway), "no matching subnet for gateway \(gateway)") { $0.gateway = gateway } }
    for (name, address) in pairs(arguments.list("aux-address")).sorted(by: { $0.key < $1.key }) {
        try place(IPAddress(address), "no matching subnet for aux-address \(address)") { $0.auxiliaryAddresses[name] = address }
    }
    return configs
}

private let networkRemoveVerb = Verb(
    ["network rm", "network remove"], "NETWORK [NETWORK...]", "Remove one or more networks",
    flags: [Flag("force", "f", .bool(default: false), "Do not error if the network does not exist")], operands: .atLeast(1)
) { invocation in
    await forEachOperand(invocation) { name in
        do {
            _ = try await invocation.environment.client.answer(to: EngineRequest("DELETE", "/networks/\(name)"))
            StandardStream.output.write("\(name)\n")
        } catch EngineClientError.refused(status: 404, _) where invocation.arguments.bool("force") {}
    }
}

private let networkPruneVerb = Verb(
    ["network prune"], "[OPTIONS]", "Remove all unused networks", flags: pruneFlags
) { invocation in
    let warning = "WARNING! This will remove all custom networks not used by at least one container."
    guard isConfirmed(invocation, warning) else { return 0 }
    let wanted = try pruneFilters(invocation)
    let query = wanted.values.isEmpty ? [] : [(name: "filters", value: try wanted.query)]
    let answer = try await invocation.environment.client.document(
        NetworksPruneResponse.self, EngineRequest("POST", "/networks/prune", query: query))
    if !answer.networksDeleted.isEmpty {
        StandardStream.output.write("Deleted Networks:\n\(answer.networksDeleted.map { "\($0)\n" }.joined())\n")
    }
    return 0
}

private let networkConnectVerb = Verb(
    ["network connect"], "[OPTIONS] NETWORK CONTAINER", "Connect a container to a network",
    flags: [
        Flag("alias", nil, .commaSeparated, "Add network-scoped alias for the container"),
        Flag("driver-opt", nil, .commaSeparated, "driver options for the network"),
        Flag("gw-priority", nil, .integer, "Highest gw-priority provides the default gateway. Accepts positive and negative values."),
        Flag("ip", nil, .string, "IPv4 address (e.g., \"172.30.100.104\")"),
        Flag("ip6", nil, .string, "IPv6 address (e.g., \"2001:db8::33\")"),
        Flag("link", nil, .list, "Add link to another container"),
        Flag("link-local-ip", nil, .commaSeparated, "Add a link-local address for the container"),
    ], operands: .exactly(2)
) { invocation in
    let arguments = invocation.arguments
    var request = NetworkConnectRequest()
    request.container = arguments.operands[1]
    var endpoint = EndpointSettings()
    endpoint.aliases = arguments.list("alias")
    endpoint.links = arguments.list("link")
    for option in arguments.list("driver-opt") {
        let (name, value) = splitOnce(option, at: "=")
        guard let value, !trimmed(name).isEmpty else { throw Complaint("invalid key/value pair format in driver options") }
        endpoint.driverOpts[trimmed(name)] = trimmed(value)
    }
    endpoint.gatewayPriority = arguments.integer("gw-priority").flatMap { Int(exactly: $0) }
    endpoint.ipamConfig = addressesAskedFor(arguments)
    request.endpointConfig = endpoint
    let path: RequestPath = "/networks/\(arguments.operands[0])/connect"
    _ = try await invocation.environment.client.answer(to: EngineRequest("POST", path, body: try EngineJSON.encode(request)))
    return 0
}

private let networkDisconnectVerb = Verb(
    ["network disconnect"], "[OPTIONS] NETWORK CONTAINER", "Disconnect a container from a network",
    flags: [Flag("force", "f", .bool(default: false), "Force the container to disconnect from a network")], operands: .exactly(2)
) { invocation in
    let arguments = invocation.arguments
    var request = NetworkDisconnectRequest()
    request.container = arguments.operands[1]
    request.force = arguments.bool("force")
    let path: RequestPath = "/networks/\(arguments.operands[0])/disconnect"
    _ = try await invocation.environment.client.answer(to: EngineRequest("POST", path, body: try EngineJSON.encode(request)))
    return 0
}
