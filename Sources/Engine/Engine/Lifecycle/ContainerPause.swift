internal import EngineAPI
internal import Logging
internal import ShimProtocol

/// Holding a container where it is.
extension Container {
    /// - Throws: `.conflict` when it does not run, or is paused already.
    func pause() async throws(EngineError) {
        try await startDecided()
        let task: RunningTask
        switch state {
        case .running(let running): task = running
        case .paused: throw alreadyPaused
        case .restarting: throw isRestarting
        case .created, .starting, .stopping, .exiting, .exited, .removing, .dead: throw notRunning
        }
        do throws(ShimError) { try await task.shim.pause() } catch {
            if case .running = state { throw .system("cannot pause container \(id)", error) }
            throw state.isPaused ? alreadyPaused : notRunning
        }
        if case .running = state {
            state = .paused(task)
            return tell("pause")
        }
        // It was asked to end meanwhile, and shall be able to.
        if !state.isPaused { await letGoOn(task) }
        throw state.isPaused ? alreadyPaused : notRunning
    }

    /// - Throws: `.conflict` when it is not paused.
    func unpause() async throws(EngineError) {
        guard case .paused(let task) = state else { throw EngineError(.conflict, "container \(id) is not paused") }
        do throws(ShimError) { try await task.shim.resume() } catch {
            // Somebody else was quicker, or it has ended.
            guard case .paused = state else { return }
            throw .system("cannot unpause container \(id)", error)
        }
        guard case .paused = state else { return }
        state = .running(task)
        tell("unpause")
    }

    /// Lets what may be paused go on, so that a signal takes effect. That it is not paused, or has ended, does no harm.
    func letGoOn(_ task: RunningTask) async {
        do throws(ShimError) { try await task.shim.resume() } catch {
            logger.debug("let the container go on: \(error)")
            if unsupervised != nil { await thaw() }
        }
        if case .paused = state { state = .running(task) }
    }

    private var alreadyPaused: EngineError { EngineError(.conflict, "container \(id) is already paused") }
}
