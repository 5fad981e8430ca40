internal import EngineAPI
internal import FoundationEssentials
internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage
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

    /// Docker Hub's name among credentials: an address of old.
    private static let hub = "https://index.docker.io/v1/"

    /// The name under which a registry's credentials are kept.
    static func key(for server: String) -> String {
        let host = host(of: server)
        return ["", "docker.io", "index.docker.io", "registry-1.docker.io"].contains(host) ? hub : host
    }

    /// A registry's name without the scheme and path of an address.
    private static func host(of server: String) -> String {
        var host = server[...]
        for scheme in ["https://", "http://"] where host.hasPrefix(scheme) { host = host.dropFirst(scheme.count) }
        return String(host.prefix { $0 != "/" })
    }

    /// The program that keeps a registry's credentials: its own of `credHelpers`, or the one of `credsStore`; nil where the file does, which
    /// an empty name says, too.
    private static func helper(for key: String, in content: TemplateValue) throws(Complaint) -> CredentialProgram? {
        let name = content[key: "credHelpers"]?[key: key]?.words ?? content[key: "credsStore"]?.words ?? ""
        return name.isEmpty ? nil : try CredentialProgram(name: name)
    }

    /// Entries of `auths` that are a registry's: by its name, or by an address of it as older programs wrote them. The former come first.
    private static func entries(for key: String, in content: TemplateValue) -> [TemplateValue.Entry] {
        guard case .map(let all)? = content[key: "auths"] else { return [] }
        return all.filter { $0.key == key } + all.filter { $0.key != key && host(of: $0.key) == key }.sorted { $0.key < $1.key }
    }

    /// What is kept of a registry's credentials, here or by a helper; nil for none.
    func credentials(for key: String) throws -> AuthConfig? {
        let content = try content()
        if let helper = try Self.helper(for: key, in: content) { return try helper.credentials(for: key) }
        guard let entry = Self.entries(for: key, in: content).first?.value else { return nil }
        var credentials = AuthConfig()
        credentials.serveraddress = key
        credentials.identitytoken = entry[key: "identitytoken"]?.words ?? ""
        if let pair = entry[key: "auth"]?.words, !pair.isEmpty {
            guard let decoded = Data(base64Encoded: pair) else { throw Complaint("\(path): \"auth\" of \(goQuoted(key)) is not base64") }
            let (name, password) = splitOnce(String(decoding: decoded, as: UTF8.self), at: ":")
            (credentials.username, credentials.password) = (name, password ?? "")
        } else {
            (credentials.username, credentials.password) = (entry[key: "username"]?.words ?? "", entry[key: "password"]?.words ?? "")
        }
        return credentials.username.isEmpty && credentials.identitytoken.isEmpty ? nil : credentials
    }

    /// The name of the context in use; nil for none.
    var currentContext: String? {
        get throws {
            if case .text(let name)? = try content()[key: "currentContext"], !name.isEmpty { return name }
            return nil
        }
    }

    /// Says which context is in use; nil for none.
    func use(context name: String?) throws {
        guard case .map(let members) = try content() else { return }
        let others = members.filter { $0.key != "currentContext" }
        try write(TemplateValue.map(others + (name.map { [.init("currentContext", .text($0))] } ?? [])).indentedJSON + "\n")
    }

    /// Keeps credentials.
    /// - Returns: whether the file itself holds them from now on.
    func keep(_ credentials: AuthConfig, for key: String) throws -> Bool {
        let content = try content()
        let helper = try Self.helper(for: key, in: content)
        try helper?.store(credentials, for: key)
        let pair = Data("\(credentials.username):\(credentials.password)".utf8).base64EncodedString()
        // As docker: the file tells that there are some, and the helper which.
        let entry = TemplateValue.Entry(key, .map(helper == nil ? [.init("auth", .text(pair))] : []))
        if content[key: "auths"]?[key: key] == entry.value { return false }
        try write(content, without: [key], and: entry)
        return helper == nil
    }

    /// Forgets all that would be used for a registry, also what older programs kept under addresses of it.
    /// - Throws: what a helper said of the registry's name; of an address, where none has forgotten anything.
    func forget(_ key: String) throws {
        let content = try content()
        let places = key == Self.hub ? [key] : [key, "http://\(key)", "https://\(key)"]
        var (failures, isForgotten): ([(place: String, error: any Error)], Bool) = ([], false)
        for place in places {
            do {
                guard let helper = try Self.helper(for: place, in: content) else { continue }
                try helper.erase(place)
                isForgotten = true
            } catch { failures.append((place, error)) }
        }
        let gone = Self.entries(for: key, in: content).map(\.key)
        if !gone.isEmpty { try write(content, without: Set(gone), and: nil) }
        if let failure = failures.first(where: { $0.place == key || !isForgotten }) { throw failure.error }
    }

    private func write(_ content: TemplateValue, without gone: Set<String>, and entry: TemplateValue.Entry?) throws {
        var (others, known): ([TemplateValue.Entry], [TemplateValue.Entry]) = ([], [])
        if case .map(let members) = content { others = members.filter { $0.key != "auths" } }
        if case .map(let members)? = content[key: "auths"] { known = members.filter { !gone.contains($0.key) } }
        if let entry { known.append(entry) }
        try write(TemplateValue.map([.init("auths", .map(known))] + others).indentedJSON + "\n")
    }

    /// All that stands in the file; nothing where there is none.
    /// - Throws: `Complaint` for a file that cannot be read.
    func content() throws -> TemplateValue {
        guard FileManager.default.fileExists(atPath: path) else { return .map([]) }
        let bytes = try contents(of: path, limitBytes: Self.sizeLimitBytes)
        if bytes.isEmpty { return .map([]) }
        do throws(DocumentError) { return try EngineJSON.decode(TemplateValue.self, from: Array(bytes)) } catch {
            throw Self.complaint(path, error.reason)
        }
    }

    static func complaint(_ path: String, _ reason: String) -> Complaint { Complaint("Error parsing config file (\(path)): \(reason)") }

    /// The file is there whole or as before. It keeps its owner and its mode; a new one no one else ever reads. What a link leads to may be no
    /// file at all (`/dev/null`): that is not replaced by one.
    private func write(_ text: String) throws {
        try changing(folder, "mkdir") {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
        if let kind = NewFile.special(at: path) { throw Complaint("cannot write to a \(kind): \(path)") }
        do throws(SyscallError) {
            let place = try place()
            let temporary = place.removingLastComponent().appending(".\(place.lastComponent?.string ?? "").new.\(getpid())")
            do throws(SyscallError) {
                try writeFileDurably(Array(text.utf8), to: temporary)
                try Self.copyOwner(of: place, to: temporary)
                try renameFile(temporary, to: place)
            } catch {
                // The first error stays the error.
                try? removeFile(temporary)
                throw error
            }
        } catch { throw Complaint("write \(path): \(errnoWords(error.errno))") }
    }

    /// How many links may lead to it.
    private static let linkLimit = 40

    /// Where the file lies: a symbolic link stays one, as who keeps such files elsewhere has it. It need not lead to anything yet.
    private func place() throws(SyscallError) -> FilePath {
        var place = FilePath(path)
        for _ in 0..<Self.linkLimit {
            do throws(SyscallError) { place = place.removingLastComponent().pushing(try readSymbolicLink(place)) } catch {
                if error.errno == EINVAL || error.errno == ENOENT { return place }
                throw error
            }
        }
        throw SyscallError("open", path, errno: ELOOP)
    }

    private static func copyOwner(of old: FilePath, to new: FilePath) throws(SyscallError) {
        let status: FileStatus
        do throws(SyscallError) { status = try fileStatus(old) } catch {
            if error.errno == ENOENT { return }
            throw error
        }
        do throws(SyscallError) { try changeOwner(new, userID: status.userID, groupID: status.groupID) } catch {
            // It becomes the caller's, and whom its mode lets in would be others.
            if error.errno == EPERM { return }
            throw error
        }
        try changeMode(new, to: status.mode & 0o777)
    }
}

extension TemplateValue {
    /// A text; nil for anything else.
    fileprivate var words: String? { if case .text(let words) = self { words } else { nil } }
}
