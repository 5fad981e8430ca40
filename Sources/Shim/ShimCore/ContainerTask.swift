internal import Cgroups
internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// The container: its first process, its execs, and the runtime that makes them. Begun by Create; its other chapters are in
/// ContainerProcesses.swift, ContainerControl.swift, ContainerEnding.swift, ContainerRestart.swift and ContainerResumption.swift.
final class ContainerTask {
    private static let pathByteCount = 4096

    private static let statusByteCount = 65_536
    private static let longestRetrySeconds = 64

    let id: String
    let bundle: String
    /// With a directory of its own where the shim serves several.
    let configuration: ShimConfiguration
    let options: TaskOptions
    /// Of this run: each restart has another one.
    var first: SupervisedProcess
    /// When it was started, on the clock that nobody sets.
    var firstStartedAt: Int64 = 0
    let journal: LifeJournal
    var restarts: RestartPlan
    var restart = RestartState.none
    private(set) var health: HealthMonitor?
    /// Who waits to know whether a restart came to run.
    var restartWaiters: [() -> Void] = []
    let context: ShimContext
    let launcher: ProcessLauncher
    let request: CreateTaskRequest
    let disk: DiskThread?
    var execs: [SupervisedProcess] = []
    private(set) lazy var orphans = UnreapedOrphans(context.loop)
    /// nil where the runtime made none for the container.
    private(set) var cgroup: Cgroup?
    var outOfMemory: OutOfMemoryWatch?
    var processLimit: ProcessLimitWatch?
    /// What the killed shim had told that began this run; nil where this one did.
    private(set) var formerCounts: ToldCounts?
    /// The first process's end does not end the others.
    private(set) var sharesPIDNamespace = false
    var isDeleting = false
    /// Why the last look at the container failed, which was told; nil where it did not.
    private var lookProblem: String?

    var runner: RuntimeRunner { launcher.runner }

    /// Checks the request and prepares; `create` does the rest.
    init(_ request: CreateTaskRequest, context: ShimContext) throws(ShimError) {
        guard request.id == context.configuration.id || context.configuration.isOfGroup else {
            throw ShimError(.invalidRequest, "create \(request.id)", cause: "this shim is \(context.configuration.id)'s")
        }
        try ShimInvocation.check(id: request.id)
        try Self.check(directory: request.bundle, "bundle")
        // Images name those that they are built on themselves.
        guard request.parentCheckpoint.isEmpty else { throw ShimError(.unsupported, "parent_checkpoint \(request.parentCheckpoint)") }
        if !request.checkpoint.isEmpty { try Self.check(directory: request.checkpoint, "checkpoint") }
        try Self.check(request.stdio)
        self.context = context
        self.request = request
        id = request.id
        bundle = request.bundle
        configuration = context.configuration.ofTask(request.id)
        options = try TaskOptions(request.options, namespace: configuration.namespace)
        let runner = RuntimeRunner(
            try RuntimeCommand(options, configuration: configuration), environment: configuration.environment + options.runtimeEnvironment,
            workDirectory: configuration.directory, loop: context.loop, reaper: context.reaper)
        launcher = ProcessLauncher(runner: runner, loop: context.loop, reaper: context.reaper)
        let needsDisk = options.log != nil || !options.exitRecordPath.isEmpty
        disk = needsDisk ? try context.diskThread() : nil
        restarts = RestartPlan(options.restartRule)
        journal = LifeJournal(after: options.changesAfter)
        first = Self.makeFirst(request, options, disk: disk, context)
        health = try options.healthCheck.map { check throws(ShimError) in try HealthMonitor(check, task: self) }
        journal.onNote = { [unowned self] in saveLife() }
    }

    private static func makeFirst(
        _ request: CreateTaskRequest, _ options: TaskOptions, disk: DiskThread?, _ context: ShimContext
    ) -> SupervisedProcess {
        let plan: ProcessStdio.Plan =
            options.usesAttach ? .attach(openStdin: options.openStdin, log: options.log == nil ? nil : disk) : .files(outlived: false)
        return SupervisedProcess(
            execID: "", stdio: ProcessStdio(request.stdio, plan, context), stdinOnce: options.stdinOnce, state: .creating)
    }

    /// The first process of another run, with streams of its own.
    func makeFirst() -> SupervisedProcess { Self.makeFirst(request, options, disk: disk, context) }

    /// The process of an exec id, the first one for none.
    func process(_ execID: String) throws(ShimError) -> SupervisedProcess {
        if execID.isEmpty { return first }
        guard let exec = execs.first(where: { $0.execID == execID }) else { throw ShimError(.notFound, "exec \(execID) of \(id)") }
        return exec
    }

    static func check(directory path: String, _ name: String) throws(ShimError) {
        guard path.hasPrefix("/"), path.utf8.count <= pathByteCount else {
            throw ShimError(.invalidRequest, "\(name) \(path.prefix(pathByteCount))", cause: "not an absolute path")
        }
    }

    static func check(_ stdio: StdioPaths) throws(ShimError) {
        for path in [stdio.stdin, stdio.stdout, stdio.stderr] where path.utf8.count > pathByteCount {
            throw ShimError(.invalidRequest, "stdio", cause: "a path too long")
        }
        if !stdio.stdin.isEmpty && !stdio.stdin.hasPrefix("/") {
            throw ShimError(.unsupported, "stdin \(stdio.stdin)", cause: "input is read from FIFOs alone")
        }
        switch try OutputTarget(stdio.stdout) {
        // They have both streams, whatever is said of the other one.
        case .file, .program: break
        case .nowhere, .fifo:
            switch try OutputTarget(stdio.stderr) {
            case .nowhere, .fifo: break
            case .file, .program:
                throw ShimError(.unsupported, "stderr \(stdio.stderr)", cause: "files and programs have both streams or none")
            }
        }
    }

    func name(_ process: SupervisedProcess) -> String { process.execID.isEmpty ? id : "exec \(process.execID) of \(id)" }

    func wrongState(_ doing: String, _ process: SupervisedProcess) -> ShimError {
        ShimError(.wrongState, "\(doing) \(name(process))", cause: "it is \(process.stateName)")
    }

    /// Answers when all output read so far is in the log.
    func synchronizeLog(_ completion: @escaping () -> Void) {
        guard let disk else { return completion() }
        disk.submit(.nothing) { _ in completion() }
    }

    /// Removes what was logged so far.
    func clearLog(_ completion: @escaping (ShimError?) -> Void) throws(ShimError) {
        guard let disk, let log = options.log else { throw ShimError(.wrongState, "clear the log of \(id)", cause: "it has none") }
        disk.submit(.clearLog) { problem in completion(problem.map { ShimError(.kernel, "clear the log \(log.path)", cause: $0) }) }
    }

    // MARK: - Create

    /// Mounts, opens the log, and has the runtime create the container; `completion` gets the first process's pid.
    func create(_ completion: @escaping (Result<Int32, ShimError>) -> Void) {
        let fail = { [self] (error: ShimError) in
            first.abandon(error)
            completion(.failure(error))
        }
        openLog { [self] failure in
            if let failure { return fail(failure) }
            do throws(ShimError) {
                // Before anything is made: whoever cleans up after a killed shim knows what to look for.
                try writeRecord(pid: 0)
                try RootMounts.mount(request.rootfs, bundle: bundle)
            } catch { return fail(error) }
            if !request.checkpoint.isEmpty {
                // Its processes run as soon as they are there: Start restores them.
                first.state = .noted
                tellCreation(pid: 0)
                return completion(.success(0))
            }
            launchFirst { [self] result in
                switch result {
                case .success: completion(result)
                case .failure(let error):
                    // A runtime that was killed, or whose answer could not be used, may have left something.
                    runner.run(.delete(force: true)) { [self] _ in fail(undoingMounts(error)) }
                }
            }
        }
    }

    /// Has the runtime create the container, up to its first instruction.
    func launchFirst(_ completion: @escaping (Result<Int32, ShimError>) -> Void) {
        let process = first
        launcher.launch(process, verb: createVerb, ended: { [self] in ended(process, $0) }) { [self] result in
            if case .success(let pid) = result { created(pid) }
            completion(result)
            settleHeldExit(process)
        }
    }

    /// Begins the log, if there is one.
    private func openLog(_ completion: @escaping (ShimError?) -> Void) {
        do throws(ShimError) { try openLog(isNew: true, completion) } catch { completion(error) }
    }

    /// Opens the log, if there is one.
    /// - Parameter isNew: refuses where it cannot be opened, which is told and tried again else.
    func openLog(isNew: Bool, _ completion: @escaping (ShimError?) -> Void) throws(ShimError) {
        guard let disk, let log = options.log else { return completion(nil) }
        if log.delivery.compresses { context.pack(log, of: disk) }
        do throws(SyscallError) {
            try disk.openLog(log, configuration.layout, isNew: isNew) { problem in
                completion(problem.map { ShimError(.kernel, "log \(log.path)", cause: $0) })
            }
        } catch { throw ShimError("log \(log.path)", error) }
    }

    private func createVerb(_ pidFile: String, _ consoleSocket: String?) -> RuntimeVerb {
        .create(
            bundle: bundle, pidFile: pidFile, consoleSocket: consoleSocket, noPivotRoot: options.noPivotRoot,
            noNewKeyring: options.noNewKeyring)
    }

    private func created(_ pid: Int32) {
        first.state = .created(pid: pid)
        observe(pid)
        tellCreation(pid: pid)
    }

    /// Looks at the container that the runtime has made around its first process.
    func observe(_ pid: Int32) {
        look(at: pid)
        keep(first, pid: pid)
        // Without the pid the record still says what to delete.
        do throws(ShimError) { try writeRecord(pid: pid) } catch { context.report("\(error)") }
    }

    private func tellCreation(pid: Int32) {
        var event = TaskCreateEvent()
        event.containerID = id
        event.bundle = bundle
        event.rootfs = request.rootfs
        event.stdio = request.stdio
        event.checkpoint = request.checkpoint
        event.pid = UInt32(bitPattern: pid)
        context.publish(.create(event))
    }

    private func undoingMounts(_ error: ShimError) -> ShimError {
        guard let problem = RootMounts.unmount(request.rootfs, bundle: bundle) else { return error }
        return ShimError(error.code, error.doing, cause: "\(error.cause); and \(problem)")
    }

    /// Finds out what the runtime made for the first process.
    /// - Parameters:
    ///   - former: what a killed shim has told of this run; nil for a run that this one began.
    ///   - retrySeconds: after how long it is tried again where nothing could be found out.
    func look(at pid: Int32, former: ToldCounts? = nil, retrySeconds: Int = 1) {
        formerCounts = former
        sharesPIDNamespace = Self.leavesOthersBehind(pid)
        do throws(ShimError) {
            cgroup = try ownCgroup(of: pid)
            lookProblem = nil
            watchProcessLimit(of: pid, isLate: retrySeconds > 1)
            outOfMemory = cgroup.map { [unowned self] in
                OutOfMemoryWatch(
                    $0, knownCount: former?.kills ?? 0, context: context, isHeldBack: { [unowned self] in isStarting }
                ) { [unowned self] in
                    context.publish(.outOfMemory(containerID: id))
                    journal.note(LifeChange(.outOfMemory))
                }
            }
        } catch {
            if lookProblem != "\(error)" { context.report("\(error)") }
            lookProblem = "\(error)"
            // Whatever was missing for a look may be there later.
            context.loop.after(.seconds(retrySeconds)) { [weak self] in
                guard let self, first.livePID == pid, cgroup == nil else { return }
                look(at: pid, former: former, retrySeconds: min(retrySeconds * 2, Self.longestRetrySeconds))
            }
        }
    }

    /// Whether the runtime has not answered the start: what happens to a run is told after it. Hooks may keep the answer back for long.
    private var isStarting: Bool {
        if case .starting = first.state { true } else { false }
    }

    /// Tells what happened to the run while its start was not told.
    func checkLimits() {
        outOfMemory?.check()
        processLimit?.check()
    }

    /// Has refusals of processes be noted, as soon as they can be watched.
    /// - Parameter isLate: there may have been refusals since the run began.
    private func watchProcessLimit(of pid: Int32, isLate: Bool, retrySeconds: Int = 1) {
        do throws(SyscallError) {
            guard let cgroup else { return processLimit = nil }
            // All that its group counts is the run's own: nobody has told it, or the former shim did so of some.
            let knownCount: UInt64? = formerCounts.map(\.refusals) ?? (isLate ? 0 : nil)
            processLimit = try ProcessLimitWatch(
                cgroup.record, knownCount: knownCount, context: context, isHeldBack: { [unowned self] in isStarting }
            ) { [unowned self] in
                journal.note(LifeChange(.processLimit))
            }
            processLimit?.onGrowth = { [unowned self] in saveLife() }
        } catch {
            if retrySeconds == 1 { context.report("watch for refusals of processes: \(error)") }
            context.loop.after(.seconds(retrySeconds)) { [weak self] in
                guard let self, first.livePID == pid, processLimit == nil else { return }
                watchProcessLimit(of: pid, isLate: true, retrySeconds: min(retrySeconds * 2, Self.longestRetrySeconds))
            }
        }
    }

    /// Whether other processes of its pid namespace outlive this one: it is not the first one there, but in the host's or in a pod's.
    private static func leavesOthersBehind(_ pid: Int32) -> Bool {
        guard let status = try? readFile(FilePath("/proc/\(pid)/status"), limitBytes: statusByteCount) else { return false }
        let line = status.split(separator: UInt8(ascii: "\n")).first { $0.starts(with: "NSpid:".utf8) }
        return line?.split(separator: UInt8(ascii: "\t")).last.map { Array($0) } != Array("1".utf8)
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
        record.namespace = configuration.namespace
        record.id = id
        record.bundle = bundle
        record.options = request.options
        record.pid = UInt32(bitPattern: pid)
        // Only apusd has another shim take over.
        if options.usesAttach { record.request = request }
        do throws(SyscallError) {
            // /run is memory: whole or not at all is what counts here, and a rename gives that.
            let path = configuration.layout.optionsPath
            try writeAll(record.encoded(), toFile: FilePath("\(path).new"))
            try renameFile(FilePath("\(path).new"), to: FilePath(path))
        } catch { throw ShimError("record of the shim", error) }
    }
}

/// What was told of a container's run that the kernel goes on counting.
struct ToldCounts {
    /// Processes that were killed for want of memory.
    let kills: UInt64
    /// Refusals of processes; nil where that is not known.
    let refusals: UInt64?
}
