internal import EngineAPI
internal import OCISpec
internal import ShimProtocol

/// Fields of a create request that nothing here serves yet: each is refused by its name unless it says nothing.
enum Refusal {
    /// The client's to change, as any other value that makes no sense here: 501 is for a whole request that is not served.
    static func notYet(_ field: String) -> EngineError { EngineError(.invalidParameter, "\(field) is not supported yet") }

    /// What is served is looked through where it is served; this is the rest.
    /// - Throws: `.invalidParameter` for a port that is none.
    static func check(_ request: ContainerCreateRequest) throws(EngineError) {
        _ = try PortRequest.all(request.config, request.hostConfig)
    }

    /// What an ordinary user's engine cannot do.
    /// - Throws: `.notImplemented` naming the field, with the way out.
    static func checkRootless(_ request: ContainerCreateRequest) throws(EngineError) {
        let host = request.hostConfig
        if host.usernsMode == "private" {
            throw EngineError(
                .notImplemented,
                "HostConfig.UsernsMode \"private\" is not supported in rootless mode: the daemon is in a user namespace itself")
        }
        guard host.networkMode != "host", host.publishAllPorts || !host.portBindings.isEmpty else { return }
        throw EngineError(
            .notImplemented,
            "HostConfig.\(host.publishAllPorts ? "PublishAllPorts" : "PortBindings") is not supported in rootless mode yet: "
                + "a container on the host's network (--network host) is reached at its ports directly")
    }

    /// What its health demands a shim does, which makes a container again from its bundle alone: that names other containers' namespaces as they were
    /// at the start, but for their networks.
    static func checkRestarts(_ host: HostConfig) throws(EngineError) {
        guard HealthRequests.actions[host.healthOnFailure] == .restart, try host.joinsBriefNamespaces else { return }
        throw notYet("HostConfig.HealthOnFailure \"restart\" of a container in another container's PID or IPC namespace")
    }
}
