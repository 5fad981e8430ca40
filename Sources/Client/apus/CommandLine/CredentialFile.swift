internal import EngineAPI
internal import FoundationEssentials
internal import Glibc
internal import Templates

/// Docker's `config.json`, as far as it keeps credentials: what else stands in it stays.
struct CredentialFile {
    let path: String
    private let folder: String

    /// Above it, the file is none of ours.
    static let sizeLimitBytes = 1 << 20

    init(folder: String) {
        self.folder = folder
        path = folder + "/config.json"
    }

    /// The name under which a registry's credentials are kept: Docker Hub's is an address of old.
    static func key(for server: String) -> String {
        var host = server[...]
        for scheme in ["https://", "http://"] where host.hasPrefix(scheme) { host = host.dropFirst(scheme.count) }
        host = host.prefix { $0 != "/" }
        let isHub = ["", "docker.io", "index.docker.io", "registry-1.docker.io"].contains(host)
        return isHub ? "https://index.docker.io/v1/" : String(host)
    }

    /// The program that keeps a registry's credentials: its own of `credHelpers`, or the one of `credsStore`; nil where the file does.
    func helper(for key: String) throws -> CredentialProgram? {
        let content = try read()
        if case .text(let name)? = content[key: "credHelpers"]?[key: key] { return try CredentialProgram(name: name) }
        if case .text(let name)? = content[key: "credsStore"], !name.isEmpty { return try CredentialProgram(name: name) }
        return nil
    }

    /// The name of the context in use; nil for none.
    var currentContext: String? {
        get throws {
            if case .text(let name)? = try read()[key: "currentContext"], !name.isEmpty { return name }
            return nil
        }
    }

    /// Says which context is in use; nil for none.
    func use(context name: String?) throws {
        guard case .map(let members) = try read() else { return }
        let others = members.filter { $0.key != "currentContext" }
        try write(TemplateValue.map(others + (name.map { [.init("currentContext", .text($0))] } ?? [])).indentedJSON + "\n")
    }

    /// Keeps credentials, or forgets those that are kept.
    /// - Returns: whether they stand in the file itself.
    @discardableResult
    func set(_ credentials: AuthConfig?, for key: String) throws -> Bool {
        let helper = try helper(for: key)
        if let helper {
            if let credentials { try helper.store(credentials, for: key) } else { try helper.erase(key) }
        }
        var entries: [TemplateValue.Entry] = []
        var known: [TemplateValue.Entry] = []
        if case .map(let members) = try read() { entries = members.filter { $0.key != "auths" } }
        if case .map(let members)? = try read()[key: "auths"] { known = members.filter { $0.key != key } }
        if let credentials {
            let pair = Data("\(credentials.username):\(credentials.password)".utf8).base64EncodedString()
            // As docker: the file tells that there are some, and the helper which.
            known.append(.init(key, .map(helper == nil ? [.init("auth", .text(pair))] : [])))
        }
        entries.insert(.init("auths", .map(known)), at: 0)
        try write(TemplateValue.map(entries).indentedJSON + "\n")
        return helper == nil
    }

    private func read() throws -> TemplateValue {
        guard FileManager.default.fileExists(atPath: path) else { return .map([]) }
        let bytes = try contents(of: path, limitBytes: Self.sizeLimitBytes)
        if bytes.isEmpty { return .map([]) }
        do throws(DocumentError) { return try EngineJSON.decode(TemplateValue.self, from: Array(bytes)) } catch {
            throw Complaint("\(path) cannot be read: \(error.reason)")
        }
    }

    /// The file is there whole or as before, and no one else ever reads it.
    private func write(_ text: String) throws {
        try changing(folder, "mkdir") {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
        let mask = umask(0o077)
        defer { umask(mask) }
        try changing(path, "write") { try Data(text.utf8).write(to: URL(filePath: path), options: .atomic) }
    }
}
