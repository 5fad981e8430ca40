internal import EngineAPI
internal import EngineClient
internal import FoundationEssentials

/// What the program takes from its surroundings, read once at the start.
package struct Environment: Sendable {
    let client: Client
    let signals: SignalTap
    /// The folder of `config.json`: `DOCKER_CONFIG`, `--config`, or `~/.docker`.
    let configurationFolder: String
    let variables: [String: String]

    /// - Parameter arguments: the global flags.
    /// - Throws: `EngineClientError` for a daemon address that is none.
    init(_ arguments: Arguments, variables: [String: String], signals: SignalTap) throws(EngineClientError) {
        self.variables = variables
        self.signals = signals
        let address = arguments.string("host") ?? variables["APUS_HOST"] ?? variables["DOCKER_HOST"] ?? ""
        let endpoint = address.isEmpty ? EngineEndpoint.local : try EngineEndpoint(url: address)
        let version = variables["DOCKER_API_VERSION"].map { $0.hasPrefix("v") ? String($0.dropFirst()) : $0 }
        client = Client(endpoint: endpoint, version: version == "" ? nil : version)
        let home = variables["HOME"] ?? "/root"
        configurationFolder = arguments.string("config") ?? variables["DOCKER_CONFIG"] ?? home + "/.docker"
    }

    /// The credentials that `config.json` holds for a registry, if any.
    func credentials(for domain: String) -> AuthConfig? {
        let path = configurationFolder + "/config.json"
        guard let bytes = try? Data(contentsOf: URL(filePath: path)), bytes.count < 1 << 20,
            let file = try? JSONDecoder().decode(ConfigurationFile.self, from: bytes)
        else { return nil }
        let key = domain == "docker.io" ? "https://index.docker.io/v1/" : domain
        guard let entry = file.auths?[key] ?? file.auths?["https://" + domain], let auth = entry.auth,
            let decoded = Data(base64Encoded: auth)
        else { return nil }
        let pair = String(decoding: decoded, as: UTF8.self)
        guard let colon = pair.firstIndex(of: ":") else { return nil }
        var credentials = AuthConfig()
        credentials.username = String(pair[..<colon])
        credentials.password = String(pair[pair.index(after: colon)...])
        credentials.serveraddress = key
        return credentials
    }
}

/// The part of docker's `config.json` that is read.
private struct ConfigurationFile: Decodable {
    struct Entry: Decodable { let auth: String? }
    let auths: [String: Entry]?
}

/// The flags that stand before the verb.
let globalFlags = [
    Flag("config", nil, .string, "Location of client config files", defaultText: "~/.docker"),
    Flag("debug", "D", .bool(default: false), "Enable debug mode"),
    Flag("host", "H", .string, "Daemon socket to connect to", placeholder: "list"),
    Flag("log-level", "l", .string, "Set the logging level (debug, info, warn, error, fatal)", defaultText: "info"),
    Flag("version", "v", .bool(default: false), "Print version information and quit"),
]
