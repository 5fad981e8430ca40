package import EngineAPI
internal import LinuxSyscalls
internal import Logging
internal import OCISpec
internal import ShimProtocol
internal import Synchronization
internal import SystemPackage

/// Limits and the restart policy of a container that is there already.
extension Container {
    /// Changes what the request names; a limit that it leaves at zero stays. A container that runs gets it at once.
    /// - Throws: `.conflict` for what does not go with what is set or in this state, `.invalidParameter` as at
    ///   creation; the container is then as before.
    func update(_ changes: HostConfig) async throws(EngineError) -> ContainerUpdateResponse {
        let turn = try await turnToUpdate()
        defer { endUpdate(turn) }
        switch state {
        case .removing, .dead:
            throw cannotUpdate(.conflict, "Container is marked for removal and cannot be \"update\".")
        case .created, .starting, .running, .paused, .restarting, .stopping, .exiting, .exited: break
        }
        let before = document.hostConfig
        let after: HostConfig
        var changes = changes
        var answer = ContainerUpdateResponse()
        do throws(EngineError) {
            answer.warnings = try ResourceChecks.adjust(&changes, facts: services.facts, isUpdate: true)
            after = try before.updated(by: changes)
            try checkRestarts(changes.restartPolicy, of: after)
        } catch { throw error.code == .conflict ? cannotUpdate(.conflict, error.message) : error }
        document.hostConfig = after
        // Until they are, they are the next daemon's to set.
        document.owesLimits = state.supervisedTask != nil
        do throws(EngineError) {
            try await save()
            // First what another container's end can refuse: limits would be in force already.
            if !changes.restartPolicy.name.isEmpty { try await nameLastingNamespaces() }
            try await limit(to: after)
            if !changes.restartPolicy.name.isEmpty { try await followRestartPolicy() }
        } catch {
            document.hostConfig = before
            document.owesLimits = false
            limitsOfNextRun = nil
            await saveOrLog()
            throw error
        }
        await noLimitsOwed()
        tell("update")
        return answer
    }

    private func noLimitsOwed() async {
        if !document.owesLimits { return }
        document.owesLimits = false
        await saveOrLog()
    }

    /// Sets the limits that a former daemon had written down when it was killed, and that the run may not have. Nobody waits for it, least of all those
    /// who wait for the daemon.
    func renewLimits() {
        guard document.owesLimits else { return }
        // Belongs to the container; the runtime's own patience ends it.
        Task(executorPreference: TaskThreads.daemon) { await self.setOwedLimits() }
    }

    private func setOwedLimits() async {
        do throws(EngineError) {
            let turn = try await turnToUpdate()
            defer { endUpdate(turn) }
            // An update that came first has set all of them.
            guard document.owesLimits else { return }
            try await limit(to: document.hostConfig)
            await noLimitsOwed()
        } catch { logger.error("limits that were written down are not set: \(error)") }
    }

    /// Waits out a start, which has its limits and restart policy already, and another update, which would be half undone.
    /// - Returns: the turn, for `endUpdate`.
    private func turnToUpdate() async throws(EngineError) -> OneShot<Void> {
        while true {
            if case .starting(let decided) = state {
                _ = await decided.value(within: nil)
            } else if let other = updateUnderWay {
                _ = await other.value(within: nil)
            } else {
                let turn = OneShot<Void>()
                updateUnderWay = turn
                return turn
            }
            if Task.isCancelled { throw EngineError(.unavailable, "the request was cancelled") }
        }
    }

    private func endUpdate(_ turn: OneShot<Void>) {
        updateUnderWay = nil
        turn.settle(())
    }

    /// - Throws: `.invalidParameter` for what is no policy; `.conflict` with `--rm`.
    private func checkRestarts(_ policy: RestartPolicy, of host: HostConfig) throws(EngineError) {
        let rule = try RestartRule(policy)
        if policy.name.isEmpty { return }
        if host.autoRemove && rule.kind != .never {
            throw EngineError(
                .conflict, "Conflicting options: Restart policy cannot be updated because AutoRemove is enabled for the container")
        }
        try Refusal.checkRestarts(host)
    }

    /// Has the bundle of a run name others' namespaces as a start that its shim makes finds them.
    private func nameLastingNamespaces() async throws(EngineError) {
        guard state.supervisedTask != nil, try document.hostConfig.isStartedAgainByShim else { return }
        let files = try await lastingNamespaces(try NamespaceModes(document.hostConfig))
        if files.isEmpty { return }
        try await changeBundle("name the network in the bundle") { configuration in
            for (kind, file) in files {
                guard let place = configuration.linux?.namespaces.firstIndex(where: { $0.kind == kind }) else { continue }
                configuration.linux?.namespaces[place].path = file
            }
        }
        for (kind, file) in files { joined?.find(kind, at: file) }
    }

    private func limit(to host: HostConfig) async throws(EngineError) {
        guard state.supervisedTask != nil, services.facts.hasCgroups else { return }
        var resources = try ResourceRequests.resources(host, facts: services.facts)
        // Rules for devices cannot be changed by a request.
        resources.devices = []
        let limited = try await limitRun(resources)
        try await noteInBundle(resources)
        // One that its policy has begun meanwhile may have begun by the bundle as it was, and so may one that is yet to be told of.
        if state.runningTask?.pid != limited { _ = try await limitRun(resources) }
        if case .restarting = state { limitsOfNextRun = resources }
    }

    /// What was asked for before anybody knew of the run.
    func limitNextRun(_ task: RunningTask) async {
        while let limits = limitsOfNextRun {
            limitsOfNextRun = nil
            do throws(ShimError) { try await task.shim.update(limits.encode()) } catch {
                // Where it has ended already, the next one begins by the bundle.
                logger.log(level: error.isNotFound ? .debug : .warning, "set the limits of the run that began: \(error.message)")
            }
        }
    }

    /// Most runs that one update follows: their policy makes a pause before each.
    private static let followedRunCount = 16

    /// A run that ends meanwhile has no need of limits; the next one, if its policy has begun it already, gets them in its place.
    /// - Returns: the process of the run that has them; nil where none runs.
    private func limitRun(_ resources: LinuxResources) async throws(EngineError) -> UInt32? {
        for _ in 0..<Self.followedRunCount {
            guard let task = state.runningTask else { return nil }
            do throws(ShimError) {
                try await task.shim.update(resources.encode())
                return task.pid
            } catch {
                _ = await learntStatus(of: task)
                if state.runningTask?.pid == task.pid { throw cannotUpdate(.system, error.message) }
            }
        }
        throw cannotUpdate(.system, "its process ends again and again")
    }

    private func noteInBundle(_ limits: LinuxResources) async throws(EngineError) {
        try await changeBundle("note the limits in the bundle") { configuration in
            var resources = configuration.linux?.resources ?? LinuxResources()
            resources.memory = limits.memory ?? resources.memory
            resources.cpu = limits.cpu ?? resources.cpu
            resources.pids = limits.pids ?? resources.pids
            // Limits by device are not changed.
            if let weight = limits.blockIO?.weight {
                resources.blockIO = resources.blockIO ?? BlockIOLimits()
                resources.blockIO?.weight = weight
            }
            configuration.linux?.resources = resources
        }
    }

    /// Changes what the shim makes of the bundle when it starts the container again.
    func changeBundle(
        _ doing: String, _ change: @escaping @Sendable (inout RuntimeConfiguration) -> Void
    ) async throws(EngineError) {
        let path = paths.bundle.appending("config.json")
        try await BlockingWork.run { () throws(EngineError) in
            do {
                try self.bundleFile.withLock { _ in
                    var configuration = try RuntimeConfiguration.decode(try readFile(path, limitBytes: Self.bundleLimitBytes))
                    change(&configuration)
                    try writeFileDurably(configuration.encode(), to: path)
                }
            } catch {
                // Without a bundle it has ended for good.
                if let error = error as? SyscallError, error.errno == Errno.noSuchFileOrDirectory.rawValue { return }
                throw .system(doing, error)
            }
        }
    }

    /// More than any configuration.
    private static let bundleLimitBytes = 16 << 20

    private func cannotUpdate(_ code: EngineError.Code, _ reason: String) -> EngineError {
        EngineError(code, "Cannot update container \(id): \(reason)")
    }
}

extension HostConfig {
    /// The configuration with what `changes` names. - Throws: `.conflict` in Docker's words.
    func updated(by changes: HostConfig) throws(EngineError) -> HostConfig {
        try checkProcessorTime(changes)
        if changes.memory != 0 && changes.memorySwap == 0 && changes.memory > memorySwap {
            throw EngineError(
                .conflict,
                "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")
        }
        var result = self
        func take<Value: ZeroValued>(_ field: WritableKeyPath<HostConfig, Value>) {
            if changes[keyPath: field] != Value.zero { result[keyPath: field] = changes[keyPath: field] }
        }
        take(\.blkioWeight)
        for field in [\HostConfig.cpuShares, \.nanoCPUs, \.cpuPeriod, \.cpuQuota, \.cpuRealtimePeriod, \.cpuRealtimeRuntime] { take(field) }
        for field in [\HostConfig.memory, \.memorySwap, \.memoryReservation] { take(field) }
        take(\.cpusetCPUs)
        take(\.cpusetMems)
        if let kernelMemory = changes.kernelMemory, kernelMemory != 0 { result.kernelMemory = kernelMemory }
        if let limit = changes.pidsLimit { result.pidsLimit = limit }
        if !changes.restartPolicy.name.isEmpty { result.restartPolicy = changes.restartPolicy }
        return result
    }

    /// Processor time is given in one of two ways, for the container's whole life.
    private func checkProcessorTime(_ changes: HostConfig) throws(EngineError) {
        let conflicts = [
            (changes.nanoCPUs > 0 && cpuPeriod > 0, "Nano CPUs cannot be updated as CPU Period has already been set"),
            (changes.nanoCPUs > 0 && cpuQuota > 0, "Nano CPUs cannot be updated as CPU Quota has already been set"),
            (changes.cpuPeriod > 0 && nanoCPUs > 0, "CPU Period cannot be updated as NanoCPUs has already been set"),
            (changes.cpuQuota > 0 && nanoCPUs > 0, "CPU Quota cannot be updated as NanoCPUs has already been set"),
        ]
        if let conflict = conflicts.first(where: \.0) { throw EngineError(.conflict, "Conflicting options: \(conflict.1)") }
    }
}

extension ContainerEngine {
    /// `POST /containers/{id}/update`.
    package func updateContainer(_ name: String, changes: HostConfig) async throws(EngineError) -> ContainerUpdateResponse {
        try await container(name).update(changes)
    }
}
