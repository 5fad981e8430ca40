internal import Cgroups
internal import CoreTypes
internal import LinuxSyscalls
internal import Logging
internal import ShimProtocol
internal import SystemPackage

/// Why a container has no shim that answers, though its run has not ended.
struct Unsupervised: Sendable {
    let reason: String
    let payload: LonePayload
    /// Its process, also once that has ended; nil where it could not be held yet.
    let process: LoneProcess?
    /// Somebody wants it to be started no more, which the next shim does not know.
    var isGivenUp = false

    /// Whether something is to be done at once: the process has ended, or what waits for its restart shall not be started.
    var isOutdated: Bool {
        switch payload {
        case .lives(let process): (try? process.hasEnded()) == true
        case .isBetweenRuns: isGivenUp
        case .unclear, .ended, .unknown: false
        }
    }

    /// For whoever looks at the container.
    var words: String { "no shim looks after it, and another one is tried again and again: \(reason)" }
}

/// The pauses between attempts at another shim.
struct AdoptionPauses {
    private static let first = Duration.milliseconds(100)
    private static let longest = Duration.seconds(15)
    private var last: Duration?

    /// The pause before the next attempt.
    mutating func next() -> Duration {
        let pause = min(last.map { $0 * 2 } ?? Self.first, Self.longest)
        last = pause
        return pause
    }

    /// A shim has answered, or something else is tried now.
    mutating func beginAnew() { last = nil }
}

/// The container while its shim is gone, and what it does until another one has it. Its process goes on: whatever keeps another shim from coming
/// (no process to be had, no room, no descriptor, a slow machine) is no end of it.
extension Container {
    /// Attempts for one whose process has ended: the next shim alone knows what it wrote last, and whether it starts again.
    private static let attemptsAfterEnd = 5
    private static let lookInterval = Duration.milliseconds(100)
    /// How long an end may take to be seen while an attempt at another shim is under way.
    static let unsupervisedKillTimeout = Duration.seconds(90)

    /// Has another shim take the place of the one that is gone, however long it takes to get one.
    /// - Returns: whether there is one to follow; otherwise the run is over, or the daemon goes.
    func regainShim(_ task: RunningTask, _ error: ShimError, _ pauses: inout AdoptionPauses) async -> Bool {
        if services.reactor.isStopped { return false }
        logger.warning("lost the shim: \(error)")
        var attemptsLeft = Self.attemptsAfterEnd
        var problem = unsupervised == nil ? await attemptAtShim(task) : EngineError(.system, error.message)
        while let failure = problem {
            let payload = await lonePayload()
            if isOver(payload, &attemptsLeft) {
                await endUnsupervised(task, payload)
                return false
            }
            stay(unsupervisedFor: failure.message, payload)
            task.shim.expectNoneSoon()
            guard await pause(&pauses, task) else { return false }
            problem = await attemptAtShim(task)
        }
        pauses.beginAnew()
        return true
    }

    private func isOver(_ payload: LonePayload, _ attemptsLeft: inout Int) -> Bool {
        switch payload {
        case .lives, .unclear: return false
        case .isBetweenRuns: return unsupervised?.isGivenUp ?? false
        case .ended, .unknown:
            attemptsLeft -= 1
            return attemptsLeft < 0 || shimHangs
        }
    }

    private func endUnsupervised(_ task: RunningTask, _ payload: LonePayload) async {
        let process = unsupervised?.process
        let isGivenUp = unsupervised?.isGivenUp == true
        unsupervised = nil
        if case .isBetweenRuns = payload { return await restartsEnded(task) }
        var end = await exitRecord()
        if end == nil, case .ended(let found) = payload { end = found }
        await processEnded(task, end ?? process?.end() ?? .lost)
        // No shim is there that would start it again; whoever stopped it, or restarts it, says what comes next.
        if !isGivenUp && !document.isManuallyStopped && ownedStops == 0 && !services.reactor.isStopped { await startAgainIfWanted() }
    }

    /// Says why there is no shim, once for each reason.
    func stay(unsupervisedFor reason: String, _ payload: LonePayload) {
        if unsupervised?.reason != reason {
            logger.warning("the container runs on without a shim, and another one is tried again and again: \(reason)")
        }
        var process = unsupervised?.process
        if case .lives(let found) = payload { process = found }
        unsupervised = Unsupervised(reason: reason, payload: payload, process: process, isGivenUp: unsupervised?.isGivenUp ?? false)
    }

    /// Lets time pass, until something is to be done at once.
    /// - Returns: false where nothing is to be done any more.
    private func pause(_ pauses: inout AdoptionPauses, _ task: RunningTask) async -> Bool {
        var left = pauses.next()
        while left > .zero {
            try? await Pause.wait(for: min(left, Self.lookInterval))
            left -= Self.lookInterval
            if services.reactor.isStopped || state.supervisedTask == nil { return false }
            if unsupervised?.isOutdated == true || undyingShim != nil && !formerShimLives {
                pauses.beginAnew()
                return true
            }
        }
        return true
    }

    /// - Returns: why there is none.
    private func attemptAtShim(_ task: RunningTask) async -> EngineError? {
        if formerShimLives { return EngineError(.system, Self.undyingWords) }
        if undyingShim != nil { (undyingShim, shimHangs) = (nil, false) }
        do throws(EngineError) {
            if !task.shim.isConnected { try await connectToNext(task.shim) }
            let description: DescribeResponse
            do throws(ShimError) { description = try await task.shim.describeOnce() } catch {
                if error.code == .timedOut { shimHangs = true }
                throw .system("ask another shim how it stands", error)
            }
            await settle(task, description)
            logger.info("another shim has the container")
            return nil
        } catch { return error }
    }

    private func connectToNext(_ shim: ShimClient) async throws(EngineError) {
        do throws(EngineError) { try await beginAnotherShim() } catch {
            // One that was begun before, and that nobody heard of, or that lives and only let go of its connection.
            do throws(ShimError) { return try shim.connectAgain() } catch { logger.debug("no shim is there already: \(error)") }
            throw error
        }
        do throws(ShimError) { try shim.connectAgain() } catch { throw .system("connect to another shim", error) }
    }

    /// Has another shim take the place of one that was killed, with what it had.
    func beginAnotherShim() async throws(EngineError) {
        let (services, id, bundle) = (services, id, paths.bundle.string)
        try await BlockingWork.run(.programs) { () throws(EngineError) in
            do throws(ShimError) { try services.launcher.adopt(id, bundle: bundle) } catch { throw .system("replace the shim", error) }
        }
    }

    /// What could not be said or asked while there was none.
    private func settle(_ task: RunningTask, _ description: DescribeResponse) async {
        let isGivenUp = unsupervised?.isGivenUp ?? false
        unsupervised = nil
        shimHangs = false
        if needsExecAdoption {
            needsExecAdoption = false
            let process = description.processes.first { $0.execID.isEmpty }
            await adoptPause(process?.status)
            await adoptExecs(description.processes, state.supervisedTask ?? task)
            await renewRestartPolicy()
            renewLimits()
        }
        if isGivenUp { await endRestarts(task, isByHand: document.isManuallyStopped) }
        await endAbandonedHold()
    }

    // MARK: - Without a shim

    /// How the run stands as far as can be seen without a shim.
    func lonePayload() async -> LonePayload {
        let (services, id, pid) = (services, id, document.pid)
        do throws(EngineError) {
            return try await BlockingWork.run { () throws(EngineError) in
                LonePayload(of: id, layout: services.launcher.layout(of: id), pid: pid)
            }
        } catch { return .unclear("\(error)") }
    }

    /// Sends a signal to the first process: by the shim or, where none answers, straight from here.
    /// - Throws: what says that it has ended, or the shim's refusal.
    func signal(_ number: UInt32, _ task: RunningTask) async throws(ShimError) {
        if unsupervised == nil {
            do throws(ShimError) { return try await task.shim.kill(signal: number) } catch {
                guard [.absent, .disconnected, .timedOut].contains(error.code), !services.reactor.isStopped else { throw error }
                logger.warning("signal \(number) is sent without the shim: \(error)")
            }
        }
        switch await lonePayload() {
        case .lives(let process):
            do throws(SyscallError) { try process.signal(number) } catch {
                throw ShimError(.refused(error.errno == Errno.noSuchProcess.rawValue ? .notFound : .internalError), "\(error)")
            }
            if number == SignalNames.kill { await thaw() }
        case .unclear(let problem): throw ShimError(.absent, "signal \(number): \(problem)")
        case .isBetweenRuns, .ended, .unknown: throw ShimError(.refused(.notFound), "the process has ended")
        }
    }

    /// Has what is paused go on, without a shim: else it hears no signal.
    func thaw() async {
        guard services.facts.hasCgroups else { return }
        let (path, id) = (cgroupPath, id)
        do throws(EngineError) {
            try await BlockingWork.run { () throws(EngineError) in
                do throws(CgroupError) {
                    let record = try Cgroup.plannedRecord(try CgroupPath(path, container: id), layout: try CgroupLayout.detect())
                    try Cgroup(opening: record).thaw()
                } catch { throw .system("let container \(id) go on", error) }
            }
        } catch { logger.warning("\(error)") }
    }
}
