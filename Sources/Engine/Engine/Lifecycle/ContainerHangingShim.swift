internal import LinuxSyscalls
internal import Logging
internal import ShimProtocol
internal import SystemPackage

/// A shim that lives and does not answer: somebody stopped it, or the kernel does not let go of it.
extension Container {
    private static let shimEndMilliseconds: Int32 = 1000
    /// How long a shim may take to tell of an end that the kernel has told.
    private static let tellingLimit = Duration.seconds(1)
    static let undyingWords = "the former one lives on after SIGKILL"

    /// Whether a shim that was killed lives on: while it does, another one cannot take its place, and it is asked nothing.
    var formerShimLives: Bool { (try? undyingShim?.hasEnded()) == false }

    /// Asks the shim for a sign of life before the container is ended by it. One that gives none is killed, as another one then takes its place, and
    /// the process does not notice; one that even SIGKILL does not end is gone past, as if it were not there.
    func replaceHangingShim(_ task: RunningTask) async {
        let asked = task.shim.connection
        // One that a daemon found when it began, and that has not answered yet, may be slow and no more.
        if unsupervised == nil || !shimHangs && task.shim.isConnected {
            do throws(ShimError) { return try await task.shim.checkAnswers() } catch { if error.code != .timedOut { return } }
        } else if !shimHangs || formerShimLives {
            return
        }
        let former: LoneProcess?
        do throws(EngineError) { former = try await shimProcess() } catch { return logger.warning("\(error)") }
        // Whoever asked at the same time may have replaced it.
        guard let former, task.shim.connection === asked, asked?.isClosed == false || shimHangs, !services.reactor.isStopped else { return }
        logger.warning("the shim does not answer: it is killed, for another one to take its place")
        do throws(SyscallError) { try former.signal(SignalNames.kill) } catch { logger.debug("kill the shim that hangs: \(error)") }
        if await hasEnded(former) {
            (undyingShim, shimHangs) = (nil, false)
        } else {
            let payload = await lonePayload()
            // Whoever follows the shim may have learnt of the container's end meanwhile.
            guard state.supervisedTask?.pid == task.pid else { return }
            (undyingShim, shimHangs) = (former, true)
            stay(unsupervisedFor: Self.undyingWords, payload)
            task.shim.expectNoneSoon()
        }
        // Who follows it learns from this that it is gone, also where it does not end.
        asked?.close(ShimError(.disconnected, "the shim of \(id) did not answer in time"))
    }

    /// Has the end of a run's process seen where its shim hangs, and does not tell. The kernel tells it of the number that the process has now: where
    /// it has ended already, and another has it, what comes of that is one question to the shim.
    func watchForEnd(_ task: RunningTask) {
        guard task.pid != 0 else { return }
        do throws(SyscallError) {
            try services.reactor.tellEnd(of: Int32(bitPattern: task.pid)) { [weak self] in
                // Belongs to the container, and ends with the run or soon after.
                Task(executorPreference: TaskThreads.daemon) { await self?.haveEndTold(task) }
            }
        } catch {
            // Its shim tells, or has told.
            if error.errno != Errno.noSuchProcess.rawValue { logger.warning("watch for the end of the process: \(error)") }
        }
    }

    private func haveEndTold(_ task: RunningTask) async {
        guard await task.settled.value(within: Self.tellingLimit) == nil else { return }
        // Who stops it, or has it paused, learns of a shim that hangs by themselves.
        guard case .running(let now) = state, now.pid == task.pid else { return }
        await replaceHangingShim(task)
    }

    /// The process of the shim; nil where it is gone.
    private func shimProcess() async throws(EngineError) -> LoneProcess? {
        let path = FilePath(services.launcher.layout(of: id).pidPath)
        return try await BlockingWork.run { () throws(EngineError) in
            do throws(SyscallError) {
                let bytes = try readFile(path, limitBytes: ShimProcessIdentity.maximumByteCount)
                guard let identity = try? ShimProcessIdentity(decoding: bytes) else { return nil }
                return try LoneProcess(UInt32(bitPattern: identity.pid), startTimeTicks: identity.startTimeTicks, startedAt: .now)
            } catch {
                if error.errno == Errno.noSuchFileOrDirectory.rawValue { return nil }
                throw .system("look for a shim that does not answer", error)
            }
        }
    }

    private func hasEnded(_ process: LoneProcess) async -> Bool {
        let outcome = try? await BlockingWork.run { () throws(EngineError) in
            do throws(SyscallError) { return try process.hasEnded(within: Self.shimEndMilliseconds) } catch {
                throw .system("wait for the end of a shim", error)
            }
        }
        return outcome ?? false
    }
}
