internal import EngineAPI
internal import FoundationEssentials
internal import Glibc

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

    /// - Throws: where credentials belong into a helper program, which none of ours speaks to.
    func checkIsUsable() throws {
        let content = try read()
        for name in ["credsStore", "credHelpers"] where content[key: name].map({ $0 != .map([]) && $0 != .text("") }) ?? false {
            throw Complaint("\(path) names credential helpers (\(name)), which are not implemented yet")
        }
    }

    /// Keeps credentials, or forgets those that are kept.
    func set(_ credentials: AuthConfig?, for key: String) throws {
        var entries: [TemplateValue.Entry] = []
        var known: [TemplateValue.Entry] = []
        if case .map(let members) = try read() { entries = members.filter { $0.key != "auths" } }
        if case .map(let members)? = try read()[key: "auths"] { known = members.filter { $0.key != key } }
        if let credentials {
            let pair = Data("\(credentials.username):\(credentials.password)".utf8).base64EncodedString()
            known.append(.init(key, .map([.init("auth", .text(pair))])))
        }
        entries.insert(.init("auths", .map(known)), at: 0)
        try write(TemplateValue.map(entries).indentedJSON + "\n")
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
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let mask = umask(0o077)
        defer { umask(mask) }
        try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
    }
}
