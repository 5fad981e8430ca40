package import EngineAPI

/// What the API does with networks. `name`: an id, a name, or an unambiguous beginning of an id.
extension ContainerEngine {
    private var networks: Networks { get throws(EngineError) { try parts().services.networks } }

    /// `GET /networks`.
    package func networks(_ filters: Filters) async throws(EngineError) -> [NetworkResource] { try await networks.list(filters) }

    /// `GET /networks/{id}`, with the containers that run on it.
    /// - Parameter scope: of which it must be; empty is any.
    package func inspectNetwork(_ name: String, scope: String = "") async throws(EngineError) -> NetworkResource {
        let found = try await networks.inspect(name)
        guard scope.isEmpty || scope == found.scope else { throw EngineError(.notFound, "network \(name) not found") }
        return found
    }

    /// Makes a network.
    package func createNetwork(_ request: NetworkCreateRequest) async throws(EngineError) -> NetworkCreateResponse {
        try await networks.create(request)
    }

    /// Takes a network away. - Throws: `.forbidden` while containers run on it.
    package func removeNetwork(_ name: String) async throws(EngineError) {
        let networks = try networks
        try await removing { () throws(EngineError) in try await networks.remove(name) }
    }

    /// Removes networks that no container is, or will be, on. Filters: `until`, `label`, `label!`.
    /// - Throws: `.conflict` while another prune is under way.
    package func pruneNetworks(_ filters: Filters) async throws(EngineError) -> NetworksPruneResponse {
        var wanted: Set<String> = []
        let index = try parts().services.index
        for container in index.all { wanted.formUnion(await container.document.endpoints.keys) }
        for unreadable in index.unreadable { wanted.formUnion(unreadable.networks) }
        let (networks, taken) = (try networks, wanted)
        return try await pruning(.network) { () throws(EngineError) in
            try await removing { () throws(EngineError) in try await networks.prune(filters, wanted: taken) }
        }
    }

    /// Puts a container on a network.
    package func connectNetwork(_ name: String, _ request: NetworkConnectRequest) async throws(EngineError) {
        _ = try await networks.find(name)
        try await container(request.container).connect(to: name, request.endpointConfig ?? EndpointSettings())
    }

    /// Takes a container off a network.
    package func disconnectNetwork(_ name: String, _ request: NetworkDisconnectRequest) async throws(EngineError) {
        try await container(request.container).disconnect(from: name, force: request.force)
    }
}
