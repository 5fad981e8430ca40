internal import CoreTypes
internal import EngineAPI
internal import EngineClient

let versionVerb = Verb(
    ["version"], "[OPTIONS]", "Show the version information of client and server",
    flags: [Flag("format", "f", .string, objectFormatUsage)]
) { invocation in
    let client = invocation.environment.client
    let format = invocation.arguments.string("format") ?? ""
    let template = format.isEmpty || format == "json" ? nil : try objectTemplate(format)
    var server: SystemVersion?
    var failure: EngineClientError?
    do { server = try await client.serverVersion() } catch let error as EngineClientError { failure = error }
    if format.isEmpty {
        StandardStream.output.write(clientText(client))
        if let server { StandardStream.output.write(serverText(server)) }
    } else {
        let both = TemplateValue.map([
            .init("Client", clientDocument(client)), .init("Server", try server.map { try TemplateValue(document: $0) } ?? .null),
        ])
        StandardStream.output.write((try template?.render(both) ?? both.json) + "\n")
    }
    guard let failure else { return 0 }
    StandardStream.error.write("\(failure)\n")
    return 1
}

let infoVerb = Verb(
    ["info", "system info"], "[OPTIONS]", "Display system-wide information",
    flags: [Flag("format", "f", .string, objectFormatUsage)]
) { invocation in
    let client = invocation.environment.client
    let format = invocation.arguments.string("format") ?? ""
    let template = format.isEmpty || format == "json" ? nil : try objectTemplate(format)
    let info = try await client.info()
    if format.isEmpty {
        StandardStream.output.write("Client:\n Version:    \(Product.version)\n\nServer:\n\(infoText(info))\n")
        for warning in info.warnings { StandardStream.error.write("\(warning)\n") }
        return 0
    }
    guard case .map(let entries) = try TemplateValue(document: info) else { return 0 }
    let whole = TemplateValue.map(entries + [.init("ClientInfo", clientDocument(client))])
    StandardStream.output.write((try template?.render(whole) ?? whole.json) + "\n")
    return 0
}

private func clientDocument(_ client: Client) -> TemplateValue {
    let newest = "\(APIVersion.newest)"
    return .map([
        .init("Version", .text(Product.version)), .init("ApiVersion", .text(client.version ?? newest)),
        .init("DefaultAPIVersion", .text(newest)), .init("Os", .text(Platform.host.operatingSystem)),
        .init("Arch", .text(Platform.host.architecture)), .init("Context", .text("default")),
    ])
}

private func clientText(_ client: Client) -> String {
    let lines = [
        ("Version", Product.version), ("API version", client.version ?? "\(APIVersion.newest)"),
        ("OS/Arch", "\(Platform.host.operatingSystem)/\(Platform.host.architecture)"),
    ]
    return "Client:\n" + lines.map { " \(($0.0 + ":").padded(to: 18)) \($0.1)\n" }.joined()
}

/// The components of the server: the engine as docker's page shows it, others with what they tell.
private func serverText(_ server: SystemVersion) -> String {
    var text = "\nServer: \(server.platform.name)\n"
    for component in server.components {
        let details = component.details
        let shown: [(String, String)]
        if component.name == "Engine" {
            let versions = "\(details["ApiVersion"] ?? "") (minimum version \(details["MinAPIVersion"] ?? ""))"
            shown = [
                ("API version", versions), ("Go version", details["GoVersion"] ?? ""), ("Git commit", details["GitCommit"] ?? ""),
                ("Built", details["BuildTime"] ?? ""), ("OS/Arch", "\(details["Os"] ?? "")/\(details["Arch"] ?? "")"),
                ("Experimental", details["Experimental"] ?? "false"),
            ]
        } else {
            shown = details.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
        text += " \(component.name):\n"
        text += ([("Version", component.version)] + shown).map { "  \(($0.0 + ":").padded(to: 17)) \($0.1)\n" }.joined()
    }
    return text
}

private func infoText(_ info: SystemInfo) -> String {
    var lines = [
        "Containers: \(info.containers)", " Running: \(info.containersRunning)", " Paused: \(info.containersPaused)",
        " Stopped: \(info.containersStopped)", "Images: \(info.images)", "Server Version: \(info.serverVersion)",
        "Storage Driver: \(info.driver)",
    ]
    lines += info.driverStatus.filter { $0.count == 2 }.map { " \($0[0]): \($0[1])" }
    lines += [
        "Logging Driver: \(info.loggingDriver)", "Cgroup Driver: \(info.cgroupDriver)", "Cgroup Version: \(info.cgroupVersion)", "Plugins:",
        " Volume: \(info.plugins.volume.joined(separator: " "))", " Network: \(info.plugins.network.joined(separator: " "))",
        " Log: \(info.plugins.log.joined(separator: " "))", "Swarm: \(info.swarm.localNodeState)",
        "Runtimes: \(info.runtimes.keys.sorted().joined(separator: " "))", "Default Runtime: \(info.defaultRuntime)",
        "Init Binary: \(info.initBinary)", "Security Options:",
    ]
    lines += info.securityOptions.flatMap(securityOptionLines)
    lines += [
        "Kernel Version: \(info.kernelVersion)", "Operating System: \(info.operatingSystem)", "OSType: \(info.osType)",
        "Architecture: \(info.architecture)", "CPUs: \(info.cpus)", "Total Memory: \(humanBinarySize(info.memoryTotal))",
        "Name: \(info.name)", "ID: \(info.id)", "Docker Root Dir: \(info.rootDirectory)", "Debug Mode: \(info.debug)",
    ]
    lines += [("HTTP Proxy", info.httpProxy), ("HTTPS Proxy", info.httpsProxy), ("No Proxy", info.noProxy)]
        .filter { !$0.1.isEmpty }.map { "\($0.0): \($0.1)" }
    if !info.labels.isEmpty { lines += ["Labels:"] + info.labels.map { " \($0)" } }
    lines.append("Experimental: \(info.experimentalBuild)")
    if let insecure = info.registryConfig?.insecureRegistryCIDRs, !insecure.isEmpty {
        lines += ["Insecure Registries:"] + insecure.map { " \($0)" }
    }
    lines.append("Live Restore Enabled: \(info.liveRestoreEnabled)")
    return lines.map { " \(printable($0))\n" }.joined()
}

/// `name=seccomp,profile=builtin` as the name and a line for each of its properties.
private func securityOptionLines(_ option: String) -> [String] {
    option.split(separator: ",").map { pair in
        let (key, value) = splitOnce(String(pair), at: "=")
        return key == "name" ? " \(value ?? "")" : "  \(key.prefix(1).uppercased() + key.dropFirst()): \(value ?? "")"
    }
}
