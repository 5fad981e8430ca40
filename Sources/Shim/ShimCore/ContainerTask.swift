internal import Cgroups
internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// The container: its first process, its execs, and the runtime that makes them.
final class ContainerTask {
    /// Execs known at once, ended ones that were not deleted included.
    static let maximumExecCount = 1024
    /// How long output is copied after a process ended while descendants hold its streams open.
    static let outputGrace = Duration.seconds(2)

    let id: String
    let bundle: String
    let options: TaskOptions
    let first: SupervisedProcess
    private(set) var execs: [SupervisedProcess] = []
    private(set) var cgroup: Cgroup?
    private let context: ShimContext
    private let runner: RuntimeRunner
    private let request: CreateTaskRequest
    private let disk: DiskThread?
    private var outOfMemory: OutOfMemoryWatch?
    private var sharesPIDNamespace = false
    private var isDeleting = false

    /// Checks the request and prepares; `create` does the rest.
    init(_ request: CreateTaskRequest, context: ShimContext) throws(ShimError) {
        guard request.id == context.configuration.id else {
            throw ShimError(.invalidRequest, "create \(request.id)", cause: "this shim is \(context.configuration.id)'s")
        }
        guard request.bundle.hasPrefix("/") else {
            throw ShimError(.invalidRequest, "bundle \(request.bundle)", cause: "not an absolute path")
        }
        guard request.checkpoint.isEmpty && request.parentCheckpoint.isEmpty else {
            throw ShimError(.unsupported, "create from a checkpoint")
        }
        try Self.check(request.stdio)
        self.context = context
        self.request = request
        id = request.id
        bundle = request.bundle
        options = try TaskOptions(request.options, namespace: context.configuration.namespace)
        let directory = context.configuration.directory
        let command = RuntimeCommand(
            executable: try RuntimeLocator.find(options.runtime, configuration: context.configuration),
            root: options.runtimeRoot.isEmpty ? "\(directory)/runtime" : options.runtimeRoot,
            systemdCgroup: options.systemdCgroup, containerID: request.id)
        runner = RuntimeRunner(
            command, environment: context.configuration.environment, workDirectory: directory, loop: context.loop,
            reaper: context.reaper)
        let needsDisk = options.log != nil || !options.exitRecordPath.isEmpty
        disk = needsDisk ? try context.diskThread() : nil
        let plan: ProcessStdio.Plan =
            options.usesAttach
            ? .attach(openStdin: options.openStdin, log: options.log == nil ? nil : disk.map { LogSink($0) })
            : .files(request.stdio)
        first = SupervisedProcess(
            execID: "", stdioPaths: request.stdio, plan: plan, stdinOnce: options.stdinOnce, state: .creating)
    }

    var droppedLogByteCount: UInt64 { disk?.droppedByteCount ?? 0 }

    /// The process of an exec id, the first one for none.
    func process(_ execID: String) throws(ShimError) -> SupervisedProcess {
        if execID.isEmpty { return first }
        guard let exec = execs.first(where: { $0.execID == execID }) else { throw ShimError(.notFound, "exec \(execID) of \(id)") }
        return exec
    }

    static func check(_ stdio: StdioPaths) throws(ShimError) {
        for path in [stdio.stdin, stdio.stdout, stdio.stderr] where !path.isEmpty && !path.hasPrefix("/") {
            throw ShimError(.unsupported, "stdio \(path)", cause: "only paths of FIFOs are served")
        }
    }

    // MARK: - Create

    /// Mounts, opens the log, and has the runtime create the container; `completion` gets the first process's pid.
    func create(_ completion: @escaping (Result<Int32, ShimError>) -> Void) {
        openLog { [self] failure in
            if let failure { return completion(.failure(failure)) }
            do throws(ShimError) {
                try RootMounts.mount(request.rootfs, bundle: bundle)
                try launch(first, verb: createVerb) { [self] result in created(result, completion) }
            } catch { completion(.failure(undoingMounts(error))) }
        }
    }

    private func openLog(_ completion: @escaping (ShimError?) -> Void) {
        guard let disk, let log = options.log else { return completion(nil) }
        disk.submit(.openLog(log)) { problem in
            completion(problem.map { ShimError(.kernel, "log \(log.path)", cause: $0) })
        }
    }

    private func createVerb(_ pidFile: String, _ consoleSocket: String?) -> RuntimeVerb {
        .create(
            bundle: bundle, pidFile: pidFile, consoleSocket: consoleSocket, noPivotRoot: options.noPivotRoot,
            noNewKeyring: options.noNewKeyring)
    }

    private func created(_ result: Result<Int32, ShimError>, _ completion: @escaping (Result<Int32, ShimError>) -> Void) {
        switch result {
        case .failure(let error):
            // A runtime that was killed, or whose answer could not be used, may have left something.
            runner.run(.delete(force: true)) { [self] _ in completion(.failure(undoingMounts(error))) }
        case .success(let pid):
            first.state = .created(pid: pid)
            watchMemory(of: pid)
            sharesPIDNamespace = (try? readSymbolicLink("/proc/self/ns/pid")) == (try? readSymbolicLink(FilePath("/proc/\(pid)/ns/pid")))
            do throws(ShimError) { try writeRecord(pid: pid) } catch { context.report("\(error)") }
            var event = TaskCreateEvent()
            event.containerID = id
            event.bundle = bundle
            event.rootfs = request.rootfs
            event.stdio = request.stdio
            event.pid = UInt32(bitPattern: pid)
            context.publish(.create(event))
            completion(.success(pid))
            settleHeldExit(first)
        }
    }

    private func undoingMounts(_ error: ShimError) -> ShimError {
        guard let problem = RootMounts.unmount(request.rootfs, bundle: bundle) else { return error }
        return ShimError(error.code, error.doing, cause: "\(error.cause); and \(problem)")
    }

    private func watchMemory(of pid: Int32) {
        do throws(ShimError) {
            cgroup = try ownCgroup(of: pid)
            outOfMemory = try cgroup.map { cgroup throws(ShimError) in
                try OutOfMemoryWatch(cgroup, loop: context.loop) { [unowned self] in
                    context.publish(.outOfMemory(containerID: id))
                }
            }
        } catch { context.report("\(error)") }
    }

    /// nil where the runtime made no group for the container: what is counted in ours is not the container's.
    private func ownCgroup(of pid: Int32) throws(ShimError) -> Cgroup? {
        do throws(CgroupError) {
            let found = try Cgroup(ofProcess: pid)
            return try found.record == Cgroup(ofProcess: processID()).record ? nil : found
        } catch { throw ShimError(.kernel, "cgroup of \(id)", cause: "\(error)") }
    }

    private func writeRecord(pid: Int32) throws(ShimError) {
        var record = ShimRecord()
        record.namespace = context.configuration.namespace
        record.id = id
        record.bundle = bundle
        record.options = request.options
        record.pid = UInt32(bitPattern: pid)
        do throws(SyscallError) {
            // /run is memory: whole or not at all is what counts here, and a rename gives that.
            let path = context.configuration.layout.optionsPath
            try writeAll(record.encoded(), toFile: FilePath("\(path).new"))
            try renameFile(FilePath("\(path).new"), to: FilePath(path))
        } catch { throw ShimError("record of the shim", error) }
    }

    // MARK: - Launching

    /// Has the runtime make a process, and follows it from then on.
    private func launch(
        _ process: SupervisedProcess, verb: (_ pidFile: String, _ consoleSocket: String?) -> RuntimeVerb,
        _ completion: @escaping (Result<Int32, ShimError>) -> Void
    ) throws(ShimError) {
        let pidFile = runner.scratchPath("pid")
        var ends: PayloadEnds?
        var console: ConsoleSocket?
        if process.stdioPaths.terminal {
            do throws(SyscallError) { console = try ConsoleSocket(runner.scratchPath("console")) } catch {
                throw ShimError("console socket", error)
            }
            process.stdio = ProcessStdio.prepareTerminal(process.plan, loop: context.loop)
        } else {
            let (stdio, payloadEnds) = try ProcessStdio.prepare(process.plan, loop: context.loop)
            process.stdio = stdio
            ends = payloadEnds
        }
        process.connectAttachments()
        context.reaper.announce()
        runner.run(verb(pidFile, console?.path), ends: ends) { [self, console] failure in
            defer { context.reaper.announcementOver() }
            do throws(ShimError) {
                if let failure { throw failure }
                let pid = try runner.takePID(pidFile)
                context.reaper.whenEnded(pid) { [weak self, weak process] in
                    if let process { self?.ended(process, $0) }
                }
                if let console { try process.stdio?.begin(master: console.takeMaster()) }
                if console != nil { process.connectAttachments() }
                completion(.success(pid))
            } catch {
                runner.removeScratch(pidFile)
                process.stdio?.processEnded()
                process.stdio?.finishWithWhatIsThere()
                process.abandon(error)
                completion(.failure(error))
            }
        }
    }

    // MARK: - Start

    /// Runs the first process's program.
    func start(_ completion: @escaping (Result<Int32, ShimError>) -> Void) {
        guard case .created(let pid) = first.state, first.heldExit == nil, !isDeleting else {
            return completion(.failure(wrongState("start", first)))
        }
        first.state = .starting(pid: pid)
        // Taken before: a short program has ended by the time that the runtime says it began.
        let beginning = ProtobufTimestamp(unixNanoseconds: unixNanoseconds())
        runner.run(.start) { [self] failure in
            if let failure {
                first.state = .created(pid: pid)
                completion(.failure(failure))
            } else {
                first.state = .running(pid: pid)
                first.startedAt = beginning
                context.publish(.start(TaskProcessEvent(containerID: id, pid: UInt32(bitPattern: pid))))
                completion(.success(pid))
            }
            settleHeldExit(first)
        }
    }

    /// Notes an exec; Start runs it.
    func add(_ exec: ExecProcessRequest) throws(ShimError) {
        guard !exec.execID.isEmpty, !exec.execID.contains("/") else { throw ShimError(.invalidRequest, "exec id \"\(exec.execID)\"") }
        guard !execs.contains(where: { $0.execID == exec.execID }) else { throw ShimError(.alreadyExists, "exec \(exec.execID) of \(id)") }
        guard execs.count < Self.maximumExecCount else {
            throw ShimError(.limitReached, "more than \(Self.maximumExecCount) execs of \(id)")
        }
        guard case .running = first.state else { throw wrongState("exec in", first) }
        guard let spec = exec.spec else { throw ShimError(.invalidRequest, "exec \(exec.execID)", cause: "no process document") }
        try Self.check(exec.stdio)
        do throws(WireError) {
            let own = try spec.unwrap(ApusExec.self)
            execs.append(
                SupervisedProcess(
                    execID: exec.execID, stdioPaths: exec.stdio, specification: own?.processJSON ?? spec.value,
                    plan: own.map { .attach(openStdin: $0.openStdin, log: nil) } ?? .files(exec.stdio), stdinOnce: true,
                    state: .noted))
        } catch { throw ShimError("exec \(exec.execID)", error) }
        context.publish(.execAdded(TaskProcessEvent(containerID: id, execID: exec.execID)))
    }

    /// Runs an exec's program.
    func start(_ exec: SupervisedProcess, _ completion: @escaping (Result<Int32, ShimError>) -> Void) {
        guard case .noted = exec.state else { return completion(.failure(wrongState("start", exec))) }
        guard case .running = first.state, first.heldExit == nil else { return completion(.failure(wrongState("exec in", first))) }
        exec.state = .starting(pid: nil)
        let processFile = runner.scratchPath("process")
        do throws(ShimError) {
            do throws(SyscallError) { try writeAll(exec.specification, toFile: FilePath(processFile)) } catch {
                throw ShimError("process document", error)
            }
            let verb = { RuntimeVerb.exec(processFile: processFile, pidFile: $0, consoleSocket: $1) }
            let beginning = ProtobufTimestamp(unixNanoseconds: unixNanoseconds())
            try launch(exec, verb: verb) { [self] result in
                runner.removeScratch(processFile)
                if case .success(let pid) = result {
                    exec.state = .running(pid: pid)
                    exec.startedAt = beginning
                    context.publish(
                        .execStarted(TaskProcessEvent(containerID: id, execID: exec.execID, pid: UInt32(bitPattern: pid))))
                }
                completion(result)
                settleHeldExit(exec)
            }
        } catch {
            runner.removeScratch(processFile)
            exec.abandon(error)
            completion(.failure(error))
        }
    }

    // MARK: - The end of a process

    /// A process was reaped: what it wrote is copied, its end recorded, and only then told.
    private func ended(_ process: SupervisedProcess, _ reaped: ReapedExit) {
        process.heldExit = reaped
        process.stdio?.processEnded()
        if process === first {
            outOfMemory?.check()
            if sharesPIDNamespace { runner.run(.kill(signal: 9, all: true)) { _ in } }
        }
        settleHeldExit(process)
    }

    /// Goes on with a held exit, unless the runtime is still at work on the process: its start is told first.
    private func settleHeldExit(_ process: SupervisedProcess) {
        guard let reaped = process.heldExit else { return }
        let pid: Int32
        switch process.state {
        case .created(let known), .running(let known): pid = known
        case .starting, .creating: return
        case .noted, .stopped, .failed: return
        }
        let notice = exitNotice(reaped, pid: pid, process: process)
        var isTold = false
        let tell = { [self] in
            if isTold { return }
            isTold = true
            record(notice, of: process, reaped)
        }
        guard let stdio = process.stdio else { return tell() }
        stdio.whenEnded(tell)
        context.loop.after(Self.outputGrace) {
            stdio.finishWithWhatIsThere()
            tell()
        }
    }

    private func exitNotice(_ reaped: ReapedExit, pid: Int32, process: SupervisedProcess) -> ExitNotice {
        var notice = ExitNotice()
        notice.pid = UInt32(bitPattern: pid)
        notice.exitStatus = UInt32(bitPattern: reaped.exit.shellStatus)
        if case .signalled(let signal) = reaped.exit { notice.signal = UInt32(bitPattern: signal) }
        notice.exitedAt = ProtobufTimestamp(unixNanoseconds: reaped.unixNanoseconds)
        notice.oomKilled = process === first && outOfMemory?.hasSeenKill == true
        return notice
    }

    private func record(_ notice: ExitNotice, of process: SupervisedProcess, _ reaped: ReapedExit) {
        guard process === first, let disk else { return tell(notice, of: process) }
        let record = ExitRecord(
            id: id, pid: notice.pid, exitCode: notice.exitStatus, signal: notice.signal,
            startedAtUnixNanoseconds: process.startedAt?.unixNanoseconds ?? 0,
            exitedAtUnixNanoseconds: reaped.unixNanoseconds, oomKilled: notice.oomKilled)
        let path = options.exitRecordPath
        disk.submit(path.isEmpty ? .nothing : .writeDurably(record.encoded(), path: path)) { [self] problem in
            // A full disk must not keep the end a secret as well.
            if let problem { context.report("exit record \(path): \(problem)") }
            tell(notice, of: process)
        }
    }

    private func tell(_ notice: ExitNotice, of process: SupervisedProcess) {
        process.heldExit = nil
        process.announce(notice)
        context.publish(
            .exit(
                TaskExitEvent(
                    containerID: id, processID: process.execID.isEmpty ? id : process.execID, pid: notice.pid,
                    exitStatus: notice.exitStatus, exitedAt: notice.exitedAt)))
    }

    // MARK: - Signals and deletion

    /// Sends a signal to a process, or by way of the runtime to all of the container.
    func kill(_ process: SupervisedProcess, signal: UInt32, all: Bool, _ completion: @escaping (ShimError?) -> Void) {
        guard signal <= 64 else { return completion(ShimError(.invalidRequest, "signal \(signal)")) }
        guard let pid = process.livePID else {
            return completion(ShimError(.notFound, "kill \(name(process))", cause: "process already finished"))
        }
        if all && process === first { return runner.run(.kill(signal: signal, all: true), completion) }
        do throws(SyscallError) {
            // It is our child and not reaped: the number cannot have become another process's.
            try sendSignal(Int32(signal), toProcess: pid)
            completion(nil)
        } catch { completion(ShimError("kill \(name(process))", error)) }
    }

    /// Takes away what an ended exec, or one that never ran, leaves.
    func delete(_ exec: SupervisedProcess) throws(ShimError) -> DeleteResponse {
        switch exec.state {
        case .noted: exec.abandon(ShimError(.wrongState, "exec \(exec.execID)", cause: "deleted before it ran"))
        case .stopped, .failed: break
        case .creating, .created, .starting, .running: throw wrongState("delete", exec)
        }
        execs.removeAll { $0 === exec }
        return response(exec)
    }

    /// Takes the whole container away: the runtime's state, the root mounts.
    func delete(_ completion: @escaping (Result<DeleteResponse, ShimError>) -> Void) {
        guard !isDeleting else { return completion(.failure(ShimError(.wrongState, "delete \(id)", cause: "under way"))) }
        switch first.state {
        case .stopped, .failed: break
        case .created where first.heldExit == nil: break
        case .noted, .creating, .created, .starting, .running: return completion(.failure(wrongState("delete", first)))
        }
        isDeleting = true
        var isUnstarted = false
        if case .created = first.state { isUnstarted = true }
        runner.run(.delete(force: isUnstarted)) { [self] failure in
            isDeleting = false
            if let failure, !failure.cause.contains("does not exist") { return completion(.failure(failure)) }
            if isUnstarted && first.exit == nil {
                // Its end is on its way to us, and told before the deletion.
                first.onStopped = { [self] in finishDeletion(completion) }
                return
            }
            finishDeletion(completion)
        }
    }

    private func finishDeletion(_ completion: (Result<DeleteResponse, ShimError>) -> Void) {
        if let problem = RootMounts.unmount(request.rootfs, bundle: bundle) {
            return completion(.failure(ShimError(.kernel, "unmount", cause: problem)))
        }
        outOfMemory?.cancel()
        outOfMemory = nil
        let answer = response(first)
        context.publish(
            .delete(
                TaskExitEvent(
                    containerID: id, processID: id, pid: answer.pid, exitStatus: answer.exitStatus, exitedAt: answer.exitedAt)))
        completion(.success(answer))
    }

    /// Answers when all output read so far is in the log.
    func synchronizeLog(_ completion: @escaping () -> Void) {
        guard let disk else { return completion() }
        disk.submit(.nothing) { _ in completion() }
    }

    private func response(_ process: SupervisedProcess) -> DeleteResponse {
        DeleteResponse(
            pid: UInt32(bitPattern: process.pid), exitStatus: process.exit?.exitStatus ?? 0, exitedAt: process.exit?.exitedAt)
    }

    private func name(_ process: SupervisedProcess) -> String { process.execID.isEmpty ? id : "exec \(process.execID) of \(id)" }

    private func wrongState(_ doing: String, _ process: SupervisedProcess) -> ShimError {
        ShimError(.wrongState, "\(doing) \(name(process))", cause: "it is \(process.stateName)")
    }
}
