internal import CoreTypes
internal import EngineAPI
internal import EngineClient
internal import Templates

let versionVerb = Verb(
    ["version"], "[OPTIONS]", "Show the version information of client and server",
    flags: [Flag("format", "f", .string, objectFormatUsage)]
) { invocation in
    let client = invocation.environment.client
    let format = invocation.arguments.string("format") ?? ""
    // Docker's own has a name.
    let template = format.isEmpty || format == "json" ? nil : try objectTemplate(format, name: "version")
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
        let (text, fault) = template?.renderAsFar(document: both, knownAs: .version) ?? (both.json, nil)
        StandardStream.output.write(text + "\n")
        if let fault { throw Complaint(fault.message) }
    }
    guard let failure else { return 0 }
    StandardStream.error.write("\(failure)\n")
    return 1
}

func clientDocument(_ client: Client) -> TemplateValue {
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
        // Of what nobody knows there is no line.
        text += ([("Version", component.version)] + shown.filter { !$0.1.isEmpty }).map { "  \(($0.0 + ":").padded(to: 17)) \($0.1)\n" }
            .joined()
    }
    return text
}
