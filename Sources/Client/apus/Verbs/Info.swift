internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import Templates

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
    let (text, fault) = template?.renderAsFar(document: whole, knownAs: .information) ?? (whole.json, nil)
    StandardStream.output.write(text + "\n")
    if let fault { throw Complaint(fault.message) }
    return 0
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
    if let firewall = info.firewallBackend { lines.append("Firewall Backend: \(firewall.driver)") }
    return lines.map { " \(printable($0))\n" }.joined()
}

/// `name=seccomp,profile=builtin` as the name and a line for each of its properties.
private func securityOptionLines(_ option: String) -> [String] {
    option.split(separator: ",").map { pair in
        let (key, value) = splitOnce(String(pair), at: "=")
        return key == "name" ? " \(value ?? "")" : "  \(key.prefix(1).uppercased() + key.dropFirst()): \(value ?? "")"
    }
}
