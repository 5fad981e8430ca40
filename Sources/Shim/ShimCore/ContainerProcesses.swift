internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// Starting the container's processes, and signals to them.
extension ContainerTask {
    /// Execs known at once, ended ones that were not deleted included.
    static let maximumExecCount = 1024
    /// Bytes of process documents that wait for their Start.
    static let maximumSpecificationByteCount = 16 << 20
    private static let execIDByteCount = 255
    private static let highestSignal: UInt32 = 64

    /// Runs the first process's program.
    func start(_ completion: @escaping (Result<Int32, ShimError>) -> Void) {
        if case .noted = first.state, !isDeleting { return restore(completion) }
        guard case .created(let pid) = first.state, first.heldExit == nil, !isDeleting else {
            return completion(.failure(wrongState("start", first)))
        }
        first.state = .starting(pid: pid)
        // Taken before: a short program has ended by the time that the runtime says it began.
        let beginning = ProtobufTimestamp(unixNanoseconds: unixNanoseconds())
        firstStartedAt = monotonicNanoseconds()
        first.startedMonotonic = firstStartedAt
        runner.run(.start) { [self] failure in
            if let failure {
                first.state = .created(pid: pid)
                completion(.failure(failure))
            } else {
                runs(pid, since: beginning)
                completion(.success(pid))
            }
            checkLimits()
            settleHeldExit(first)
        }
    }

    /// The first process's program runs.
    func runs(_ pid: Int32, since beginning: ProtobufTimestamp) {
        first.state = .running(pid: pid)
        first.startedAt = beginning
        context.publish(.start(TaskProcessEvent(containerID: id, pid: UInt32(bitPattern: pid))))
        var change = LifeChange(.started)
        change.pid = UInt32(bitPattern: pid)
        change.at = beginning
        change.restartCount = restarts.count
        journal.note(change)
        health?.begin()
    }

    // MARK: - Execs

    /// Notes an exec; Start runs it.
    func add(_ exec: ExecProcessRequest) throws(ShimError) {
        guard !exec.execID.isEmpty, exec.execID.utf8.count <= Self.execIDByteCount, !exec.execID.contains("/") else {
            throw ShimError(.invalidRequest, "exec id \"\(exec.execID)\"")
        }
        guard !execs.contains(where: { $0.execID == exec.execID }) else { throw ShimError(.alreadyExists, "exec \(exec.execID) of \(id)") }
        guard execs.count < Self.maximumExecCount else {
            throw ShimError(.limitReached, "more than \(Self.maximumExecCount) execs of \(id)")
        }
        try checkThatExecsRun()
        guard let spec = exec.spec else { throw ShimError(.invalidRequest, "exec \(exec.execID)", cause: "no process document") }
        try Self.check(exec.stdio)
        let own: ApusExec?
        do throws(WireError) { own = try spec.unwrap(ApusExec.self) } catch { throw ShimError("exec \(exec.execID)", error) }
        let document = own?.processJSON ?? spec.value
        guard execs.reduce(document.count, { $0 + $1.specificationByteCount }) <= Self.maximumSpecificationByteCount else {
            throw ShimError(.limitReached, "exec \(exec.execID)", cause: "too many long process documents wait for their start")
        }
        let plan: ProcessStdio.Plan = own.map { .attach(openStdin: $0.openStdin, log: nil) } ?? .files(outlived: true)
        execs.append(
            SupervisedProcess(
                execID: exec.execID, stdio: ProcessStdio(exec.stdio, plan, context), specification: document, stdinOnce: true,
                state: .noted))
        context.publish(.execAdded(TaskProcessEvent(containerID: id, execID: exec.execID)))
    }

    /// Runs an exec's program.
    func start(_ exec: SupervisedProcess, _ completion: @escaping (Result<Int32, ShimError>) -> Void) {
        let processFile = runner.scratchPath("process")
        do throws(ShimError) {
            guard case .noted = exec.state else { throw wrongState("start", exec) }
            try checkThatExecsRun()
            do throws(SyscallError) { try writeAll(exec.takeSpecification(), toFile: FilePath(processFile)) } catch {
                exec.abandon(ShimError("process document", error))
                throw ShimError("process document", error)
            }
        } catch { return completion(.failure(error)) }
        exec.state = .starting(pid: nil)
        let beginning = ProtobufTimestamp(unixNanoseconds: unixNanoseconds())
        let verb = { RuntimeVerb.exec(processFile: processFile, pidFile: $0, consoleSocket: $1) }
        let check = { [self] () throws(ShimError) in try checkThatExecsRun() }
        launcher.launch(exec, verb: verb, check: check, ended: { [self] in ended(exec, $0) }) { [self] result in
            runner.removeScratch(processFile)
            if case .success(let pid) = result {
                exec.state = .running(pid: pid)
                exec.startedAt = beginning
                keep(exec, pid: pid)
                saveLife()
                context.publish(
                    .execStarted(TaskProcessEvent(containerID: id, execID: exec.execID, pid: UInt32(bitPattern: pid))))
            }
            completion(result)
            settleHeldExit(exec)
        }
    }

    private func checkThatExecsRun() throws(ShimError) {
        guard case .running = first.state, first.heldExit == nil, !isDeleting else { throw wrongState("exec in", first) }
        if try isPaused() { throw ShimError(.wrongState, "exec in \(id)", cause: "it is paused") }
    }

    // MARK: - Signals

    /// Sends a signal to a process, or by way of the runtime to all of the container.
    func kill(_ process: SupervisedProcess, signal: UInt32, all: Bool, _ completion: @escaping (ShimError?) -> Void) {
        guard signal <= Self.highestSignal else { return completion(ShimError(.invalidRequest, "signal \(signal)")) }
        guard let pid = process.livePID else { return completion(notKillable(process)) }
        // What is paused cannot die before it goes on.
        let settle = { [self] (failure: ShimError?) in completion(failure ?? (signal == Self.sigkill ? thaw() : nil)) }
        if all && process === first { return runner.run(.kill(signal: signal, all: true), settle) }
        do throws(SyscallError) {
            try process.signal(Int32(signal), pid: pid)
            settle(nil)
        } catch { completion(ShimError("kill \(name(process))", error)) }
    }

    private func notKillable(_ process: SupervisedProcess) -> ShimError {
        switch process.state {
        case .noted, .creating, .starting(nil): wrongState("kill", process)
        case .created, .starting, .running, .stopped, .failed:
            ShimError(.notFound, "kill \(name(process))", cause: "process already finished")
        }
    }
}
