internal import EngineAPI
internal import ShimProtocol

/// Fields of a create request that nothing here serves yet: each is refused by its name unless it says nothing.
enum Refusal {
    static func notYet(_ field: String) -> EngineError { EngineError(.notImplemented, "\(field) is not supported yet") }

    /// Looks through everything that a client can ask of a container.
    /// - Throws: `.notImplemented` naming the first field that asks for what is not served.
    static func check(_ request: ContainerCreateRequest) throws(EngineError) {
        try refuse([("NetworkDisabled", request.config.networkDisabled)], in: "Config")
        try refuse([("Cgroup", !request.hostConfig.cgroup.isEmpty), ("CpuCount", request.hostConfig.cpuCount != 0)], in: "HostConfig")
        _ = try PortRequest.all(request.config, request.hostConfig)
    }

    private static func refuse(_ fields: [(name: String, isSet: Bool)], in object: String) throws(EngineError) {
        for field in fields where field.isSet { throw notYet("\(object).\(field.name)") }
    }

    /// The shim makes a container again from its bundle alone, which names other containers' namespaces as they were at the start.
    static func checkRestarts(_ host: HostConfig) throws(EngineError) {
        let isStartedAgain = try RestartRule(host.restartPolicy).kind != .never || HealthRequests.actions[host.healthOnFailure] == .restart
        guard isStartedAgain else { return }
        for (_, owner) in try NamespaceModes(host).owners {
            guard case .container = owner else { continue }
            throw notYet("HostConfig.RestartPolicy of a container in another container's namespace")
        }
    }
}
