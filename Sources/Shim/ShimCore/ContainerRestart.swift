internal import LinuxSyscalls
internal import ShimProtocol

/// Starting the container again after its end.
extension ContainerTask {
    /// Where a restart is.
    enum RestartState {
        case none
        /// It begins when the timer runs out.
        case waiting(timer: UInt64)
        /// The former container is taken away and made anew.
        case underWay
    }

    /// The first process has ended, and that is on record.
    func firstEnded(_ notice: ExitNotice) {
        // What was made and never ran has no life to tell of.
        guard first.startedAt != nil else { return }
        var change = LifeChange(.ended)
        change.exit = notice
        change.health = health?.report
        let ran = Duration.nanoseconds(monotonicNanoseconds() - firstStartedAt)
        if !isDeleting, let delay = restarts.delayAfterEnd(exitStatus: notice.exitStatus, ran: ran) {
            change.kind = .restarting
            beginRestart(after: delay)
        }
        change.restartCount = restarts.count
        journal.note(change)
    }

    /// Another rule from now on; what waits for its restart gets it yet.
    func setRestartRule(_ rule: RestartRule) {
        restarts.rule = rule
        saveLife()
    }

    /// The container is wanted no more: its next end is its last, and a restart that is to come does not. Answers once it is known
    /// whether a process runs.
    func endRestarts(_ completion: @escaping () -> Void) {
        restarts.end()
        saveLife()
        switch restart {
        case .none: return completion()
        case .waiting(let timer):
            context.loop.cancelTimer(timer)
            giveUp(nil)
            completion()
        case .underWay: restartWaiters.append(completion)
        }
    }

    // MARK: - The restart

    private func beginRestart(after delay: Duration) {
        restarts.wait(delay, from: monotonicNanoseconds())
        restart = .waiting(timer: context.loop.after(delay) { [self] in beginRestart() })
    }

    /// A shim was killed before the restart was done: what is left of the wait is waited out, and whatever is there of it is taken away first.
    func goOnWithRestart() { beginRestart(after: restarts.delayLeft(now: monotonicNanoseconds())) }

    private func beginRestart() {
        restart = .underWay
        runner.run(.delete(force: true)) { [self] failure in
            if let failure, !failure.saysThatContainerIsMissing { return giveUp(failure) }
            whenAllSettled { [self] failure in
                if let failure { return giveUp(failure) }
                forgetFormerRun()
                if restarts.isOver { return giveUp(nil) }
                makeAnew()
            }
        }
    }

    func stopWatchingLimits() {
        outOfMemory?.cancel()
        processLimit?.cancel()
        (outOfMemory, processLimit) = (nil, nil)
    }

    private func forgetFormerRun() {
        stopWatchingLimits()
        for exec in execs where exec.exit == nil {
            exec.abandon(ShimError(.notFound, "exec \(exec.execID)", cause: "its container was started again"))
        }
        execs.removeAll { $0.isSettled }
    }

    private func makeAnew() {
        first = makeFirst()
        launchFirst { [self] result in
            switch result {
            case .success: restarts.isOver ? takeAway(nil) : startAnew()
            case .failure(let error): takeAway(error)
            }
        }
    }

    private func startAnew() {
        start { [self] result in
            switch result {
            case .success: settleRestart()
            case .failure(let error): takeAway(error)
            }
        }
    }

    /// Ends what was made and is not to run, and only then says so.
    private func takeAway(_ problem: ShimError?) {
        runner.run(.delete(force: true)) { [self] failure in
            let failure = failure.flatMap { $0.saysThatContainerIsMissing ? nil : $0 }
            whenAllSettled { [self] late in giveUp(problem ?? failure ?? late) }
        }
    }

    private func giveUp(_ problem: ShimError?) {
        var change = LifeChange(.givenUp)
        change.problem = problem?.status.message ?? ""
        change.restartCount = restarts.count
        journal.note(change)
        settleRestart()
    }

    private func settleRestart() {
        restart = .none
        let actions = restartWaiters
        restartWaiters = []
        for action in actions { action() }
    }
}
