internal import EngineAPI
internal import EngineClient
internal import FoundationEssentials
internal import Templates

/// Verbs of `apus context`: daemons by names of their own.
let contextVerbs = [
    contextCreateVerb, contextInspectVerb, contextListVerb, contextRemoveVerb, contextShowVerb, contextUpdateVerb, contextUseVerb,
]

private let endpointFlags = [
    Flag("description", nil, .string, "Description of the context"),
    Flag("docker", nil, .list, "set the docker endpoint", placeholder: "stringToString", defaultText: "[]"),
]

private let contextCreateVerb = Verb(
    ["context create"], "[OPTIONS] CONTEXT", "Create a context",
    flags: endpointFlags + [Flag("from", nil, .string, "create context from a named context")], operands: .exactly(1)
) { invocation in
    let (arguments, environment) = (invocation.arguments, invocation.environment)
    let (store, name) = (ContextStore(folder: environment.configurationFolder), arguments.operands[0])
    try ContextStore.check(name)
    if store.exists(name) { throw Complaint("context \(goQuoted(name)) already exists") }
    var context = StoredContext(name: name, metadata: .init(description: nil), endpoints: [:])
    var files: [String: Data] = [:]
    let words = pairs(arguments.list("docker").flatMap { $0.split(separator: ",").map(String.init) })
    if !words.isEmpty {
        (context.endpoints[StoredContext.engine], files) = try endpoint(words)
    } else {
        let source = arguments.string("from") ?? environment.contextName
        (context, files) = try store.copy(of: source, current: environment.client.endpoint)
        context.name = name
    }
    if let description = arguments.string("description") { context.metadata.description = description }
    try store.keep(context, files: files)
    StandardStream.output.write("\(name)\n")
    StandardStream.error.write("Successfully created context \(goQuoted(name))\n")
    return 0
}

private let contextUpdateVerb = Verb(
    ["context update"], "[OPTIONS] CONTEXT", "Update a context", flags: endpointFlags, operands: .exactly(1)
) { invocation in
    let arguments = invocation.arguments
    let (store, name) = (ContextStore(folder: invocation.environment.configurationFolder), arguments.operands[0])
    try ContextStore.check(name)
    var context = try store.context(name)
    var files: [String: Data]?
    if let description = arguments.string("description") { context.metadata.description = description }
    let words = pairs(arguments.list("docker").flatMap { $0.split(separator: ",").map(String.init) })
    if !words.isEmpty { (context.endpoints[StoredContext.engine], files) = try endpoint(words) }
    try store.keep(context, files: files)
    StandardStream.output.write("\(name)\n")
    StandardStream.error.write("Successfully updated context \(goQuoted(name))\n")
    return 0
}

/// Reads `host=…,ca=…,cert=…,key=…,skip-tls-verify=…`.
private func endpoint(_ words: [String: String]) throws -> (StoredContext.Endpoint, [String: Data]) {
    let known = ["host", "skip-tls-verify", "from"] + ContextStore.tlsFiles.map(\.key)
    if let unknown = words.keys.sorted().first(where: { !known.contains($0) }) {
        throw Complaint("unrecognized config key: \(unknown)")
    }
    let host = words["host"] ?? ""
    if !host.isEmpty {
        // `-H` takes a name alone, a context none.
        guard host.contains("://") else {
            throw Complaint(
                "unable to create docker endpoint config: unable to apply docker endpoint options: unable to parse docker host `\(host)`")
        }
        _ = try EngineEndpoint(url: host)
    }
    let skips = words["skip-tls-verify"] ?? "false"
    guard let skipsVerification = parseBool(skips) else { throw Complaint("unable to parse skip-tls-verify: \(goQuoted(skips))") }
    var files: [String: Data] = [:]
    for (key, name) in ContextStore.tlsFiles {
        if let path = words[key], !path.isEmpty { files[name] = try contents(of: path, limitBytes: 1 << 20) }
    }
    return (.init(host: host, skipsVerification: skipsVerification), files)
}

extension ContextStore {
    /// What another context is made of: of the default one, what flags and variables say.
    func copy(of name: String, current: EngineEndpoint) throws -> (StoredContext, [String: Data]) {
        if name == Self.defaultName {
            let security = current.security
            var files: [String: Data] = [:]
            for (path, file) in [(security?.authorities, "ca.pem"), (security?.certificate, "cert.pem"), (security?.key, "key.pem")] {
                if let path { files[file] = try contents(of: path, limitBytes: 1 << 20) }
            }
            let endpoint = StoredContext.Endpoint(host: "\(current)", skipsVerification: security?.verifies == false)
            return (StoredContext(name: name, metadata: .init(), endpoints: [StoredContext.engine: endpoint]), files)
        }
        let source = try context(name)
        var files: [String: Data] = [:]
        for file in tlsNames(name) {
            files[file] = try contents(of: "\(tlsFolder(name))/\(StoredContext.engine)/\(file)", limitBytes: 1 << 20)
        }
        return (source, files)
    }
}

private let contextListVerb = Verb(
    ["context ls", "context list"], "[OPTIONS]", "List contexts",
    flags: [Flag("format", nil, .string, formatUsage), Flag("quiet", "q", .bool(default: false), "Only show context names")]
) { invocation in
    let (arguments, environment) = (invocation.arguments, invocation.environment)
    let store = ContextStore(folder: environment.configurationFolder)
    let format = arguments.bool("quiet") ? ListFormat("{{.Name}}") : ListFormat(arguments.string("format"))
    var rows = [
        (
            "default", "Current DOCKER_HOST based configuration",
            environment.contextName == "default" ? "\(environment.client.endpoint)" : "unix:///run/apus/apus.sock", ""
        )
    ]
    for context in try store.all() { rows.append((context.name, context.metadata.description ?? "", context.host, "")) }
    if environment.contextName != ContextStore.defaultName, !store.exists(environment.contextName) {
        rows.append((environment.contextName, "", "", "context not found"))
    }
    let marksCurrent = format == .table(nil)
    let values = rows.sorted { precedesNaturally($0.0, $1.0) }.map { name, description, host, problem -> TemplateValue in
        let isCurrent = name == environment.contextName
        return .map([
            .init("Current", .bool(isCurrent)), .init("Description", .text(printable(description))),
            .init("DockerEndpoint", .text(printable(host))), .init("Error", .text(problem)),
            .init("Name", .text(printable(name) + (marksCurrent && isCurrent ? " *" : ""))),
        ])
    }
    StandardStream.output.write(
        try listText(
            values, of: .context,
            columns: [
                Column("Current", "CURRENT"), Column("Description", "DESCRIPTION"), Column("DockerEndpoint", "DOCKER ENDPOINT"),
                Column("Error", "ERROR"), Column("Name", "NAME"),
            ], byDefault: ["Name", "Description", "DockerEndpoint", "Error"], format: format))
    return 0
}

private let contextInspectVerb = Verb(
    ["context inspect"], "[OPTIONS] [CONTEXT] [CONTEXT...]", "Display detailed information on one or more contexts",
    flags: [Flag("format", "f", .string, formatUsage)], operands: .atLeast(0)
) { invocation in
    let (arguments, environment) = (invocation.arguments, invocation.environment)
    let store = ContextStore(folder: environment.configurationFolder)
    let format = arguments.string("format") ?? ""
    let template = format.isEmpty || format == "json" ? nil : try objectTemplate(format)
    let names = arguments.operands.isEmpty ? [environment.contextName] : arguments.operands
    let found = try names.map { name in
        let isDefault = name == ContextStore.defaultName
        let context = isDefault ? try store.copy(of: name, current: environment.client.endpoint).0 : try store.context(name)
        return try store.description(context, isStored: !isDefault)
    }
    if let template {
        for object in found { StandardStream.output.write(try template.render(document: object) + "\n") }
    } else {
        let all = TemplateValue.list(found)
        StandardStream.output.write((format == "json" ? all.json : all.indentedJSON) + "\n")
    }
    return 0
}

extension ContextStore {
    fileprivate func description(_ context: StoredContext, isStored: Bool) throws -> TemplateValue {
        guard case .map(let entries) = try EngineJSON.decode(TemplateValue.self, from: try EngineJSON.encode(context)) else {
            return .map([])
        }
        let files = isStored ? tlsNames(context.name) : []
        let order = ["Name", "Metadata", "Endpoints"]
        let material: [TemplateValue.Entry] = files.isEmpty ? [] : [.init(StoredContext.engine, .list(files.map { .text($0) }))]
        return .map(
            order.compactMap { name in entries.first { $0.key == name } } + [
                .init("TLSMaterial", .map(material)),
                .init(
                    "Storage",
                    .map([
                        .init("MetadataPath", .text(isStored ? metadataFolder(context.name) : "<IN MEMORY>")),
                        .init("TLSPath", .text(isStored ? tlsFolder(context.name) : "<IN MEMORY>")),
                    ])),
            ])
    }
}

private let contextRemoveVerb = Verb(
    ["context rm", "context remove"], "CONTEXT [CONTEXT...]", "Remove one or more contexts",
    flags: [Flag("force", "f", .bool(default: false), "Force the removal of a context in use")], operands: .atLeast(1)
) { invocation in
    let environment = invocation.environment
    let (store, file) = (ContextStore(folder: environment.configurationFolder), CredentialFile(folder: environment.configurationFolder))
    var complaints = ""
    for name in invocation.arguments.operands {
        do {
            if name == ContextStore.defaultName { throw Complaint("context \"default\" cannot be removed") }
            let isForced = invocation.arguments.bool("force")
            if !store.exists(name) && !isForced { throw Complaint("context \(goQuoted(name)) not found") }
            if try file.currentContext == name {
                guard isForced else { throw Complaint("context \(goQuoted(name)) is in use, set -f flag to force remove") }
                try file.use(context: nil)
            }
            try store.remove(name)
            StandardStream.output.write("\(name)\n")
        } catch let error as Complaint {
            complaints += "\(error)\n"
        }
    }
    StandardStream.error.write(complaints)
    return complaints.isEmpty ? 0 : 1
}

private let contextShowVerb = Verb(["context show"], "", "Print the name of the current context") { invocation in
    StandardStream.output.write("\(invocation.environment.contextName)\n")
    return 0
}

private let contextUseVerb = Verb(
    ["context use"], "CONTEXT", "Set the current docker context", operands: .exactly(1)
) { invocation in
    let (environment, name) = (invocation.environment, invocation.arguments.operands[0])
    let isDefault = name == ContextStore.defaultName
    if !isDefault { _ = try ContextStore(folder: environment.configurationFolder).context(name) }
    try CredentialFile(folder: environment.configurationFolder).use(context: isDefault ? nil : name)
    StandardStream.output.write("\(name)\n")
    StandardStream.error.write("Current context is now \(goQuoted(name))\n")
    let variable = ["APUS_HOST", "DOCKER_HOST"].first { environment.variables[$0].map { !$0.isEmpty } ?? false }
    if let variable, !isDefault {
        StandardStream.error.write(
            "Warning: \(variable) environment variable overrides the active context. "
                + "To use \(goQuoted(name)), either set the global --context flag, or unset \(variable) environment variable.\n")
    }
    return 0
}
