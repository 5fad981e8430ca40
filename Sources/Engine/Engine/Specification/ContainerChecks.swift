internal import CoreTypes
internal import EngineAPI

/// What of a create request Docker looks at before it makes a container, limits included.
enum ContainerChecks {
    /// Refuses what makes no sense, and clears what this host cannot do.
    /// - Returns: warnings, in Docker's words.
    /// - Throws: `.invalidParameter` in Docker's words.
    /// - Parameter request: what the client said, without what the image adds.
    static func adjust(
        _ document: inout ContainerDocument, request: ContainerConfig, facts: HostFacts
    ) throws(EngineError) -> [String] {
        let host = document.hostConfig
        try checkConflicts(request, host)
        if host.autoRemove && !["", "no"].contains(host.restartPolicy.name) {
            throw invalid("can't create 'AutoRemove' container with restart policy")
        }
        if host.annotations.keys.contains("") {
            throw invalid("invalid Annotations: the empty string is not permitted as an annotation key")
        }
        if !["", "default"].contains(host.isolation) { throw invalid("invalid isolation '\(host.isolation)' on linux") }
        try checkLinkAddress(document.config)
        try checkNames(host)
        try checkDevices(host)
        try checkStorage(host)
        try SecurityOptions(parsing: host.securityOpt).check(facts: facts)
        var warnings = try ResourceChecks.adjust(&document.hostConfig, facts: facts)
        _ = try NamespaceModes(host)
        // On other networks the endpoint has them.
        if !host.links.isEmpty && ["bridge", "none"].contains(Networks.networkName(ofMode: host.networkMode)) {
            let links = host.links.joined(separator: ", ")
            warnings.append(
                "Links (\(links)) are ignored: on a network of their own (docker network create) containers find each other by name.")
        }
        return warnings
    }

    private static func checkLinkAddress(_ config: ContainerConfig) throws(EngineError) {
        if let why = MACAddress.refusal(of: config.macAddress) { throw invalid(why) }
    }

    private static func checkDevices(_ host: HostConfig) throws(EngineError) {
        for device in host.devices { _ = try DeviceRules.access(device.cgroupPermissions) }
        for rule in host.deviceCgroupRules { _ = try DeviceRules.rule(parsing: rule) }
        for request in host.deviceRequests where request.driver != "cdi" {
            let capabilities = request.capabilities.map { "[\($0.joined(separator: " "))]" }.joined(separator: " ")
            throw invalid("could not select device driver \(quoted(request.driver)) with capabilities: [\(capabilities)]")
        }
    }

    /// What the network of another container, or of the host, does not go together with.
    private static func checkConflicts(_ config: ContainerConfig, _ host: HostConfig) throws(EngineError) {
        if host.utsMode == "host" && !config.hostname.isEmpty { throw conflict("hostname and the UTS mode") }
        if host.networkMode == "host" && !host.links.isEmpty {
            throw conflict("host type networking can't be used with links. This would result in undefined behavior")
        }
        guard host.networkMode == "container" || host.networkMode.hasPrefix("container:") else { return }
        guard case .container = NamespaceModes.networkOwner(host.networkMode) else {
            throw invalid("Invalid network mode: invalid container format container:<name|id>")
        }
        let conflicts: [(Bool, String)] = [
            (!config.hostname.isEmpty, "hostname and the network mode"),
            (!host.links.isEmpty, "container type network can't be used with links. This would result in undefined behavior"),
            (!host.dns.isEmpty, "dns and the network mode"),
            (!host.extraHosts.isEmpty, "custom host-to-IP mapping and the network mode"),
            (!config.macAddress.isEmpty, "mac-address and the network mode"),
            (!host.portBindings.isEmpty || host.publishAllPorts, "port publishing and the container type network mode"),
            (!config.exposedPorts.isEmpty, "port exposing and the container type network mode"),
        ]
        if let found = conflicts.first(where: \.0) { throw conflict(found.1) }
    }

    private static func conflict(_ what: String) -> EngineError { invalid("conflicting options: \(what)") }

    /// Names and addresses for the files in `/etc`.
    private static func checkNames(_ host: HostConfig) throws(EngineError) {
        for entry in host.extraHosts where ExtraHost(entry) == nil {
            let parts = entry.split(separator: entry.contains("=") ? "=" : ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, ExtraHost("\(parts[0]):\(ExtraHost.hostGateway)") != nil else {
                throw invalid("bad format for add-host: \(quoted(entry))")
            }
            throw invalid("invalid IP address in add-host: \(quoted(String(parts[1])))")
        }
        for word in host.dns + host.dnsSearch + host.dnsOptions where !word.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) || word.isEmpty {
            throw invalid("bad name server, search domain or resolver option: \(quoted(word))")
        }
    }

    /// Whether the file system limits single directories is seen once the container has one.
    private static func checkStorage(_ host: HostConfig) throws(EngineError) {
        for option in host.storageOpt.keys.sorted() where option != "size" { throw invalid("Unknown option \(option)") }
        _ = try LocalVolumeDriver.sizeLimit(host.storageOpt)
    }

    /// As a message of Docker's quotes a client's text: printable on one line.
    static func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F: "\\x" + String(scalar.value + 0x100, radix: 16).dropFirst()
            default: String(scalar)
            }
        }
        return "\"\(escaped.joined())\""
    }

    static func invalid(_ message: String) -> EngineError { EngineError(.invalidParameter, message) }
}

/// One entry of `HostConfig.Links`: a container, and by what name it is known.
struct ContainerLink: Equatable, Sendable {
    let container: String

    /// Reads `container[:alias]`, or `/container:/self/alias`, as inspect shows it.
    /// - Throws: `.invalidParameter` in Docker's words.
    init(parsing text: String) throws(EngineError) {
        guard !text.isEmpty else { throw ContainerChecks.invalid("empty string specified for links") }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { throw ContainerChecks.invalid("bad format for links: \(text)") }
        container = String(parts.count == 2 && parts[0].hasPrefix("/") ? parts[0].dropFirst() : parts[0])
    }
}

/// One entry of `HostConfig.ExtraHosts`: a name and the address that `/etc/hosts` gives it.
struct ExtraHost: Equatable, Sendable {
    /// The word for the host's own address on the default network.
    static let hostGateway = "host-gateway"
    var name: String
    var address: String

    /// Reads `name:address` or `name=address`, brackets around the address or not; nil for what is neither.
    init?(_ text: String) {
        let separator: Character = text.contains("=") ? "=" : ":"
        guard let mark = text.firstIndex(of: separator) else { return nil }
        name = String(text[..<mark])
        var rest = String(text[text.index(after: mark)...])
        if rest.hasPrefix("[") && rest.hasSuffix("]") { rest = String(rest.dropFirst().dropLast()) }
        guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { return nil }
        guard rest == Self.hostGateway || IPAddress(rest) != nil else { return nil }
        address = rest
    }
}
