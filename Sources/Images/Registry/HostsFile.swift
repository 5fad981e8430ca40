/// A registry's servers as containerd's `hosts.toml` names them.
/// - Source: containerd's docs/hosts.md.
struct HostsFile {
    /// Where the file lies: paths in it are relative to that folder.
    let folder: String
    /// The registry that it is about: `docker.io`, `host:port`.
    let domain: String
    let repository: String

    private static let perServer = ["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout"]

    /// The mirrors in the file's order, and the registry itself at last.
    func endpoints(_ document: TOMLTable) throws(SettingsProblem) -> [RegistryEndpoint] {
        try document.allow(["server", "host"] + Self.perServer, in: "hosts.toml")
        var endpoints: [RegistryEndpoint] = []
        if let hosts = document["host"] {
            let table = try hosts.table("host")
            for name in table.names {
                guard let value = table[name] else { continue }
                let settings = try value.table("host.\"\(name)\"")
                try settings.allow(Self.perServer, in: "host.\"\(name)\"")
                endpoints.append(try endpoint(name, settings, line: value.line))
            }
        }
        let server = document["server"]
        let address = try server?.text("server") ?? RegistryHost(domain: domain, insecureRegistries: []).authority
        endpoints.append(try endpoint(address, document, line: server?.line ?? 1))
        return endpoints
    }

    private func endpoint(_ text: String, _ settings: TOMLTable, line: Int) throws(SettingsProblem) -> RegistryEndpoint {
        let plain = text.contains("://") ? text : "\(RegistryHost.isLoopback(RegistryHost.host(of: text)) ? "http" : "https")://\(text)"
        guard let address = WebAddress(plain), address.text == address.withoutQuery else {
            throw SettingsProblem(line: line, "'\(text)' is no http or https address of a server")
        }
        let isUnproven = try settings["skip_verify"]?.boolean("skip_verify") ?? false
        let home = RegistryHost(domain: domain, insecureRegistries: [])
        var endpoint = RegistryEndpoint(host: RegistryHost(authority: address.authority, isInsecure: isUnproven), repository: repository)
        endpoint.scheme = address.scheme
        endpoint.path = try path(of: address, settings)
        endpoint.receivesCredentials = address.authority == home.authority
        if !endpoint.receivesCredentials { endpoint.namespace = domain }
        endpoint.headers = try headers(settings)
        endpoint.certificates = try certificates(settings)
        endpoint.connectSeconds = try settings["dial_timeout"].map { value throws(SettingsProblem) in try Self.seconds(value) }
        if let value = settings["capabilities"] {
            endpoint.capabilities = []
            for word in try value.texts("capabilities") {
                // Lists of referrers are asked for as manifests are.
                if word == "referrers" { continue }
                guard let capability = RegistryEndpoint.Capability(rawValue: word) else {
                    throw SettingsProblem(line: value.line, "unknown capability '\(word)': known are pull, resolve, push and referrers")
                }
                endpoint.capabilities.insert(capability)
            }
        }
        return endpoint
    }

    /// The protocol's path: below `/v2`, unless the file says that it is another.
    private func path(of address: WebAddress, _ settings: TOMLTable) throws(SettingsProblem) -> String {
        let own = address.path.split(separator: "/").joined(separator: "/")
        let isWhole = try settings["override_path"]?.boolean("override_path") ?? false
        if isWhole || own == "v2" || own.hasSuffix("/v2") { return own.isEmpty ? "" : "\(own)/" }
        return own.isEmpty ? "v2/" : "\(own)/v2/"
    }

    private func headers(_ settings: TOMLTable) throws(SettingsProblem) -> [RegistryEndpoint.HeaderField] {
        guard let value = settings["header"] else { return [] }
        let table = try value.table("header")
        var fields: [RegistryEndpoint.HeaderField] = []
        for name in table.names {
            guard let entry = table[name] else { continue }
            for text in try entry.texts(name) {
                guard !name.isEmpty, (name + text).unicodeScalars.allSatisfy({ $0.isASCII && $0.value >= 0x20 && $0.value != 0x7f }),
                    !name.contains(":")
                else {
                    throw SettingsProblem(line: entry.line, "'\(name)' is no header field")
                }
                fields.append(RegistryEndpoint.HeaderField(name: name, value: text))
            }
        }
        return fields
    }

    private func certificates(_ settings: TOMLTable) throws(SettingsProblem) -> HostCertificates {
        let authorities = try settings["ca"]?.texts("ca") ?? []
        var client: (certificate: String, key: String)?
        if let value = settings["client"] {
            switch value.content {
            case .text(let path): client = (path, path)
            case .array(let entries):
                guard let first = entries.first else { break }
                let pair = try first.texts("client")
                guard pair.count <= 2, let certificate = pair.first else {
                    throw SettingsProblem(line: first.line, "'client' takes pairs of a certificate and its key")
                }
                client = (certificate, pair.count == 2 && !pair[1].isEmpty ? pair[1] : certificate)
            case .integer, .boolean, .table: throw SettingsProblem(line: value.line, "'client' takes pairs of a certificate and its key")
            }
        }
        do throws(RegistryError) {
            return try HostCertificates(
                authorities: authorities.map(absolute), client: client.map { (absolute($0.certificate), absolute($0.key)) })
        } catch { throw SettingsProblem(line: settings["ca"]?.line ?? 1, error.cause) }
    }

    private func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : "\(folder)/\(path)" }

    /// A Go duration of seconds and minutes: `10s`, `1m30s`, `500ms`.
    private static func seconds(_ value: TOMLValue) throws(SettingsProblem) -> Int {
        let text = try value.text("dial_timeout")
        var total = 0.0
        var rest = text[...]
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            let factors = ["ms": 0.001, "s": 1, "m": 60, "h": 3600]
            guard let number = Double(digits), let factor = factors[String(unit)] else {
                throw SettingsProblem(line: value.line, "'dial_timeout' must be a duration such as \"10s\", not '\(text)'")
            }
            total += number * factor
        }
        guard total > 0, total <= 3600 else {
            throw SettingsProblem(line: value.line, "'dial_timeout' must be between 1 ms and 1 h, not '\(text)'")
        }
        return max(1, Int(total.rounded(.up)))
    }
}
