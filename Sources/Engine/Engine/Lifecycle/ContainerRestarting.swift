internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import OCISpec
internal import ShimProtocol

/// The container's restart policy: the shim starts again what ends, a daemon that begins what does not run.
extension Container {
    /// Tells the shim of a container that runs what its policy is now.
    func followRestartPolicy() async throws(EngineError) {
        let rule = try document.hostConfig.ruleOfShim
        guard let task = state.supervisedTask else { return }
        do throws(ShimError) { try await task.shim.setRestartRule(rule) } catch {
            // It ended for good meanwhile: its next start takes the rule along.
            if state.supervisedTask != nil { throw .system("change the restart policy of container \(id)", error) }
        }
    }

    /// Has the shim of a run that a former daemon began follow the policy that is on record: that daemon may have been killed when it had written a
    /// change down, and before the shim had it.
    func renewRestartPolicy() async {
        do throws(EngineError) { try await followRestartPolicy() } catch { logger.error("\(error)") }
    }

    /// The container's next end is its last, which a shim sees to that answers. Where somebody wants it no more, a daemon that begins knows.
    func endRestarts(_ task: RunningTask, isByHand: Bool = true) async {
        if isByHand { document.isManuallyStopped = true }
        let host = document.hostConfig
        let isNeverRestarted = ["", "no"].contains(host.restartPolicy.name) && HealthRequests.actions[host.healthOnFailure] != .restart
        // A daemon that begins meanwhile shall know: what may hang comes after it.
        if !isNeverRestarted { await saveOrLog() }
        await replaceHangingShim(task)
        if isNeverRestarted { return }
        do throws(ShimError) {
            if shimHangs { throw ShimError(.timedOut, "the shim hangs") }
            try await task.shim.endRestarts()
        } catch {
            logger.debug("end the restarts: \(error)")
            // The next one hears it.
            unsupervised?.isGivenUp = true
        }
    }

    private static let obstacleLookInterval = Duration.milliseconds(500)

    /// Starts what its shim has told the last end of, and left to the daemon to start again.
    /// - Parameter change: the last one that the shim told.
    func goOn(after change: LifeChange) async {
        guard case .exited = state, !document.isManuallyStopped, ownedStops == 0, !services.reactor.isStopped else { return }
        do throws(EngineError) {
            if change.kind == .ended, try document.hostConfig.isStartedAgainByDaemon { return await startAgainIfWanted() }
            // By the bundle, the shim did not find what others have. A start that finds them as they are now is the same one, counted already.
            let joinsOthers = try !NamespaceModes(document.hostConfig).joinedContainers.isEmpty
            if change.kind == .givenUp, !change.problem.isEmpty, joinsOthers { try await start(restartCount: document.restartCount) }
        } catch { logger.error("not started again: \(error)") }
    }

    /// Whether somebody whose namespaces it joins is about to run: with the first process of a PID namespace all end that are in it.
    private func awaitsOthers() async -> Bool {
        guard let modes = try? NamespaceModes(document.hostConfig) else { return false }
        for (_, name) in modes.joinedContainers {
            if let other = try? services.index.find(name), other !== self, await other.isAboutToRun { return true }
        }
        return false
    }

    private var isAboutToRun: Bool {
        switch state {
        case .starting, .restarting: true
        case .created, .exited: awaitsStart
        case .running, .paused, .stopping, .exiting, .removing, .dead: false
        }
    }

    /// How often it has been started again since it last ran for long, or since somebody started it.
    private func restartsSinceSteadyRun() -> Int {
        let count = document.restartCount
        let ran = Duration.seconds(document.startedAt.wholeSeconds(until: document.finishedAt))
        if count == 0 || ran >= RestartPause.steadyRun { restartCountAtSteadyRun = count }
        return count - restartCountAtSteadyRun
    }

    /// Starts a container that has ended while no shim was there to do it, or that its shim leaves to the daemon: counted, and after a pause, as a
    /// shim's starts are. While its former shim lives on after SIGKILL it cannot be started; that ends once the kernel lets go of the shim, or with
    /// the daemon. Those that it joins, and that are about to run again, are waited for.
    func startAgainIfWanted() async {
        guard (try? policyWantsStart) == true else { return }
        awaitsStart = true
        defer { awaitsStart = false }
        let count = document.restartCount
        var pause: Duration? = RestartPause.after(restarts: restartsSinceSteadyRun())
        while let next = pause {
            guard (try? await Pause.wait(for: next)) != nil, awaitsStart, !services.reactor.isStopped else { return }
            let isHindered = if formerShimLives { true } else { await awaitsOthers() }
            pause = isHindered ? Self.obstacleLookInterval : nil
        }
        awaitsStart = false
        await startIfWanted(restartCount: count + 1)
    }

    /// Has it await its start where its policy wants it to run. A daemon that begins starts one after another, and may be long about it.
    func awaitStartIfWanted() {
        switch state {
        case .created, .exited: awaitsStart = document.startedAt != .zero && (try? policyWantsStart) == true
        case .starting, .running, .paused, .restarting, .stopping, .exiting, .removing, .dead: break
        }
    }

    /// Starts what awaits it, unless somebody has started or stopped it meanwhile.
    func startIfAwaited() async {
        guard awaitsStart, !services.reactor.isStopped else { return }
        awaitsStart = false
        await startIfWanted()
    }

    /// Has what awaits its start stay as it is: somebody stops it.
    /// - Returns: false where it does not await one.
    func giveStartUp() async -> Bool {
        guard awaitsStart else { return false }
        awaitsStart = false
        document.isManuallyStopped = true
        await saveOrLog()
        return true
    }

    /// Starts a container that is not running and that its policy wants to run when the daemon begins: one that has run before, as docker has it. What
    /// somebody only created waits for somebody to start it.
    /// - Parameter restartCount: how often its policy has started it then.
    func startIfWanted(restartCount: Int = 0) async {
        switch state {
        case .created, .exited: break
        case .starting, .running, .paused, .restarting, .stopping, .exiting, .removing, .dead: return
        }
        if document.startedAt == .zero { return }
        do throws(EngineError) {
            if try policyWantsStart { try await start(restartCount: restartCount) }
        } catch { logger.error("not started again: \(error)") }
    }

    /// Whether its policy has it started as it has ended.
    private var policyWantsStart: Bool {
        get throws(EngineError) {
            let rule = try RestartRule(document.hostConfig.restartPolicy)
            if rule.kind == .unlessStopped && document.isManuallyStopped { return false }
            return rule.wantsRestart(
                afterStatus: UInt32(clamping: document.exitCode), restartCount: UInt32(clamping: document.restartCount))
        }
    }
}

extension HostConfig {
    /// Whether a shim may start the container again: it makes it from its bundle, which names networks of others by files that last.
    var isStartedAgainByShim: Bool {
        get throws(EngineError) { try ruleOfShim.kind != .never || HealthRequests.actions[healthOnFailure] == .restart }
    }

    /// Whether the daemon starts the container again, which finds other PID and IPC namespaces at each start: they go with the process that they began with.
    var isStartedAgainByDaemon: Bool {
        get throws(EngineError) {
            let rule = try RestartRule(restartPolicy)
            return try joinsBriefNamespaces && rule.kind != .never
        }
    }

    /// What of its policy a shim carries out.
    var ruleOfShim: RestartRule {
        get throws(EngineError) {
            let rule = try RestartRule(restartPolicy)
            return try joinsBriefNamespaces ? RestartRule() : rule
        }
    }

    /// Whether it is in a namespace of another container that lasts as long as that one's process only.
    var joinsBriefNamespaces: Bool {
        get throws(EngineError) { try NamespaceModes(self).joinedContainers.contains { $0.kind != .network } }
    }
}

extension RestartRule {
    /// The rule that a request means.
    /// - Throws: `.invalidParameter` in Docker's words.
    init(_ policy: RestartPolicy) throws(EngineError) {
        let count = policy.maximumRetryCount
        switch policy.name {
        case "": self.init()
        case "no": self.init()
        case "always": self.init(.always)
        case "unless-stopped": self.init(.unlessStopped)
        case "on-failure":
            guard count >= 0 else {
                throw EngineError(.invalidParameter, "invalid restart policy: maximum retry count cannot be negative")
            }
            self.init(.onFailure, maximumCount: UInt32(clamping: count))
            return
        default:
            throw EngineError(
                .invalidParameter,
                "invalid restart policy: unknown policy '\(policy.name)'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'")
        }
        guard count == 0 || policy.name.isEmpty else {
            throw EngineError(
                .invalidParameter,
                "invalid restart policy: maximum retry count can only be used with 'on-failure'"
                    + (count < 0 ? " and cannot be negative" : ""))
        }
    }
}
