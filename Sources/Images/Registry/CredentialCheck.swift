extension RegistryClient {
    /// Asks a registry whether it takes these credentials. Blocks.
    /// - Parameter domain: as image references have it.
    /// - Throws: `.unauthorized` where it does not; `.network` and the others.
    package func check(_ credentials: RegistryCredentials, at domain: String, cancellation: Cancellation) throws(RegistryError) {
        var endpoint = try RegistryRoutes(configuration: configuration).endpoints(domain, "")[...].last
        // Credentials are for the registry itself, whatever its mirrors are.
        endpoint?.repository = ""
        guard let endpoint else { throw RegistryError(.badName, doing: "", cause: "\(domain) is no registry's name") }
        if !endpoint.receivesCredentials {
            throw RegistryError(
                .badName, doing: "",
                cause: "\(domain) is served by \(endpoint.name), which is shown no password of \(domain): "
                    + "it has a name of its own to log in to")
        }
        let session = RepositorySession(
            client: self, endpoint: endpoint, neighbours: nil, credentials: credentials, cancellation: cancellation)
        try session.greet()
    }
}

extension RepositorySession {
    /// Asks whether the registry speaks our protocol, and lets it ask who we are.
    /// - Source: distribution-spec, "Determining Support".
    func greet() throws(RegistryError) {
        let request = try request(.get, "")
        try send(request, into: DroppingReceiver(for: request.shown))
    }
}
