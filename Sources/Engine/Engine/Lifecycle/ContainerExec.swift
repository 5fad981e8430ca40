internal import CoreTypes
internal import EngineAPI
internal import Images
internal import Logging
internal import OCISpec
internal import Protobuf
internal import ShimProtocol
internal import Snapshots

/// Further processes of a container.
extension Container {
    /// Execs remembered of one container; beyond, those that ended first are forgotten.
    static let execLimit = 1000
    /// Bytes of words and variables of a container's execs, for which the same holds: a request of an exec may have megabytes of them.
    static let execByteLimit = 32 << 20
    /// How long a new size waits for an exec's start, as Docker's does, and for one that nobody has begun.
    static let execStartPatience = (underWay: Duration.seconds(10), toCome: Duration.seconds(1))
    /// Of an exec whose shim was killed while it began it: the next one has killed what there was of it.
    static let lostExitCode = 137

    /// - Throws: `.conflict` when the container does not run.
    func createExec(_ request: ExecCreateRequest) async throws(EngineError) -> String {
        guard !(request.cmd?.words ?? []).isEmpty else { throw EngineError(.invalidParameter, "No exec command specified") }
        for variable in request.env where variable.isEmpty || variable.hasPrefix("=") {
            throw EngineError(.invalidParameter, "invalid environment variable: \(variable)")
        }
        try ImageDefaults.checkVariableCount(request.env)
        try ImageDefaults.checkForNUL((request.cmd?.words ?? []) + request.env + [request.workingDir, request.user])
        if !request.workingDir.isEmpty && !request.workingDir.hasPrefix("/") {
            throw EngineError(.invalidParameter, "Cwd must be an absolute path")
        }
        try await startDecided()
        _ = try taskForExec()
        let exec = ExecProcess(id: Identifiers.random(), created: .now, request: request)
        try await makeRoom(for: exec)
        remember(exec)
        failpoint(.execRemembered)
        do throws(EngineError) { try await writeRecord(of: exec) } catch {
            forget(exec.id)
            // Where it ended meanwhile its bundle is gone, and that is the reason.
            _ = try taskForExec()
            throw error
        }
        failpoint(.execRecorded)
        tell("exec_create: \(exec.commandLine)", ["execID": exec.id])
        return exec.id
    }

    /// - Throws: `.conflict` where no further process can run.
    private func taskForExec() throws(EngineError) -> RunningTask {
        if state.isPaused { throw EngineError(.conflict, "container \(id) is paused, unpause the container before exec") }
        if state.isRestarting { throw isRestarting }
        guard let task = state.runningTask else { throw notRunning }
        return task
    }

    func remember(_ exec: ExecProcess) {
        execs[exec.id] = exec
        execOrder.append(exec.id)
        services.index.insert(exec: exec.id, of: id)
    }

    private func forget(_ execID: String) {
        execs.removeValue(forKey: execID)
        execOrder.removeAll { $0 == execID }
        services.index.remove(exec: execID)
    }

    private func writeRecord(of exec: ExecProcess) async throws(EngineError) {
        let directory = paths.execs
        try await BlockingWork.run { () throws(EngineError) in
            try ExecRecordFiles.write(exec.record, of: exec.id, in: directory)
        }
    }

    private func makeRoom(for exec: ExecProcess) async throws(EngineError) {
        let directory = paths.execs
        while execs.count >= Self.execLimit || execs.values.reduce(exec.byteCount, { $0 + $1.byteCount }) > Self.execByteLimit {
            let ended = execOrder.first { id in
                if case .ended = execs[id]?.state { true } else { false }
            }
            guard let old = ended ?? execOrder.first(where: { if case .created = execs[$0]?.state { true } else { false } }) else {
                throw EngineError(.conflict, "container \(id) has \(execs.count) execs running")
            }
            forget(old)
            try await BlockingWork.run { () throws(EngineError) in try ExecRecordFiles.remove(old, in: directory) }
        }
    }

    func inspectExec(_ execID: String) throws(EngineError) -> ExecInspect {
        guard let exec = execs[execID] else { throw EngineError(.notFound, "No such exec instance: \(execID)") }
        return exec.inspection(containerID: id.text)
    }

    /// What comes when the exec has ended and its exit code is known.
    func execEnd(_ execID: String) throws(EngineError) -> OneShot<Int> {
        guard let exec = execs[execID] else { throw EngineError(.notFound, "No such exec instance: \(execID)") }
        return exec.end
    }

    /// Waits for a start: who starts an exec hears that it does before its process is there.
    /// - Throws: `.conflict` when the exec does not run.
    func resizeExec(_ execID: String, height: UInt32, width: UInt32) async throws(EngineError) {
        if state.runningTask != nil, let exec = execs[execID] {
            if case .created = exec.state { _ = await exec.begun.value(within: Self.execStartPatience.toCome) }
            if case .starting = execs[execID]?.state { _ = await exec.begun.value(within: Self.execStartPatience.underWay) }
        }
        guard let exec = execs[execID], case .running = exec.state, let task = state.runningTask else {
            throw EngineError(.conflict, "exec \(execID) is not running")
        }
        guard exec.request.tty else { return }
        do throws(ShimError) { try await task.shim.resize(execID: execID, height: height, width: width) } catch {
            throw .system("resize the terminal of exec \(execID)", error)
        }
    }

    /// Starts an exec.
    /// - Returns: the client's end; nil when detached. Where the program cannot be executed, an attached client reads why, and
    ///   finds 126 or 127 as the exit code, as Docker has it.
    func startExec(_ execID: String, _ start: ExecStartRequest) async throws(EngineError) -> AttachSession? {
        guard let exec = execs[execID] else { throw EngineError(.notFound, "No such exec instance: \(execID)") }
        switch exec.state {
        case .created: break
        case .starting, .running: throw EngineError(.conflict, "Error: Exec command \(execID) is already running")
        case .ended: throw EngineError(.conflict, "Error: Exec command \(execID) has already run")
        }
        let task = try taskForExec()
        execs[execID]?.state = .starting
        do throws(ExecProblem) {
            return try await launch(exec, start, task)
        } catch {
            await ended(execID, exitCode: error.exitCode)
            if start.detach || !error.isOfProgram { throw error.engineError }
            return AttachSession(isTerminal: exec.request.tty, notice: error.engineError.message + "\r\n")
        }
    }

    private func launch(_ exec: ExecProcess, _ start: ExecStartRequest, _ task: RunningTask) async throws(ExecProblem) -> AttachSession? {
        let request: ExecProcessRequest
        do throws(EngineError) { request = try await prepare(exec, start) } catch { throw ExecProblem(error) }
        do throws(ShimError) {
            try await task.shim.exec(request)
            failpoint(.execAdded)
        } catch { throw problem(error) }
        var session: AttachSession?
        do throws(ShimError) {
            if !start.detach { session = try await attach(to: exec, task) }
            failpoint(.execAttached)
            let pid = try await task.shim.start(execID: exec.id)
            failpoint(.execStarted)
            // The container's end may have come first.
            if case .starting = execs[exec.id]?.state { execs[exec.id]?.state = .running(pid: pid) }
            watch(exec.id, task)
            tell("exec_start: \(exec.commandLine)", ["execID": exec.id])
            return session
        } catch {
            session?.detach()
            // The first error is the one to tell; what cannot be deleted goes with the container.
            if error.code != .timedOut { try? await task.shim.delete(execID: exec.id) }
            throw problem(error)
        }
    }

    /// A container that ended under the exec is Docker's conflict; all else is the runtime's word about the program.
    private func problem(_ error: ShimError) -> ExecProblem {
        if state.runningTask != nil, [.refused(.notFound), .disconnected].contains(error.code) {
            return ExecProblem(
                EngineError(.conflict, "the exec was killed: the shim of container \(id) ended while it began it", cause: error),
                exitCode: Self.lostExitCode)
        }
        if error.code == .timedOut { return ExecProblem(.system("begin an exec in container \(id)", error)) }
        let hasEnded =
            state.runningTask == nil || [.refused(.failedPrecondition), .refused(.notFound), .disconnected].contains(error.code)
            || StartFailure.saysStopped(error.message)
        return hasEnded ? ExecProblem(notRunning) : ExecProblem(StartFailure(.exec, words: error.message))
    }

    private func attach(to exec: ExecProcess, _ task: RunningTask) async throws(ShimError) -> AttachSession {
        var options = AttachOptions()
        options.stream = true
        options.stdin = exec.request.attachStdin
        options.stdout = exec.request.attachStdout
        options.stderr = exec.request.attachStderr
        let session = AttachSession(isTerminal: exec.request.tty, options: options)
        session.onDetach { [weak self] in await self?.tell("exec_detach", ["execID": exec.id]) }
        session.join(
            try await task.shim.attach(execID: exec.id, stdin: options.stdin, stdout: options.stdout, stderr: options.stderr))
        return session
    }

    /// The exec's process, with its user looked up in the container's files.
    private func prepare(_ exec: ExecProcess, _ start: ExecStartRequest) async throws(EngineError) -> ExecProcessRequest {
        let user = try await resolvedUser(exec.request.user.isEmpty ? document.config.user : exec.request.user)
        let (document, id, services, paths) = (document, id, services, paths)
        // What loads a profile waits for a program.
        let process = try await BlockingWork.run(.programs) { () throws(EngineError) in
            let base = try Bundle.specificationRequest(id: id, document: document, user: user, services: services, paths: paths)
            let process = try Specification.execProcess(exec.request, in: base, user: user, size: start.consoleSize)
            try AppArmorProfile.prepare(for: process, services.facts)
            return process
        }
        var request = ExecProcessRequest()
        request.id = id.text
        request.execID = exec.id
        request.stdio = StdioPaths(terminal: exec.request.tty)
        request.spec = ProtobufAny(
            wrapping: ApusExec(processJSON: process.encode(), openStdin: exec.request.attachStdin && !start.detach))
        return request
    }

    /// Who a user's word means in the container's own files, with the groups that the container adds.
    func resolvedUser(_ word: String) async throws(EngineError) -> UserConfiguration {
        let mounts: [SnapshotMount]
        do throws(ImageError) { mounts = try await services.images.rootMounts(of: id) } catch { throw EngineError(error) }
        let groups = document.hostConfig.groupAdd
        return try await BlockingWork.run { () throws(EngineError) in
            try Bundle.accounts(try LayeredTree(mounts: mounts)).resolve(word, additional: groups)
        }
    }

    /// Follows an exec to its end. The task belongs to the container and ends with the exec's process, or with the connection.
    func watch(_ execID: String, _ task: RunningTask) {
        Task(executorPreference: TaskThreads.daemon) { await self.follow(execID, task) }
    }

    private func follow(_ execID: String, _ task: RunningTask) async {
        do throws(ShimError) {
            let notice = try await task.shim.waitForExit(execID: execID)
            failpoint(.execEnded)
            await ended(execID, exitCode: Int(notice.exitStatus))
            failpoint(.execEndRecorded)
            try await task.shim.delete(execID: execID)
            failpoint(.execDeleted)
        } catch {
            // The container's own end takes its execs along. One that a killed shim was about to begin is another's no more.
            logger.debug("exec \(execID): \(error)")
            if error.isNotFound && state.runningTask != nil { await ended(execID, exitCode: Self.lostExitCode) }
        }
    }

    /// Notes an exec's end: first for those who ask now, then for the next daemon.
    func ended(_ execID: String, exitCode: Int) async {
        switch execs[execID]?.state {
        // As docker: what was never there does not die.
        case .created, .starting: execs[execID]?.state = .ended(exitCode: exitCode)
        case .running:
            execs[execID]?.state = .ended(exitCode: exitCode)
            tell("exec_die", ["execID": execID, "exitCode": "\(exitCode)"])
        // The container's own end came first, and took the record along.
        case .ended, nil: return
        }
        guard state.runningTask != nil, !takesExecEnds, let exec = execs[execID] else { return }
        do throws(EngineError) { try await writeRecord(of: exec) } catch { logger.error("\(error)") }
    }

    /// How long the container's end waits for those of its execs to be taken over.
    private static let execEndPatience = Duration.seconds(1)

    /// The shim tells of an exec's end before it tells of the container's, but here each is followed by a task of its own: what ended by itself has not
    /// been killed with the container.
    func execEndsTaken() async {
        takesExecEnds = true
        defer { takesExecEnds = false }
        let deadline = ContinuousClock.now + Self.execEndPatience
        for exec in execs.values {
            if case .running = exec.state { _ = await exec.end.value(within: max(.zero, deadline - .now)) }
        }
    }

    /// A restart keeps the bundle, but nothing that ran in the container before.
    func forgetExecs() async {
        endExecs()
        let directory = paths.execs
        do throws(EngineError) {
            try await BlockingWork.run { () throws(EngineError) in try ExecRecordFiles.removeAll(in: directory) }
        } catch { logger.error("\(error)") }
    }

    /// Every exec ends with the container.
    func endExecs() {
        for (id, exec) in execs {
            switch exec.state {
            case .ended: continue
            case .created, .starting: execs[id]?.state = .ended(exitCode: 137)
            case .running:
                execs[id]?.state = .ended(exitCode: 137)
                tell("exec_die", ["execID": id, "exitCode": "137"])
            }
        }
    }
}

/// Why an exec did not start.
struct ExecProblem: Error, Sendable {
    /// Exit code where the runtime says no better one.
    static let notStartedExitCode = 126

    let exitCode: Int
    let engineError: EngineError
    /// Whether the runtime said it, about the program.
    let isOfProgram: Bool

    init(_ failure: StartFailure) {
        exitCode = failure.exitCode == StartFailure.unknownExitCode ? Self.notStartedExitCode : failure.exitCode
        engineError = failure.error
        isOfProgram = true
    }

    init(_ error: EngineError, exitCode: Int = notStartedExitCode) {
        self.exitCode = exitCode
        engineError = error
        isOfProgram = false
    }
}
