internal import Engine
internal import EngineAPI
internal import NIOHTTP1

extension EngineRoutes {
    var containers: [Route] {
        [
            Route(.GET, "/containers/json", listContainers),
            Route(.POST, "/containers/create", createContainer),
            // Clients ask for an image's name here first, and that may hold slashes.
            Route(.GET, "/containers/{*}/json", isQuick: isQuickInspection) { request in
                let document = try await engine.inspectContainer(request.name, size: request.query.flag("size"))
                return .json(try containerDetails.encode(document, id: document.id, for: request.version))
            },
            Route(.POST, "/containers/prune") { request in
                try .document(try await engine.pruneContainers(try request.query.filters()))
            },
            Route(.POST, "/containers/{}/rename") { request in
                try await engine.renameContainer(request.name, to: request.query["name"])
                return .empty(.noContent)
            },
            Route(.DELETE, "/containers/{}") { request in
                let query = request.query
                try await engine.removeContainer(
                    request.name, force: query.flag("force"), volumes: query.flag("v"), link: query.flag("link"))
                return .empty(.noContent)
            },
        ]
    }

    var containerLife: [Route] {
        [
            Route(.POST, "/containers/{}/start") { request in
                guard request.body.isEmpty || request.body.elementsEqual("{}".utf8) || request.body.elementsEqual("null".utf8) else {
                    throw APIError.badRequest(
                        "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24")
                }
                // A process that began anew would pass for the one that was saved.
                guard request.query["checkpoint"].isEmpty else {
                    throw APIError.badRequest("checkpoint is only supported in experimental mode")
                }
                try await engine.startContainer(request.name)
                return .empty(.noContent)
            },
            Route(.POST, "/containers/{}/stop") { request in
                let (signal, timeout) = try Self.stopParameters(request)
                try await engine.stopContainer(request.name, signal: signal, timeoutSeconds: timeout)
                return .empty(.noContent)
            },
            Route(.POST, "/containers/{}/restart") { request in
                let (signal, timeout) = try Self.stopParameters(request)
                try await engine.restartContainer(request.name, signal: signal, timeoutSeconds: timeout)
                return .empty(.noContent)
            },
            Route(.POST, "/containers/{}/kill") { request in
                try await engine.killContainer(request.name, signal: request.query["signal"])
                return .empty(.noContent)
            },
            Route(.POST, "/containers/{}/pause") { request in
                try await engine.pauseContainer(request.name)
                return .empty(.noContent)
            },
            Route(.POST, "/containers/{}/unpause") { request in
                try await engine.unpauseContainer(request.name)
                return .empty(.noContent)
            },
            Route(.POST, "/containers/{}/resize") { request in
                let (height, width) = try Self.terminalSize(request)
                try await engine.resizeContainer(request.name, height: height, width: width)
                return .empty(.ok)
            },
        ]
    }

    /// One that was asked for before, by its whole id or name, and that takes a tenth of a millisecond where all of it has changed.
    private func isQuickInspection(_ request: APIRequest) -> Bool {
        guard let id = engine.containerID(exactly: request.name), !request.query.flag("size") else { return false }
        return containerDetails.knows(id, for: request.version, within: Self.quickByteCount)
    }

    private static let quickByteCount = 32 << 10

    private func listContainers(_ request: APIRequest) async throws -> APIResponse {
        let query = request.query
        let limit = try query.number("limit")
        let list = try await engine.containers(
            all: query.flag("all"), limit: limit.flatMap { $0 > 0 ? $0 : nil }, size: query.flag("size"), filters: try query.filters())
        return .json(try containerLines.encode(list, id: \.id, for: request.version))
    }

    private func createContainer(_ request: APIRequest) async throws -> APIResponse {
        let version = request.version
        let document = try request.requiredDocument(ContainerCreateRequest.self).understood(from: version)
        var habits = ClientHabits()
        habits.readsOnlyTop = version < APIVersion(1, 44)
        habits.usesHostCgroupNamespace = version < APIVersion(1, 41)
        var answer = try await engine.createContainer(
            name: request.query["name"], request: document, platform: version < APIVersion(1, 41) ? "" : request.query["platform"],
            habits: habits)
        if version >= APIVersion(1, 44), !document.config.macAddress.isEmpty {
            answer.warnings.append(
                "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.")
        }
        return try .document(answer, status: .created)
    }

    /// `signal` came with 1.42; before, a client that sent it did not mean it.
    private static func stopParameters(_ request: APIRequest) throws(APIError) -> (signal: String?, timeoutSeconds: Int?) {
        let signal = request.version >= APIVersion(1, 42) ? request.query["signal"] : ""
        return (signal.isEmpty ? nil : signal, try request.query.number("t"))
    }

    /// `h` and `w`, in cells.
    static func terminalSize(_ request: APIRequest) throws(APIError) -> (height: UInt32, width: UInt32) {
        (
            height: UInt32(try request.query.requiredNumber("h", as: UInt16.self)),
            width: UInt32(try request.query.requiredNumber("w", as: UInt16.self))
        )
    }
}

extension ContainerCreateRequest {
    /// The request as a client of `version` means it: fields that dockerd ignores from it are dropped, and what was usual then is filled in.
    /// - Throws: `APIError` 400 in Docker's words for what would come out other than it was meant.
    fileprivate func understood(from version: APIVersion) throws(APIError) -> ContainerCreateRequest {
        var request = self
        // By its own name the default network is the same on every system.
        if ["", "default"].contains(request.hostConfig.networkMode) {
            request.hostConfig.networkMode = "bridge"
            if let endpoint = request.networkingConfig.endpointsConfig.removeValue(forKey: "default") {
                request.networkingConfig.endpointsConfig["bridge"] = endpoint
            }
        }
        // Such a client removes the container itself.
        if version < APIVersion(1, 25) { request.hostConfig.autoRemove = false }
        if version < APIVersion(1, 40) {
            request.hostConfig.kernelMemoryTCP = nil
            if request.hostConfig.ipcMode.isEmpty { request.hostConfig.ipcMode = "shareable" }
        }
        if version >= APIVersion(1, 42) { request.hostConfig.kernelMemory = nil }
        if version < APIVersion(1, 42) { request.hostConfig.consoleSize = [] }
        if version < APIVersion(1, 43) { request.hostConfig.annotations = [:] }
        if version < APIVersion(1, 44) {
            request.config.healthcheck?.startInterval = 0
            let networks = request.networkingConfig.endpointsConfig.keys.sorted()
            guard networks.count < 2 else {
                throw .badRequest("Container cannot be created with multiple network endpoints: \(networks.joined(separator: ", "))")
            }
            // An endpoint had no address of its own to ask for.
            for name in networks { request.networkingConfig.endpointsConfig[name]??.macAddress = "" }
        } else {
            try request.checkAddress()
        }
        for index in request.hostConfig.mounts.indices { try request.hostConfig.mounts[index].understand(version) }
        // Docker has one word for no limit. Here nothing said is a limit, and any number below zero is none.
        if let limit = request.hostConfig.pidsLimit, limit <= 0 { request.hostConfig.pidsLimit = limit == 0 ? nil : -1 }
        return request
    }

    /// The address of a link that is the whole container's is that of its first network.
    private func checkAddress() throws(APIError) {
        let endpoint = networkingConfig.endpointsConfig[hostConfig.networkMode]
        guard let asked = endpoint??.macAddress, !asked.isEmpty, !config.macAddress.isEmpty, asked != config.macAddress else { return }
        throw .badRequest(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty")
    }
}

extension Mount {
    /// The mount as a client of `version` means it.
    fileprivate mutating func understand(_ version: APIVersion) throws(APIError) {
        if version < APIVersion(1, 40) { bindOptions?.nonRecursive = false }
        if version < APIVersion(1, 42) {
            bindOptions?.createMountpoint = false
            // Nothing came of options of other kinds of mounts then, and few of them were refused: dockerd 28 drops them all for such a client.
            if type != "volume" { volumeOptions = nil }
            if type != "tmpfs" { tmpfsOptions = nil }
        }
        if version < APIVersion(1, 44), type == "bind", bindOptions?.readOnlyForceRecursive == true {
            throw .badRequest("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer")
        }
        if version < APIVersion(1, 45), volumeOptions?.subpath.isEmpty == false {
            throw .badRequest("VolumeOptions.Subpath needs API v1.45 or newer")
        }
    }
}
