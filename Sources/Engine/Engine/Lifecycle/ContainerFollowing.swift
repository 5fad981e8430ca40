internal import CoreTypes
internal import EngineAPI
internal import Logging
internal import ShimProtocol
internal import SystemPackage

/// What the shim tells of the container's process, taken over change by change.
extension Container {
    /// Follows a process, and those that its restarts bring, to the last end. The task belongs to the container and ends with the
    /// last process, or with the daemon's connections.
    /// - Parameter loss: why there is no shim yet that answers; nil where there is one.
    func watch(_ task: RunningTask, after loss: ShimError? = nil) {
        task.shim.beginFollowing()
        watchForEnd(task)
        Task(executorPreference: TaskThreads.daemon) { await self.follow(task, after: loss) }
    }

    private func follow(_ task: RunningTask, after loss: ShimError?) async {
        defer { task.shim.endFollowing() }
        var (pauses, loss) = (AdoptionPauses(), loss)
        while true {
            if let error = loss {
                loss = nil
                guard await regainShim(task, error, &pauses) else { return }
            }
            do throws(ShimError) {
                for change in try await task.shim.follow(after: document.lifeRevision) {
                    // Whoever stops it says what comes next.
                    let isOwned = ownedStops > 0
                    if await take(change, task) {
                        if !isOwned { await goOn(after: change) }
                        return
                    }
                }
            } catch { loss = error }
        }
    }

    /// Takes a change over, unless it is known already. - Returns: whether it was the last one.
    func take(_ change: LifeChange, _ task: RunningTask) async -> Bool {
        guard change.revision > document.lifeRevision else { return false }
        document.lifeRevision = change.revision
        switch change.kind {
        case .started:
            await restarted(change, task)
            return false
        case .restarting:
            await execEndsTaken()
            await restarting(change, task)
            return false
        case .ended:
            await execEndsTaken()
            if let report = change.health { document.health = Health(report) }
            await processEnded(task, change.exit.map { TaskEnd($0) } ?? .unknown)
            return true
        case .givenUp:
            await restartGivenUp(change, task)
            return true
        case .outOfMemory, .processLimit:
            let action = change.kind == .outOfMemory ? "oom" : "pids-limit"
            // As Docker: of any process of the run, also while the first one lives on.
            if change.kind == .outOfMemory { document.oomKilled = true }
            await record(untold(action, at: change.at.map { Timestamp(unixNanoseconds: $0.unixNanoseconds) }), .lackRecorded)
            return false
        case .health:
            await healthTurned(change)
            return false
        case .checkStarted, .checkEnded:
            tellCheck(change)
            return false
        case .unknown: return false
        }
    }

    private func restarted(_ change: LifeChange, _ task: RunningTask) async {
        // The first start of all was told by whoever asked for it, if it lived that long.
        if change.restartCount == 0 && document.phase == .running { return }
        let startedAt = change.at.map { Timestamp(unixNanoseconds: $0.unixNanoseconds) } ?? .now
        let running = RunningTask(shim: task.shim, pid: change.pid, startedAt: startedAt, settled: task.settled)
        await limitNextRun(running)
        switch state {
        case .stopping: state = .stopping(running)
        case .running, .paused, .restarting: state = .running(running)
        case .created, .starting, .exiting, .exited, .removing, .dead: return
        }
        document.pid = change.pid
        document.startedAt = startedAt
        document.exitCode = 0
        document.error = ""
        document.oomKilled = false
        document.restartCount = Int(change.restartCount)
        document.isPaused = false
        document.health?.status = Health.startingStatus
        document.health?.failingStreak = 0
        document.phase = .running
        // What a daemon that begins is told of the past may be over; it watches what that leads to.
        if task.shim.isFollowed { watchForEnd(running) }
        await record(untold("start", at: startedAt), .restartedRecorded)
        if isNetworkMadeAhead { await settleOnNetworkMadeAhead(running) }
    }

    private func restarting(_ change: LifeChange, _ task: RunningTask) async {
        let end = change.exit.map { TaskEnd($0) } ?? .unknown
        switch state {
        // Whoever stops it has the shim give the restart up.
        case .stopping: break
        case .running, .paused, .restarting: state = .restarting(task)
        case .created, .starting, .exiting, .exited, .removing, .dead: return
        }
        note(end)
        if let report = change.health { document.health = Health(report) }
        document.restartCount = Int(change.restartCount)
        await forgetExecs()
        await record(untoldDeath(end), .restartRecorded)
        settleWaiters([.notRunning, .nextExit])
    }

    private func restartGivenUp(_ change: LifeChange, _ task: RunningTask) async {
        guard beginEnding(task) else { return }
        if !change.problem.isEmpty {
            let failure = StartFailure(.create, words: change.problem)
            logger.error("not started again: \(failure.message)")
            document.exitCode = failure.exitCode
            document.error = failure.message
        }
        await settleEnd(task)
        await removeIfDone()
    }

    /// What waited for its restart is started no more.
    func restartsEnded(_ task: RunningTask) async {
        guard beginEnding(task) else { return }
        await settleEnd(task)
        await removeIfDone()
    }

    // MARK: - The last end

    /// Takes away what the process left, then lets everyone know.
    func processEnded(_ task: RunningTask, _ end: TaskEnd) async {
        guard beginEnding(task) else { return }
        note(end)
        endExecs()
        await settleEnd(task, end)
        await removeIfDone()
    }

    private func beginEnding(_ task: RunningTask) -> Bool {
        switch state {
        case .running, .paused, .stopping, .restarting:
            state = .exiting(task)
            // What takes it away shall not wait for a shim that nobody begins any more.
            task.shim.endFollowing()
            return true
        case .created, .starting, .exiting, .exited, .removing, .dead: return false
        }
    }

    /// Has the document say how the process ended, whoever told it.
    func note(_ end: TaskEnd) {
        document.exitCode = end.exitCode
        document.finishedAt = end.finishedAt
        // What was told while it ran stays so, also where nobody knows how it ended.
        document.oomKilled = document.oomKilled || end.oomKilled
        document.error = end.error
        document.pid = 0
        document.isPaused = false
    }

    /// - Parameter end: nil where the end was told already.
    private func settleEnd(_ task: RunningTask, _ end: TaskEnd? = nil) async {
        failpoint(.stopEndSeen)
        await dismantle(task.shim)
        document.phase = .exited
        await record(end.map(untoldDeath), .stopRecorded)
        state = .exited
        settleWaiters([.notRunning, .nextExit])
        task.settled.settle(())
    }

    func untoldDeath(_ end: TaskEnd) -> ContainerDocument.UntoldEvent {
        let duration = document.startedAt.wholeSeconds(until: end.finishedAt)
        return untold("die", ["exitCode": "\(end.exitCode)", "execDuration": "\(duration)"], at: end.finishedAt)
    }

    private func removeIfDone() async {
        guard document.hostConfig.autoRemove && ownedStops == 0 else { return }
        do throws(EngineError) {
            try await services.reserve.withRoom { () throws(EngineError) in try await remove(force: false) }
        } catch {
            // Somebody else is removing it already.
            if error.code == .conflict || error.code == .notFound { return }
            logger.error("remove after exit: \(error)")
            // Nobody else will remove it.
            settleWaiters([.removed], error: error.message)
        }
    }
}
