internal import EngineAPI
internal import EngineClient

let versionVerb = Verb(
    ["version"], "[OPTIONS]", "Show the version information of client and server",
    flags: [Flag("format", "f", .string, "Format output using a custom template: 'json' or a Go template")]
) { invocation in
    let client = invocation.environment.client
    let ours: [(String, String)] = [
        ("Version", productVersion), ("ApiVersion", client.version ?? newestAPIVersion), ("Os", "linux"), ("Arch", machine),
    ]
    var server: SystemVersion?
    var failure: EngineClientError?
    do { server = try await client.serverVersion() } catch let error as EngineClientError { failure = error }
    if let format = invocation.arguments.string("format"), !format.isEmpty {
        let both = TemplateValue.map([
            .init("Client", .map(ours.map { .init($0.0, .text($0.1)) })),
            .init("Server", try server.map { try TemplateValue(document: $0) } ?? .null),
        ])
        StandardStream.output.write((format == "json" ? both.json : try Template(format).render(both)) + "\n")
    } else {
        StandardStream.output.write(
            "Client:\n Version:           \(productVersion)\n API version:       \(ours[1].1)\n OS/Arch:           linux/\(machine)\n")
        if let server { StandardStream.output.write(serverText(server)) }
    }
    guard let failure else { return 0 }
    StandardStream.error.write("\(failure)\n")
    return 1
}

let infoVerb = Verb(
    ["info", "system info"], "[OPTIONS]", "Display system-wide information",
    flags: [Flag("format", "f", .string, "Format output using a custom template: 'json' or a Go template")]
) { invocation in
    let info = try await invocation.environment.client.info()
    if let format = invocation.arguments.string("format"), !format.isEmpty {
        let value = try TemplateValue(document: info)
        StandardStream.output.write((format == "json" ? value.json : try Template(format).render(value)) + "\n")
        return 0
    }
    StandardStream.output.write(infoText(info))
    for warning in info.warnings { StandardStream.error.write("\(warning)\n") }
    return 0
}

/// The newest API version that this client speaks.
private let newestAPIVersion = "1.51"

#if arch(x86_64)
    private let machine = "amd64"
#elseif arch(arm64)
    private let machine = "arm64"
#endif

private func serverText(_ server: SystemVersion) -> String {
    var text = "\nServer: \(server.platform.name)\n"
    for component in server.components {
        text += " \(component.name):\n  Version:          \(component.version)\n"
        for (name, value) in component.details.sorted(by: { $0.key < $1.key }) {
            text += "  \((name + ":").padded(to: 17)) \(value)\n"
        }
    }
    return text
}

private func infoText(_ info: SystemInfo) -> String {
    let lines: [(String, String)] = [
        ("Containers", "\(info.containers)"), (" Running", "\(info.containersRunning)"), (" Paused", "\(info.containersPaused)"),
        (" Stopped", "\(info.containersStopped)"), ("Images", "\(info.images)"), ("Server Version", info.serverVersion),
        ("Storage Driver", info.driver), ("Logging Driver", info.loggingDriver), ("Cgroup Driver", info.cgroupDriver),
        ("Cgroup Version", info.cgroupVersion), ("Runtimes", info.runtimes.keys.sorted().joined(separator: " ")),
        ("Default Runtime", info.defaultRuntime), ("Security Options", info.securityOptions.joined(separator: " ")),
        ("Kernel Version", info.kernelVersion), ("Operating System", info.operatingSystem), ("OSType", info.osType),
        ("Architecture", info.architecture), ("CPUs", "\(info.cpus)"), ("Total Memory", humanSize(info.memoryTotal)),
        ("Name", info.name), ("ID", info.id), ("Docker Root Dir", info.rootDirectory), ("Debug Mode", "\(info.debug)"),
        ("Live Restore Enabled", "\(info.liveRestoreEnabled)"),
    ]
    return "Client:\n Version:    \(productVersion)\n\nServer:\n" + lines.map { " \($0.0): \($0.1)\n" }.joined()
}
