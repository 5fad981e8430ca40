internal import FoundationEssentials

/// Finds out which servers may have a repository. The files are read anew for each conversation: they may change at any time.
struct RegistryRoutes {
    let configuration: RegistryConfiguration

    /// The mirrors, best first, and where the repository is at last. What is said about one registry in a `hosts.toml` comes before
    /// what `registries.conf` says.
    /// - Parameter domain: as image references have it.
    /// - Throws: `.refused` where it is blocked, or a file cannot be understood.
    func endpoints(_ domain: String, _ repository: String) throws(RegistryError) -> [RegistryEndpoint] {
        for folder in configuration.certificateFolders {
            for name in Self.folderNames(domain) + ["_default"] {
                let place = "\(folder)/\(name)", path = "\(place)/hosts.toml"
                guard let document = try SettingsFile.read(path) else { continue }
                let file = HostsFile(folder: place, domain: domain, repository: repository)
                return try SettingsFile.explain(path) { () throws(SettingsProblem) in try file.endpoints(document) }
            }
        }
        if let path = configuration.registriesFile, let endpoints = try RegistriesFile(path).endpoints(domain, repository, configuration) {
            return endpoints
        }
        return [
            RegistryEndpoint(
                host: RegistryHost(domain: domain, insecureRegistries: configuration.insecureRegistries), repository: repository)
        ]
    }

    /// What a registry's folder may be called: a colon is not for every file system.
    private static func folderNames(_ domain: String) -> [String] {
        guard let colon = domain.lastIndex(of: ":"), !domain[colon...].contains("]") else { return [domain] }
        return [domain, "\(domain[..<colon])_\(domain[domain.index(after: colon)...])_", String(domain[..<colon])]
    }
}
