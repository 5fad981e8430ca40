internal import EngineAPI
internal import Logging
internal import ShimProtocol

/// Holding a container where it is.
extension Container {
    /// A shim tells of an end when the output is copied, the execs have ended as well and the record is written: at most this, with what is then taken away.
    private static let endTimeout = Duration.seconds(30)

    /// - Parameter isHold: for as long as something is read; else somebody asked for it, and it stays until somebody unpauses it.
    /// - Throws: `.conflict` when it does not run, or is paused already.
    func pause(isHold: Bool = false) async throws(EngineError) {
        try await startDecided()
        guard case .running(let task) = state else { throw cannotPause }
        do throws(ShimError) { try await task.shim.pause() } catch {
            let status = await learntStatus(of: task)
            guard case .running(let now) = state, now.pid == task.pid else { throw cannotPause }
            guard status == .paused else { throw .system("cannot pause container \(id)", error) }
            // Whoever holds it is not asked for by us. Where no answer came it was this call.
            if error.isRefusal {
                state = .paused(task)
                await recordPause(true)
                throw cannotPause
            }
        }
        failpoint(.pauseDone)
        guard case .running = state else {
            // It was asked to end meanwhile, and shall be able to.
            if !state.isPaused { await letGoOn(task) }
            throw cannotPause
        }
        state = .paused(task)
        await recordPause(true, isHold: isHold)
    }

    /// - Throws: `.conflict` when it is not paused.
    func unpause() async throws(EngineError) {
        guard case .paused(let task) = state else { throw EngineError(.conflict, "container \(id) is not paused") }
        do throws(ShimError) { try await task.shim.resume() } catch {
            let status = await learntStatus(of: task)
            // Somebody else was quicker, or it has ended.
            guard case .paused(let now) = state, now.pid == task.pid else { return }
            // By the shim it runs: one that was killed before it could answer did it, or somebody at the host.
            guard status == .running else { throw .system("cannot unpause container \(id)", error) }
        }
        failpoint(.unpauseDone)
        guard case .paused(let now) = state, now.pid == task.pid else { return }
        state = .running(task)
        await recordPause(false)
    }

    /// Tells that it is paused, or goes on, and writes it down. Until it is written, the next daemon learns of it from the shim.
    /// - Parameter isHold: as `pause` takes it. A pause that somebody asked for is so from now on, and what goes on is held no more.
    func recordPause(_ isPaused: Bool, isHold: Bool = false) async {
        document.isPaused = isPaused
        document.isHeld = isHold
        await record(untold(isPaused ? "pause" : "unpause"), isPaused ? .pauseRecorded : .unpauseRecorded)
    }

    /// Takes over from the shim whether it is paused, and tells what a former daemon was killed before it told.
    func adoptPause(_ status: TaskStatus?) async {
        // Of what has ended it is told that it has.
        guard let status else { return }
        let isPaused = status == .paused
        if isPaused, case .running(let task) = state { state = .paused(task) }
        guard let told = document.isPaused, told != isPaused else { return document.isPaused = isPaused }
        await recordPause(isPaused, isHold: document.isHeld)
    }

    /// Lets what may be paused go on, so that a signal takes effect. That it is not paused, or has ended, does no harm.
    func letGoOn(_ task: RunningTask) async {
        var goesOn = true
        do throws(ShimError) { try await task.shim.resume() } catch {
            logger.debug("let the container go on: \(error)")
            goesOn = false
            if unsupervised != nil { await thaw() }
        }
        if case .paused = state { state = .running(task) }
        // As docker: that it goes on is told whoever wanted it.
        if goesOn, document.isPaused == true, state.runningTask?.pid == task.pid { await recordPause(false) }
    }

    /// How the process stands by its shim. What the shim knows of an end already is waited for, so that it is known here as well on return.
    /// - Returns: nil for one that has ended, and where no shim says anything.
    func learntStatus(of task: RunningTask) async -> TaskStatus? {
        guard let description = try? await task.shim.describe(),
            let process = description.processes.first(where: { $0.execID.isEmpty })
        else { return nil }
        let hasEnded = process.isEnding || process.status == .stopped || process.pid != task.pid
        guard hasEnded else { return process.status }
        switch state {
        case .running(let now), .paused(let now), .stopping(let now): guard now.pid == task.pid else { return nil }
        case .created, .starting, .restarting, .exiting, .exited, .removing, .dead: return nil
        }
        let end = wait(for: .nextExit)
        _ = await end.outcome.value(within: Self.endTimeout)
        return nil
    }

    /// Why a container that is not to be paused, as it stands, cannot be.
    private var cannotPause: EngineError {
        switch state {
        case .paused: EngineError(.conflict, "container \(id) is already paused")
        // One that runs has begun anew since it was asked.
        case .restarting, .running: isRestarting
        case .created, .starting, .stopping, .exiting, .exited, .removing, .dead: notRunning
        }
    }
}
