extension RegistryClient {
    /// Asks a registry for repositories. Blocks.
    /// - Parameter domain: as image references have it; `docker.io` has an index of its own.
    /// - Returns: the answer's JSON.
    /// - Throws: `.notFound` where the registry knows no search, as none but Docker Hub does.
    /// - Source: Docker Registry API v1, "Search".
    package func search(
        _ term: String, at domain: String, limit: Int, credentials: RegistryCredentials, cancellation: Cancellation
    ) throws(RegistryError) -> [UInt8] {
        var endpoint = try RegistryRoutes(configuration: configuration)
            .endpoints(domain == "docker.io" ? "index.docker.io" : domain, "")[...].last
        // A search is for the registry itself, whatever its mirrors are.
        endpoint?.repository = ""
        guard let endpoint else { throw RegistryError(.badName, doing: "", cause: "\(domain) is no registry's name") }
        let session = RepositorySession(
            client: self, endpoint: endpoint, neighbours: nil, credentials: credentials, cancellation: cancellation)
        let root = try session.request(.get, "")
        let path = "/v1/search?\(TextEncodings.formField("q", term))&\(TextEncodings.formField("n", "\(limit)"))"
        guard let address = WebAddress(path, relativeTo: root.address) else {
            throw RegistryError(.malformed, doing: "search", cause: "no address to search \(domain)")
        }
        let request = try session.request(.get, address)
        let collector = CollectingReceiver(for: request.shown, limitBytes: imageLimits.answerBytes)
        try session.send(request, into: collector)
        return collector.body
    }
}
