internal import EngineAPI
internal import Logging
internal import ShimProtocol

/// A container that is paused for as long as its files are read. A daemon that is killed meanwhile leaves a note, by which the next one lets it go on:
/// nobody asked for the pause, so nobody would end it.
extension Container {
    /// How long to wait each time before a shim that did not answer is asked again to let a held container go on.
    private static let endPauses = [Duration.seconds(1), .seconds(2), .seconds(5), .seconds(10), .seconds(20)]

    /// Runs `body` while the container is held, if it runs and that is wanted; what somebody has paused stays so.
    func whileHeld<Result: Sendable>(
        _ wanted: Bool, _ body: @Sendable () async throws(EngineError) -> Result
    ) async throws(EngineError) -> Result {
        guard wanted, try await hold() else { return try await body() }
        let result: Result
        do throws(EngineError) { result = try await body() } catch {
            // The first error is the one to tell.
            do throws(EngineError) { try await endHold() } catch let second { logger.error("\(second)") }
            throw error
        }
        try await endHold()
        return result
    }

    /// - Returns: whether `endHold` is to be called.
    private func hold() async throws(EngineError) -> Bool {
        while true {
            if let ending = holdEnding {
                _ = await ending.value(within: nil)
                if Task.isCancelled { throw EngineError(.unavailable, "the request was cancelled") }
                continue
            }
            switch state {
            case .running(let task): if try await hold(task) { return true }
            // For another one, who does not let it go on before this one is done, too.
            case .paused where document.isHeld:
                holdCount += 1
                return true
            // It is not, or somebody wants it as it is.
            case .paused, .created, .starting, .restarting, .stopping, .exiting, .exited, .removing, .dead: return false
            }
        }
    }

    /// - Returns: false where it stands elsewhere now.
    private func hold(_ task: RunningTask) async throws(EngineError) -> Bool {
        holdCount += 1
        do throws(EngineError) {
            // Before the pause: a killed daemon leaves none that nobody knows of.
            document.isHeld = true
            try await save()
            failpoint(.holdRecorded)
            try await pause(isHold: true)
            failpoint(.holdPaused)
            return true
        } catch {
            // For another one.
            if state.isPaused && document.isHeld { return true }
            holdCount -= 1
            if holdCount == 0 { await forgetHold() }
            // What has ended need not be held, and what began anew is looked at again.
            if case .running(let now) = state, now.pid == task.pid { throw error }
            return false
        }
    }

    /// - Throws: `.system` where it stays paused. The note stays, too.
    private func endHold() async throws(EngineError) {
        holdCount -= 1
        guard holdCount == 0, document.isHeld else { return }
        let ending = beginEnd()
        defer { end(ending) }
        var pauses = Self.endPauses[...]
        while true {
            do throws(EngineError) {
                try await unpause()
                failpoint(.holdUnpaused)
                break
            } catch {
                // It may have been let go, or have ended, meanwhile.
                guard state.isPaused else { break }
                guard let pause = pauses.popFirst() else { throw error }
                logger.warning("the container is still paused for a commit that is over: \(error)")
                // Nobody else would let it go on: who has lost interest in the answer waits all the same.
                await Task.detached(executorPreference: TaskThreads.daemon) { try? await Pause.wait(for: pause) }.value
            }
        }
        await forgetHold()
    }

    /// From now on until `end` whoever wants to hold the container waits.
    private func beginEnd() -> OneShot<Void> {
        let ending = OneShot<Void>()
        holdEnding = ending
        return ending
    }

    private func end(_ ending: OneShot<Void>) {
        holdEnding = nil
        ending.settle(())
    }

    /// Lets go on what nobody holds any more: a daemon was killed meanwhile, or no shim was there to do it.
    func endAbandonedHold() async {
        guard document.isHeld, holdCount == 0, holdEnding == nil else { return }
        let ending = beginEnd()
        defer { end(ending) }
        if case .paused(let task) = state {
            do throws(ShimError) { try await task.shim.resume() } catch {
                return logger.error("the container is still paused, as it was for a commit that was cut off; unpause it: \(error)")
            }
            if case .paused(let now) = state, now.pid == task.pid {
                state = .running(task)
                await recordPause(false)
            }
        }
        await forgetHold()
    }

    /// From now on a pause is somebody's own.
    func forgetHold() async {
        guard document.isHeld else { return }
        document.isHeld = false
        // Its record is about to go.
        if case .removing = state { return }
        await saveOrLog()
    }
}
