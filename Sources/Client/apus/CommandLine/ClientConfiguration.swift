internal import EngineAPI
internal import EngineClient
internal import Templates

/// What docker's `config.json` says besides credentials: it holds where a command line says nothing.
/// - Source: docker/cli, cli/config/configfile/file.go.
struct ClientConfiguration: Sendable {
    /// The context in use; empty for none.
    private(set) var currentContext = ""
    /// What each prune spares or takes, `label!=keep`, besides what it is asked for.
    private(set) var pruneFilters: [String] = []
    /// The keys that leave a container running; empty means the usual ones.
    private(set) var detachKeys = ""
    /// Go with each request.
    private(set) var headers: [(name: String, value: String)] = []
    /// How lists are printed, by the key: `psFormat`.
    private(set) var formats: [String: String] = [:]
    /// Which variables containers get, by the daemon's address; `default` is any other.
    private var proxies: [String: [TemplateValue.Entry]] = [:]
    /// What is wrong with the file; nil for nothing. What else it says holds.
    private(set) var complaint: String?
    /// Whether nothing of the file can be read, credentials included.
    private(set) var isUnreadable = false

    /// Members of an entry of `proxies`, and the variables that they become.
    private static let proxyVariables = [
        ("allProxy", "ALL_PROXY"), ("ftpProxy", "FTP_PROXY"), ("httpProxy", "HTTP_PROXY"), ("httpsProxy", "HTTPS_PROXY"),
        ("noProxy", "NO_PROXY"),
    ]

    init(_ file: CredentialFile) {
        let content: TemplateValue
        do { content = try file.content() } catch {
            (complaint, isUnreadable) = ("\(error)", true)
            return
        }
        do throws(Mismatch) { try take(content) } catch {
            complaint = CredentialFile.complaint(file.path, "\(error.key) is no \(error.expected)").description
        }
    }

    /// A member that is of another type.
    private struct Mismatch: Error {
        let key: String
        let expected: String
    }

    /// - Throws: `Mismatch` for the first member that is of another type; the others are taken.
    private mutating func take(_ content: TemplateValue) throws(Mismatch) {
        guard content.members != nil else { throw Mismatch(key: "it", expected: "object") }
        var first: Mismatch?
        func understood<Value>(_ value: TemplateValue, _ key: String, _ read: (TemplateValue, String) throws(Mismatch) -> Value) -> Value? {
            do throws(Mismatch) { return try read(value, key) } catch {
                first = first ?? error
                return nil
            }
        }
        func given<Value>(_ key: String, _ read: (TemplateValue, String) throws(Mismatch) -> Value) -> Value? {
            guard let member = content[field: key], member != .null else { return nil }
            return understood(member, key, read)
        }
        currentContext = given("currentContext", Self.text) ?? ""
        detachKeys = given("detachKeys", Self.text) ?? ""
        for key in ["psFormat", "imagesFormat", "networksFormat", "volumesFormat", "statsFormat"] { formats[key] = given(key, Self.text) }
        // What is a filter spares what it spares, whatever stands beside it.
        pruneFilters = (given("pruneFilters", Self.list) ?? []).compactMap { understood($0, "a member of pruneFilters", Self.text) }
        headers = (given("HttpHeaders", Self.members) ?? []).compactMap { understood($0.value, $0.key, Self.header) }
        proxies = Dictionary((given("proxies", Self.members) ?? []).map { ($0.key, $0.value.members ?? []) }) { _, last in last }
        if let first { throw first }
    }

    private static func text(_ value: TemplateValue, _ key: String) throws(Mismatch) -> String {
        guard case .text(let text) = value else { throw Mismatch(key: key, expected: "string") }
        return text
    }

    private static func list(_ value: TemplateValue, _ key: String) throws(Mismatch) -> [TemplateValue] {
        guard case .list(let values) = value else { throw Mismatch(key: key, expected: "list of strings") }
        return values
    }

    private static func members(_ value: TemplateValue, _ key: String) throws(Mismatch) -> [TemplateValue.Entry] {
        guard let members = value.members else { throw Mismatch(key: key, expected: "object") }
        return members
    }

    private static func header(_ value: TemplateValue, _ name: String) throws(Mismatch) -> (name: String, value: String) {
        let header = (name: name, value: try text(value, "HttpHeaders.\(name)"))
        // The name is not shown, which may be anything.
        guard isHeader(header.name, header.value) else { throw Mismatch(key: "a member of HttpHeaders", expected: "header of HTTP") }
        return header
    }

    /// - Spec: RFC 9110, sections 5.1 and 5.5.
    private static func isHeader(_ name: String, _ value: String) -> Bool {
        let marks = "!#$%&'*+-.^_`|~"
        let isName = name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || marks.contains($0)) }
        return isName && !name.isEmpty && value.utf8.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7f) }
    }

    /// Variables of `proxies` for a container at a daemon, in both cases.
    /// - Parameter named: those that the command line sets itself.
    func proxyVariables(at daemon: String, besides named: Set<String>) -> [String] {
        let entries = TemplateValue.map(proxies[daemon] ?? proxies["default"] ?? [])
        return Self.proxyVariables.flatMap { key, name -> [String] in
            guard case .text(let proxy)? = entries[field: key], !proxy.isEmpty else { return [] }
            return [name, name.lowercased()].filter { !named.contains($0) }.map { "\($0)=\(proxy)" }
        }
    }
}

extension Invocation {
    /// The format of a list: what the command line says, else what `config.json` has under `key`, which is not meant for a list of names alone.
    func listFormat(_ key: String) -> String? {
        let asked = arguments.string("format") ?? ""
        return asked.isEmpty && !arguments.bool("quiet") ? environment.configuration.formats[key] : asked
    }

    /// Variables that a container gets for the proxies of `config.json`.
    var proxyVariables: [String] {
        let named = Set(arguments.list("env").map { splitOnce($0, at: "=").0 })
        return environment.configuration.proxyVariables(at: "\(environment.client.endpoint)", besides: named)
    }
}

extension TemplateValue {
    /// The members of an object; nil where this is none.
    fileprivate var members: [Entry]? { if case .map(let members) = self { members } else { nil } }
}
