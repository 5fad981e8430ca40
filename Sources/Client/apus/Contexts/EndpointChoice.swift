internal import EngineClient
internal import FoundationEssentials
internal import Glibc

/// Which daemon a command is for, in docker's order: `--context`, `--host`, the variables, then the context in use.
struct EndpointChoice {
    let arguments: Arguments
    let variables: [String: String]
    /// Of `config.json`.
    let folder: String
    /// What `config.json` says; empty for nothing.
    let currentContext: String

    /// The name of the context; `default` is what flags and variables say.
    func contextName() throws -> String {
        guard arguments.list("host").count <= 1 else {
            throw Complaint("Failed to initialize: unable to resolve docker endpoint: Specify only one -H")
        }
        let host = arguments.string("host") ?? ""
        if let name = arguments.string("context"), !name.isEmpty {
            if !host.isEmpty { throw Complaint("conflicting options: cannot specify both --host and --context") }
            return name
        }
        if !host.isEmpty || !hostVariable.isEmpty { return ContextStore.defaultName }
        if let name = variables["DOCKER_CONTEXT"], !name.isEmpty { return name }
        return currentContext.isEmpty ? ContextStore.defaultName : currentContext
    }

    var hostVariable: String { variables["APUS_HOST"].flatMap { $0.isEmpty ? nil : $0 } ?? variables["DOCKER_HOST"] ?? "" }

    func endpoint() throws -> EngineEndpoint {
        let name = try contextName()
        guard name == ContextStore.defaultName else {
            let store = ContextStore(folder: folder)
            let context = try store.context(name)
            return context.host.isEmpty ? usual : try EngineEndpoint(url: context.host, security: store.security(of: context))
        }
        let security = try self.security()
        let address = arguments.string("host").flatMap { $0.isEmpty ? nil : $0 } ?? hostVariable
        if !address.isEmpty { return try EngineEndpoint(url: address, security: security) }
        // Who asks for TLS and names no place means, with docker too, one of this machine's ports.
        return try security.map { try EngineEndpoint(url: "tcp://localhost", security: $0) } ?? usual
    }

    /// An ordinary user's own daemon where there is one, else the machine's.
    private var usual: EngineEndpoint {
        guard geteuid() != 0, let folder = variables["XDG_RUNTIME_DIR"], folder.hasPrefix("/") else { return .local }
        let path = "\(folder)/apus/apus.sock"
        return FileManager.default.fileExists(atPath: path) ? EngineEndpoint(socketPath: path) : .local
    }

    /// What `--tls`, `--tlsverify` and their files say; nil without them.
    /// - Throws: as docker, wherever the daemon is, for a file that is named and missing, and for the usual authorities where none are named.
    private func security() throws -> EngineSecurity? {
        let verifies = arguments.bool("tlsverify", default: variables["DOCKER_TLS_VERIFY"].map { !$0.isEmpty } ?? false)
        guard verifies || arguments.has("tlsverify") || arguments.bool("tls") else { return nil }
        let variable = variables["DOCKER_CERT_PATH"] ?? ""
        let usual = variable.isEmpty ? folder : variable
        func file(_ flag: String, _ name: String, isNeeded: Bool = false) throws -> String? {
            let named = arguments.string(flag)
            let path = named ?? "\(usual)/\(name)"
            if path.isEmpty || FileManager.default.fileExists(atPath: path) { return path.isEmpty ? nil : path }
            if named == nil && !isNeeded { return nil }
            throw Complaint("Failed to initialize: unable to resolve docker endpoint: open \(path): no such file or directory")
        }
        return EngineSecurity(
            authorities: try file("tlscacert", "ca.pem", isNeeded: true), certificate: try file("tlscert", "cert.pem"),
            key: try file("tlskey", "key.pem"), verifies: verifies)
    }
}
