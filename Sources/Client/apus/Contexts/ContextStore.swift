internal import EngineAPI
internal import EngineClient
internal import FoundationEssentials
internal import Templates

/// A daemon by a name of its own, as docker's contexts keep it.
struct StoredContext: Codable, Equatable {
    struct Metadata: Codable, Equatable {
        var description: String?

        enum CodingKeys: String, CodingKey { case description = "Description" }
    }

    struct Endpoint: Codable, Equatable {
        var host: String
        var skipsVerification: Bool

        enum CodingKeys: String, CodingKey { case host = "Host", skipsVerification = "SkipTLSVerify" }

        init(host: String, skipsVerification: Bool) {
            self.host = host
            self.skipsVerification = skipsVerification
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            host = try values.decodeIfPresent(String.self, forKey: .host) ?? ""
            skipsVerification = try values.decodeIfPresent(Bool.self, forKey: .skipsVerification) ?? false
        }
    }

    var name: String
    var metadata: Metadata
    var endpoints: [String: Endpoint]

    enum CodingKeys: String, CodingKey { case name = "Name", metadata = "Metadata", endpoints = "Endpoints" }

    /// What a context is kept in, in its folder and in an archive.
    static let file = "meta.json"
    /// The endpoint of the engine.
    static let engine = "docker"
    var host: String { endpoints[Self.engine]?.host ?? "" }
}

/// The folder in which docker's command line keeps contexts: what one of the two programs makes, the other knows.
struct ContextStore {
    /// Above it, a file is none of ours.
    private static let limitBytes = 1 << 20
    /// Most contexts that are listed.
    private static let countLimit = 10_000
    /// The one that is no file: what flags and variables say.
    static let defaultName = "default"
    static let namePattern = "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"
    /// Files of TLS, and which flag's value each keeps.
    static let tlsFiles = [(key: "ca", name: "ca.pem"), (key: "cert", name: "cert.pem"), (key: "key", name: "key.pem")]

    private let folder: String

    /// - Parameter folder: of `config.json`.
    init(folder: String) { self.folder = folder + "/contexts" }

    func metadataFolder(_ name: String) -> String { "\(folder)/meta/\(SHA256.digits(of: name))" }
    func tlsFolder(_ name: String) -> String { "\(folder)/tls/\(SHA256.digits(of: name))" }
    private func engineFolder(_ name: String) -> String { tlsFolder(name) + "/" + StoredContext.engine }

    /// - Throws: `Complaint` for a name that no context can have.
    static func check(_ name: String) throws(Complaint) {
        if name == defaultName { throw Complaint("\"default\" is a reserved context name") }
        let isRight =
            name.utf8.count > 1 && name.first.map { $0.isASCII && ($0.isLetter || $0.isNumber) } == true
            && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_.+-".contains($0)) }
        guard isRight else {
            throw Complaint("context name \(goQuoted(name)) is invalid, names are validated against regexp \"\(namePattern)\"")
        }
    }

    /// All that are there, by name.
    func all() throws -> [StoredContext] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder + "/meta")) ?? []
        return try names.prefix(Self.countLimit).map { try read("\(folder)/meta/\($0)/\(StoredContext.file)") }.sorted { $0.name < $1.name }
    }

    /// - Throws: `Complaint` in docker's words where there is none.
    func context(_ name: String) throws -> StoredContext {
        let path = metadataFolder(name) + "/" + StoredContext.file
        guard FileManager.default.fileExists(atPath: path) else {
            throw Complaint("context \(goQuoted(name)): context not found: open \(path): no such file or directory")
        }
        return try read(path)
    }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: metadataFolder(name) + "/" + StoredContext.file) }

    /// The names of the files of TLS that a context has.
    func tlsNames(_ name: String) -> [String] {
        Self.tlsFiles.map(\.name).filter { FileManager.default.fileExists(atPath: engineFolder(name) + "/" + $0) }
    }

    /// How a context's connection is made secure; nil where it has no files of TLS.
    func security(of context: StoredContext) -> EngineSecurity? {
        let present = Set(tlsNames(context.name))
        if present.isEmpty { return nil }
        func path(_ name: String) -> String? { present.contains(name) ? engineFolder(context.name) + "/" + name : nil }
        return EngineSecurity(
            authorities: path("ca.pem"), certificate: path("cert.pem"), key: path("key.pem"),
            verifies: context.endpoints[StoredContext.engine]?.skipsVerification != true)
    }

    /// Keeps a context, and copies of its files of TLS; nil leaves those that it has.
    /// - Parameter files: contents by the names of `tlsFiles`.
    func keep(_ context: StoredContext, files: [String: Data]?) throws {
        if let files {
            try removeFolder(tlsFolder(context.name))
            for (name, content) in files { try keepPrivately(content, in: engineFolder(context.name), as: name) }
        }
        try keepPrivately(Data(try EngineJSON.encode(context)), in: metadataFolder(context.name), as: StoredContext.file)
    }

    func remove(_ name: String) throws {
        try removeFolder(metadataFolder(name))
        try removeFolder(tlsFolder(name))
    }

    private func removeFolder(_ path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        try changing(path, "remove") { try FileManager.default.removeItem(atPath: path) }
    }

    private func read(_ path: String) throws -> StoredContext {
        let bytes = try contents(of: path, limitBytes: Self.limitBytes)
        do throws(DocumentError) { return try EngineJSON.decode(StoredContext.self, from: Array(bytes)) } catch {
            throw Complaint("\(path) cannot be read: \(error.reason)")
        }
    }
}

/// Writes a file for its owner's eyes only, and makes the folder that it lies in.
func keepPrivately(_ content: Data, in folder: String, as name: String) throws {
    try changing(folder, "mkdir") {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }
    let path = folder + "/" + name
    try changing(path, "write") {
        try content.write(to: URL(filePath: path), options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }
}
