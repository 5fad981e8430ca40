internal import LinuxSyscalls
internal import SystemPackage

/// What podman's `registries.conf` says about repositories: other places, mirrors, and what is blocked.
/// - Source: containers-registries.conf(5), version 2.
struct RegistriesFile {
    /// One `[[registry]]`.
    struct Entry {
        let prefix: String
        let location: String
        let isInsecure: Bool
        let isBlocked: Bool
        let mirrors: [Mirror]
        /// Where it stands, for messages: `file:line`.
        let place: String
    }

    struct Mirror {
        let location: String
        let isInsecure: Bool
        let references: RegistryEndpoint.References
    }

    private var entries: [Entry] = []

    /// Reads the file and then `FILE.d/*.conf`, whose entries take the place of those with the same prefix. Files that are not there say nothing.
    init(_ path: String) throws(RegistryError) {
        let folder = "\(path).d"
        let names: [String]
        do throws(SyscallError) { names = try SettingsFile.names(in: folder) } catch {
            // What is there and cannot be read may block a registry.
            if (try? fileStatus(FilePath(folder), followingLinks: true)) != nil {
                throw SettingsFile.refuse(folder, "\(FileFailure(error))")
            }
            names = []
        }
        for file in [path] + names.filter({ $0.hasSuffix(".conf") }).map({ "\(folder)/\($0)" }) {
            guard let document = try SettingsFile.read(file) else { continue }
            let found = try SettingsFile.explain(file) { () throws(SettingsProblem) in try Self.entries(document, file) }
            for entry in found {
                entries.removeAll { $0.prefix == entry.prefix }
                entries.append(entry)
            }
        }
    }

    /// The servers of a repository: its mirrors, and where it is at last; nil where the files say nothing about it.
    /// - Throws: `.denied` where it is blocked.
    func endpoints(_ domain: String, _ repository: String, _ configuration: RegistryConfiguration) throws(RegistryError)
        -> [RegistryEndpoint]?
    {
        let name = "\(domain)/\(repository)"
        let matching = entries.filter { Self.matches($0.prefix, name) }.max { Self.weight($0.prefix) < Self.weight($1.prefix) }
        guard let entry = matching else { return nil }
        if entry.isBlocked { throw RegistryError(.refused, doing: "", cause: "\(name) is blocked: \(entry.place)") }
        let home = RegistryHost(domain: domain, insecureRegistries: configuration.insecureRegistries)
        let rest = entry.prefix.hasPrefix("*.") ? name.dropFirst(domain.count) : name.dropFirst(entry.prefix.count)
        let location = entry.location.isEmpty || entry.location.hasPrefix("*.") ? domain : entry.location
        let places = entry.mirrors + [Mirror(location: location, isInsecure: entry.isInsecure, references: .all)]
        var endpoints: [RegistryEndpoint] = []
        for place in places {
            let target = place.location + rest
            let authority = String(target.prefix { $0 != "/" })
            var endpoint = RegistryEndpoint(
                host: RegistryHost(
                    domain: authority, insecureRegistries: configuration.insecureRegistries + (place.isInsecure ? [authority] : [])),
                repository: String(target.dropFirst(authority.count + 1)))
            endpoint.references = place.references
            endpoint.receivesCredentials = endpoint.host.authority == home.authority
            endpoints.append(endpoint)
        }
        for index in endpoints.indices.dropLast() { endpoints[index].capabilities = [.pull, .resolve] }
        return endpoints
    }

    // MARK: - Prefixes

    private static func matches(_ prefix: String, _ name: String) -> Bool {
        if prefix.hasPrefix("*.") {
            let host = RegistryHost.host(of: String(name.prefix { $0 != "/" }))
            return host.hasSuffix(prefix.dropFirst(1).lowercased())
        }
        guard name.hasPrefix(prefix) else { return false }
        let next = name.dropFirst(prefix.count).first
        return next == nil || next == "/"
    }

    /// The longest wins; one with a star is shorter than every other.
    private static func weight(_ prefix: String) -> Int { prefix.hasPrefix("*.") ? prefix.count - 10_000 : prefix.count }

    // MARK: - Reading

    /// The entries of one file.
    static func entries(_ document: TOMLTable, _ file: String) throws(SettingsProblem) -> [Entry] {
        for section in ["registries"] {
            if let old = document[section] {
                throw SettingsProblem(line: old.line, "'[\(section)]' is version 1 of this format, which is not read: write [[registry]]")
            }
        }
        try document.allow(
            [
                "registry", "unqualified-search-registries", "short-name-mode", "credential-helpers", "additional-layer-store-auth-helper",
                "aliases",
            ],
            in: "registries.conf")
        guard let value = document["registry"] else { return [] }
        var entries: [Entry] = []
        for element in try value.array("registry") { entries.append(try entry(element, file)) }
        return entries
    }

    private static func entry(_ element: TOMLValue, _ file: String) throws(SettingsProblem) -> Entry {
        let table = try element.table("registry")
        try table.allow(["prefix", "location", "insecure", "blocked", "mirror-by-digest-only", "mirror"], in: "[[registry]]")
        let location = try table["location"]?.text("location") ?? ""
        let prefix = try table["prefix"]?.text("prefix") ?? location
        let byDigest = try table["mirror-by-digest-only"]?.boolean("mirror-by-digest-only") ?? false
        if prefix.isEmpty { throw SettingsProblem(line: element.line, "[[registry]] has neither 'prefix' nor 'location'") }
        if location.isEmpty && !prefix.hasPrefix("*.") && table["location"] != nil {
            throw SettingsProblem(line: element.line, "'location' is empty")
        }
        try check(prefix, "prefix", mayHaveStar: true, line: table["prefix"]?.line ?? element.line)
        if !location.isEmpty { try check(location, "location", mayHaveStar: false, line: table["location"]?.line ?? element.line) }
        var mirrors: [Mirror] = []
        for mirror in try table["mirror"]?.array("mirror") ?? [] {
            let settings = try mirror.table("mirror")
            try settings.allow(["location", "insecure", "pull-from-mirror"], in: "[[registry.mirror]]")
            guard let place = settings["location"] else {
                throw SettingsProblem(line: mirror.line, "[[registry.mirror]] has no 'location'")
            }
            let target = try place.text("location")
            try check(target, "location", mayHaveStar: false, line: place.line)
            mirrors.append(
                Mirror(
                    location: target, isInsecure: try settings["insecure"]?.boolean("insecure") ?? false,
                    references: try references(settings["pull-from-mirror"], byDigest: byDigest)))
        }
        return Entry(
            prefix: prefix, location: location.isEmpty ? prefix : location, isInsecure: try table["insecure"]?.boolean("insecure") ?? false,
            isBlocked: try table["blocked"]?.boolean("blocked") ?? false, mirrors: mirrors, place: "\(file):\(element.line)")
    }

    private static func references(_ value: TOMLValue?, byDigest: Bool) throws(SettingsProblem) -> RegistryEndpoint.References {
        guard let value else { return byDigest ? .byDigest : .all }
        guard let found = RegistryEndpoint.References(rawValue: try value.text("pull-from-mirror")) else {
            throw SettingsProblem(line: value.line, "'pull-from-mirror' must be all, digest-only or tag-only")
        }
        return found
    }

    /// `host[:port][/path]`, without a scheme.
    private static func check(_ place: String, _ name: String, mayHaveStar: Bool, line: Int) throws(SettingsProblem) {
        let plain = mayHaveStar && place.hasPrefix("*.") ? String(place.dropFirst(2)) : place
        // With a scheme a colon comes first, of which the next line speaks.
        let last = plain.contains("://") ? "" : plain.split(separator: "/").dropFirst().last ?? ""
        if last.contains(":") || last.contains("@") {
            throw SettingsProblem(line: line, "'\(name)' with a tag or a digest is not implemented: name the repository, not '\(place)'")
        }
        guard !plain.contains("://"), !plain.hasPrefix("/"), !plain.hasSuffix("/"), WebAddress("https://\(plain)/") != nil else {
            throw SettingsProblem(line: line, "'\(name)' must be a registry or a path below one, without a scheme, not '\(place)'")
        }
    }
}
