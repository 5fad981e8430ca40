internal import EngineAPI
internal import EngineClient
internal import LinuxSyscalls

/// What the program takes from its surroundings, read once at the start.
package struct Environment: Sendable {
    let client: Client
    let signals: SignalTap
    /// The folder of `config.json`: `DOCKER_CONFIG`, `--config`, or `~/.docker`.
    let configurationFolder: String
    let configuration: ClientConfiguration
    /// The context that the command is for.
    let contextName: String
    let variables: [String: String]

    /// - Parameters:
    ///   - arguments: the global flags.
    ///   - needsDaemon: whether an address that is none is an error.
    /// - Throws: `EngineClientError` for a daemon address that is none, `Complaint` for a level or context that is none.
    init(_ arguments: Arguments, variables: [String: String], signals: SignalTap, needsDaemon: Bool = true) throws {
        self.variables = variables
        self.signals = signals
        let home = variables["HOME"] ?? "/root"
        configurationFolder = arguments.string("config") ?? variables["DOCKER_CONFIG"] ?? home + "/.docker"
        try Self.keepMemoryPrivate()
        configuration = ClientConfiguration(CredentialFile(folder: configurationFolder))
        if let complaint = configuration.complaint { StandardStream.error.write("WARNING: \(complaint)\n") }
        let choice = EndpointChoice(
            arguments: arguments, variables: variables, folder: configurationFolder, currentContext: configuration.currentContext)
        contextName = try choice.contextName()
        let endpoint = needsDaemon ? try choice.endpoint() : (try? choice.endpoint()) ?? .local
        let version = variables["DOCKER_API_VERSION"].map { $0.hasPrefix("v") ? String($0.dropFirst()) : $0 }
        client = Client(endpoint: endpoint, version: version == "" ? nil : version, headers: configuration.headers) {
            try startConnected($0.command)
        }
        if let level = arguments.string("log-level"), !["debug", "info", "warn", "error", "fatal"].contains(level) {
            throw Complaint("Unable to parse logging level: \(level)")
        }
    }

    /// The credentials that `config.json` holds for a registry, if any. What cannot be read is warned of, as docker does.
    func credentials(for domain: String) -> AuthConfig? {
        if configuration.isUnreadable { return nil }
        do {
            return try CredentialFile(folder: configurationFolder).credentials(for: CredentialFile.key(for: domain))
        } catch {
            StandardStream.error.write("WARNING: \(error)\n")
            return nil
        }
    }

    /// Before a password is read, and `config.json` may have some: no core file shall hold it, and no other process of the user read it.
    static func keepMemoryPrivate() throws { try setDumpable(false) }
}

/// The flags that stand before the verb.
let globalFlags = [
    Flag("config", nil, .string, "Location of client config files", defaultText: "~/.docker"),
    Flag(
        "context", "c", .string,
        "Name of the context to use to connect to the daemon (overrides DOCKER_HOST env var and default context set with \"apus context use\")"
    ),
    Flag("debug", "D", .bool(default: false), "Enable debug mode"),
    Flag("host", "H", .string, "Daemon socket to connect to", placeholder: "list"),
    Flag("log-level", "l", .string, "Set the logging level (debug, info, warn, error, fatal)", defaultText: "info"),
    Flag("tls", nil, .bool(default: false), "Use TLS; implied by --tlsverify"),
    Flag("tlscacert", nil, .string, "Trust certs signed only by this CA", defaultText: "~/.docker/ca.pem"),
    Flag("tlscert", nil, .string, "Path to TLS certificate file", defaultText: "~/.docker/cert.pem"),
    Flag("tlskey", nil, .string, "Path to TLS key file", defaultText: "~/.docker/key.pem"),
    Flag("tlsverify", nil, .bool(default: false), "Use TLS and verify the remote"),
    Flag("version", "v", .bool(default: false), "Print version information and quit"),
]
