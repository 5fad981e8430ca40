internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Logging
internal import Records
internal import ShimProtocol

/// From running to not running.
extension Container {
    /// How long `stop` waits where neither the request nor the container says.
    static let defaultStopTimeoutSeconds = 10
    /// The longest wait that is counted: 68 years. Clocks overflow beyond.
    static let longestStopTimeoutSeconds = Int(Int32.max)

    /// Sends the stop signal, then SIGKILL when the time is over.
    /// - Parameter isByHand: somebody wants it stopped, also when a daemon begins.
    /// - Throws: `.notModified` when nothing runs; `.system` when even SIGKILL does not end it.
    func stop(signal: String?, timeoutSeconds: Int?, isByHand: Bool = true) async throws(EngineError) {
        let asked = signal ?? ""
        let number = asked.isEmpty ? try stopSignal : try SignalNames.number(of: asked)
        let seconds = min(timeoutSeconds ?? document.config.stopTimeout ?? Self.defaultStopTimeoutSeconds, Self.longestStopTimeoutSeconds)
        guard let task = try await taskToStop(isByHand: isByHand) else {
            guard isByHand, await giveStartUp() else { throw EngineError(.notModified, "container \(id) is not running") }
            return tell("stop")
        }
        let wasPaused = state.isPaused
        state = .stopping(task)
        failpoint(.stopMarked)
        await endRestarts(task, isByHand: isByHand)
        failpoint(.stopRestartsEnded)
        // Where the signal does not reach the process, it has ended, or the one below will.
        await send(number, to: task)
        failpoint(.stopSignalled)
        if wasPaused { await letGoOn(task) }
        if await !waitUntilSettled(task, timeout: seconds < 0 ? nil : .seconds(seconds)) {
            if Task.isCancelled { throw EngineError(.unavailable, "the stop was cancelled") }
            try await killAndWait(task, isByHand: isByHand)
        }
        tell("stop")
    }

    /// The number of the container's own stop signal.
    private var stopSignal: UInt32 {
        get throws(EngineError) {
            try SignalNames.number(of: document.config.stopSignal.isEmpty ? "SIGTERM" : document.config.stopSignal)
        }
    }

    /// Waits out a start that is under way. - Returns: nil when nothing runs.
    private func taskToStop(isByHand: Bool) async throws(EngineError) -> RunningTask? {
        while true {
            switch state {
            case .created, .exited, .dead, .removing: return nil
            case .starting(let decided): _ = await decided.value(within: nil)
            case .running(let task), .paused(let task), .restarting(let task), .stopping(let task): return task
            case .exiting(let task):
                // What ends by itself is not to be started again either.
                if isByHand { document.isManuallyStopped = true }
                _ = await task.settled.value(within: nil)
            }
            if Task.isCancelled { throw EngineError(.unavailable, "the stop was cancelled") }
        }
    }

    private func send(_ signal: UInt32, to task: RunningTask) async {
        do throws(ShimError) {
            try await self.signal(signal, task)
            tell("kill", ["signal": "\(signal)"])
        } catch {
            if !error.isNotFound { logger.debug("signal \(signal): \(error)") }
        }
    }

    /// - Throws: `.system` when the process does not end.
    func killAndWait(_ task: RunningTask, isByHand: Bool = true) async throws(EngineError) {
        await endRestarts(task, isByHand: isByHand)
        await send(SignalNames.kill, to: task)
        failpoint(.stopKilled)
        killedPID = task.pid
        guard await waitUntilSettled(task, timeout: unsupervised == nil ? Self.killTimeout : Self.unsupervisedKillTimeout) else {
            let blocked = BlockedProcess.words(of: task.pid).map { ": \($0)" } ?? ""
            throw EngineError(.system, "cannot stop container: \(id): tried to kill container, but did not receive an exit event\(blocked)")
        }
    }

    /// - Throws: `.conflict` when it does not run.
    func kill(signal text: String) async throws(EngineError) {
        let number = text.isEmpty ? SignalNames.kill : try SignalNames.number(of: text)
        try await startDecided()
        guard let task = state.supervisedTask else {
            // As docker: what waits for its restart is killed by its having none.
            let endsIt = number == SignalNames.kill ? true : try number == stopSignal
            if endsIt, await giveStartUp() { return }
            throw EngineError(.conflict, "cannot kill container: \(name): container \(id) is not running")
        }
        if number == SignalNames.kill { return try await killAndWait(task) }
        let isStop = try number == stopSignal
        if isStop { await endRestarts(task) }
        // As Docker: what waits for its restart takes no signal.
        if state.isRestarting { return }
        do throws(ShimError) {
            try await self.signal(number, task)
            tell("kill", ["signal": "\(number)"])
        } catch {
            if error.isNotFound { throw EngineError(.conflict, "cannot kill container: \(name): container \(id) is not running") }
            throw .system("cannot kill container: \(name)", error)
        }
        // As docker: what is to stop shall not wait for somebody to unpause it.
        if state.isPaused && isStop { await letGoOn(task) }
    }

    /// Stops what runs, and starts. A container that goes away with its process stays this time.
    func restart(signal: String?, timeoutSeconds: Int?) async throws(EngineError) {
        ownedStops += 1
        defer { ownedStops -= 1 }
        // It need not run; and where another restart stopped it together with this one, either start is this one's, too.
        do throws(EngineError) {
            // What awaits its start goes on to where it cannot be started now.
            if !awaitsStart { try await stop(signal: signal, timeoutSeconds: timeoutSeconds) }
        } catch {
            if error.code != .notModified { throw error }
        }
        do throws(EngineError) { try await start() } catch {
            if error.code != .notModified { throw error }
        }
        tell("restart")
    }

    // MARK: - Removal

    /// Takes the container away: its root, its files, its record.
    /// - Parameter withVolumes: its volumes that nobody named go, too, as they do when it goes away with its process.
    /// - Throws: `.conflict` when it runs and `force` is not set, or when it is being removed already.
    func remove(force: Bool, withVolumes: Bool = false) async throws(EngineError) {
        if let task = try await taskToStop(isByHand: false) {
            guard force else {
                let reason =
                    state.isPaused
                    ? "container is paused and must be unpaused first"
                    : "container is \(state.status): stop the container before removing or force remove"
                throw EngineError(.conflict, "cannot remove container \"/\(name)\": \(reason)")
            }
            // A container that goes away with its process would do so now, and get in the way of this removal.
            ownedStops += 1
            defer { ownedStops -= 1 }
            state = .stopping(task)
            try await killAndWait(task)
        }
        switch state {
        case .created, .exited, .dead: break
        case .removing: throw EngineError(.conflict, "removal of container \(name) is already in progress")
        case .starting, .running, .paused, .restarting, .stopping, .exiting:
            throw EngineError(.conflict, "container \(id) was started while it was being removed")
        }
        state = .removing
        let destruction: DestroyedContainer
        do throws(EngineError) { destruction = try await takeAway(withVolumes: withVolumes) } catch {
            state = .dead
            document.phase = .dead
            document.error = error.message
            await saveOrLog()
            // Whoever waits for the removal, as `run --rm` does, would wait for ever.
            settleWaiters([.removed], error: error.message)
            throw error
        }
        services.index.remove(self)
        services.userNamespaces.release(id)
        services.destroyed.tell(id, destruction)
        failpoint(.removeTold)
        for session in attachments.takeAll() { session.end() }
        settleWaitersOfRemoval()
    }

    /// - Returns: what is to be told of it.
    private func takeAway(withVolumes: Bool) async throws(EngineError) -> DestroyedContainer {
        // Written first: after a crash from here on, the next daemon goes on with the removal.
        document.phase = .removing
        document.removesVolumes = document.removesVolumes || withVolumes || document.hostConfig.autoRemove
        try await save()
        failpoint(.removeRecorded)
        // A shim that did not answer may still be there, with the process and the mounts that it looks after.
        try await removeLeftovers()
        // Of a run that was not followed to its end.
        await leaveNetworks()
        failpoint(.removeLeftoversGone)
        await endUnpackings()
        do { try await services.images.removeRoot(of: id) } catch { throw EngineError(error) }
        failpoint(.removeRootGone)
        let paths = paths
        try await BlockingWork.run { () throws(EngineError) in
            try Bundle.remove(paths)
            failpoint(.removeBundleGone)
            try Bundle.removeFiles(paths)
            failpoint(.removeFilesGone)
        }
        let unnamed = await document.removesVolumes ? services.volumes.unnamed(document.volumes) : []
        await services.volumes.release(document.volumes, of: id, removing: unnamed)
        failpoint(.removeVolumesReleased)
        let destruction = destruction
        try await services.destroyed.remove(id, leaving: destruction)
        failpoint(.removeForgotten)
        return destruction
    }
}
