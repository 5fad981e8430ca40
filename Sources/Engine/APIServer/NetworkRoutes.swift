internal import Engine
internal import EngineAPI
internal import NIOHTTP1

extension EngineRoutes {
    var networks: [Route] {
        [
            Route(.GET, "/networks") { request in
                // The list never says who is on a network: clients before 1.28 are told the same.
                try .documents(try await engine.networks(try request.query.filters()), for: request)
            },
            Route(.POST, "/networks/create") { request in
                let answer = try await engine.createNetwork(try request.document(NetworkCreateRequest.self))
                return try .document(answer, status: .created)
            },
            Route(.POST, "/networks/prune") { request in try .document(try await engine.pruneNetworks(try request.query.filters())) },
            Route(.GET, "/networks/{}") { request in
                try .document(try await engine.inspectNetwork(request.name, scope: request.query["scope"]), for: request)
            },
            Route(.DELETE, "/networks/{}") { request in
                try await engine.removeNetwork(request.name)
                return .empty(.noContent)
            },
            Route(.POST, "/networks/{}/connect") { request in
                try await engine.connectNetwork(request.name, try request.document(NetworkConnectRequest.self))
                return .empty(.ok)
            },
            Route(.POST, "/networks/{}/disconnect") { request in
                try await engine.disconnectNetwork(request.name, try request.document(NetworkDisconnectRequest.self))
                return .empty(.ok)
            },
        ]
    }
}
