internal import LinuxSyscalls
internal import ShimProtocol

/// Has the runtime make processes, and hands them to the reaper.
final class ProcessLauncher {
    private static let sigkill: Int32 = 9

    let runner: RuntimeRunner
    private let loop: EventLoop
    private let reaper: ChildReaper

    init(runner: RuntimeRunner, loop: EventLoop, reaper: ChildReaper) {
        self.runner = runner
        self.loop = loop
        self.reaper = reaper
    }

    /// Has the runtime make a process, with its streams open.
    /// - Parameters:
    ///   - check: whether it may be made still, when the program that its output goes to is ready, which may take a while.
    ///   - ended: called once when the process, which was made, has ended; also after a `completion` with a failure.
    ///   - completion: gets the process's pid, or what went wrong; then nothing of it runs.
    func launch(
        _ process: SupervisedProcess, verb: @escaping (_ pidFile: String, _ consoleSocket: String?) -> RuntimeVerb,
        check: @escaping () throws(ShimError) -> Void = {}, ended: @escaping (ReapedExit) -> Void,
        _ completion: @escaping (Result<Int32, ShimError>) -> Void
    ) {
        let id = process.execID.isEmpty ? runner.command.containerID : process.execID
        process.stdio.beginLogging(as: id) { [self] failure in
            if let failure { return fail(process, failure, completion) }
            do throws(ShimError) { try check() } catch { return fail(process, error, completion) }
            make(process, verb: verb, ended: ended, completion)
        }
    }

    private func make(
        _ process: SupervisedProcess, verb: (_ pidFile: String, _ consoleSocket: String?) -> RuntimeVerb,
        ended: @escaping (ReapedExit) -> Void, _ completion: @escaping (Result<Int32, ShimError>) -> Void
    ) {
        let pidFile = runner.scratchPath("pid")
        var ends: PayloadEnds?
        var console: ConsoleSocket?
        do throws(ShimError) {
            if process.stdio.paths.terminal {
                console = try makeConsole()
            } else {
                ends = try process.stdio.open()
            }
        } catch { return fail(process, error, completion) }
        let announcement = reaper.announce()
        runner.run(verb(pidFile, console?.path), ends: ends) { [self, console] failure in
            defer { reaper.announcementOver(announcement) }
            if let failure {
                runner.removeScratch(pidFile)
                return fail(process, failure, completion)
            }
            do throws(ShimError) {
                let pid = try runner.takePID(pidFile)
                process.bridgedID = process.execID.isEmpty ? "" : BridgedCall.execID(pidFile: pidFile)
                try runner.whenEnded(pid, execID: process.bridgedID, ended)
                try takeTerminal(console, of: process, pid: pid)
                completion(.success(pid))
            } catch { fail(process, error, completion) }
        }
    }

    private func makeConsole() throws(ShimError) -> ConsoleSocket {
        do throws(SyscallError) { return try ConsoleSocket(runner.scratchPath("console")) } catch {
            throw ShimError("console socket", error)
        }
    }

    /// A process whose terminal nobody serves is ended: it could neither be spoken to nor waited for.
    private func takeTerminal(_ console: ConsoleSocket?, of process: SupervisedProcess, pid: Int32) throws(ShimError) {
        guard let console else { return }
        do throws(ShimError) { try process.stdio.open(master: console.takeMaster()) } catch {
            // The number is safe while the process was not reaped; when it was, it has ended.
            if reaper.isAwaited(pid) { try? sendSignal(Self.sigkill, toProcess: pid) }
            throw error
        }
    }

    private func fail(
        _ process: SupervisedProcess, _ error: ShimError, _ completion: @escaping (Result<Int32, ShimError>) -> Void
    ) {
        process.stdio.processEnded()
        process.stdio.finishWithWhatIsThere()
        // Nobody deletes what was never made.
        process.stdio.endLogging {}
        process.abandon(error)
        completion(.failure(error))
    }
}
