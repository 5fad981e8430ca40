internal import CoreTypes
internal import FoundationEssentials

/// Finds out which servers may have a repository. The files are read anew for each conversation: they may change at any time.
struct RegistryRoutes {
    let configuration: RegistryConfiguration

    /// The mirrors, best first, and where the repository is at last. What is said about one registry in a `hosts.toml` comes before
    /// what `registries.conf` says.
    /// - Parameter domain: as image references have it.
    /// - Throws: `.refused` where it is blocked, or a file cannot be understood.
    func endpoints(_ domain: String, _ repository: String) throws(RegistryError) -> [RegistryEndpoint] {
        if let endpoints = try endpoints(domain, repository, in: Self.folderNames(domain)) { return endpoints }
        if let path = configuration.registriesFile, let endpoints = try RegistriesFile(path).endpoints(domain, repository, configuration) {
            return endpoints
        }
        // About all registries: what either file says of one comes before it.
        if let endpoints = try endpoints(domain, repository, in: ["_default"]) { return endpoints }
        let home = RegistryEndpoint(
            host: RegistryHost(domain: domain, insecureRegistries: configuration.insecureRegistries), repository: repository)
        guard domain == ImageReference.defaultDomain else { return [home] }
        return configuration.mirrors.compactMap { mirror($0, of: repository) } + [home]
    }

    /// What the first `hosts.toml` says that lies in a folder of one of these names; nil where there is none.
    private func endpoints(_ domain: String, _ repository: String, in names: [String]) throws(RegistryError) -> [RegistryEndpoint]? {
        for folder in configuration.certificateFolders {
            for name in names {
                let place = "\(folder)/\(name)", path = "\(place)/hosts.toml"
                guard let document = try SettingsFile.read(path) else { continue }
                let file = HostsFile(folder: place, domain: domain, repository: repository)
                return try SettingsFile.explain(path) { () throws(SettingsProblem) in try file.endpoints(document) }
            }
        }
        return nil
    }

    /// A server that the settings name beside Docker Hub: asked for what is there, and told no password of it.
    private func mirror(_ text: String, of repository: String) -> RegistryEndpoint? {
        guard let address = WebAddress(text) else { return nil }
        let isInsecure = RegistryHost(domain: address.authority, insecureRegistries: configuration.insecureRegistries).isInsecure
        var endpoint = RegistryEndpoint(
            host: RegistryHost(authority: address.authority, isInsecure: isInsecure), repository: repository)
        endpoint.scheme = address.scheme
        let folder = address.path.split(separator: "/").joined(separator: "/")
        endpoint.path = folder.isEmpty ? "v2/" : "\(folder)/v2/"
        endpoint.capabilities = [.pull, .resolve]
        endpoint.receivesCredentials = false
        return endpoint
    }

    /// What a registry's folder may be called: a colon is not for every file system.
    private static func folderNames(_ domain: String) -> [String] {
        guard let colon = domain.lastIndex(of: ":"), !domain[colon...].contains("]") else { return [domain] }
        return [domain, "\(domain[..<colon])_\(domain[domain.index(after: colon)...])_", String(domain[..<colon])]
    }
}
