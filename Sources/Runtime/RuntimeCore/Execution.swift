internal import Cgroups
internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import Seccomp
internal import SystemPackage

/// Adds a process to a running container: the second drawing of docs/process-stages.md.
package final class Execution {
    private let request: ExecRequest
    private let journal: Journal
    private let container: Container
    private let record: ContainerRecord
    /// The container's first process; nil where it has none.
    private let target: HeldProcess?
    private let status: ContainerState.Status
    private let plan: ProcessPlan
    private let inherited: InheritedSettings
    /// Who gets the standard files before a user namespace is entered.
    private let owner: StandardFilesOwner?
    private let filter: SeccompProgram?
    private let listener: SeccompListener?
    /// Whether the caller is no root; looked at before anything is joined.
    private let isOrdinary = effectiveUserID() != 0
    /// Whether the pid file is there, which tells of a process that runs.
    private var hasPIDFile = false

    package init(_ request: ExecRequest, _ journal: Journal) throws(RuntimeError) {
        self.request = request
        self.journal = journal
        container = try Container(request.id, in: request.stateRoot)
        record = try container.record()
        var snapshot: ProcessSnapshot?
        switch try container.openInit({ snapshot = $0 }) {
        case .some(let handle): target = HeldProcess(handle)
        case .none: target = nil
        }
        status = try container.status(with: snapshot)
        switch status {
        case .created, .running: break
        case .paused:
            if !request.ignoresPause {
                throw RuntimeError(.wrongStatus, "cannot exec in a paused container (use --ignore-paused to override)")
            }
        case .stopped: throw RuntimeError(.wrongStatus, "cannot exec in a stopped container")
        case .creating: throw RuntimeError(.wrongStatus, "cannot exec in a container in the creating state")
        }
        let configuration = try container.configurationForAddedProcess()
        let process = try Self.process(request.process, configuration)
        plan = try ProcessPlan(process, addedEnvironment: request.addedEnvironment)
        inherited = try InheritedSettings(configuration.linux)
        owner = StandardFilesOwner(plan, in: configuration.linux)
        if !request.keepsTerminal { try Console.checkSocket(request.consoleSocket, hasTerminal: process.terminal) }
        filter = try compiledFilter(configuration.linux?.seccomp, cache: request.filterCache, journal)
        listener = SeccompListener(configuration.linux?.seccomp)
    }

    private static func process(
        _ source: ExecRequest.ProcessSource, _ configuration: RuntimeConfiguration
    ) throws(RuntimeError) -> ProcessConfiguration {
        switch source {
        case .changes(let changes):
            let base = configuration.process ?? ProcessConfiguration(workingDirectory: "/")
            let process = changes.applied(to: base)
            do throws(SpecProblem) { try process.validate(at: "process") } catch { throw RuntimeError(doing: "exec", error) }
            return process
        case .document(let path):
            let bytes = try during("reading the process") { () throws(SyscallError) in
                try readFile(
                    path, limitBytes: Bundle.configurationLimitBytes, timeoutNanoseconds: Bundle.documentTimeoutNanoseconds)
            }
            do throws(SpecProblem) {
                var process = try ProcessConfiguration.decode(bytes)
                try process.validate(at: "")
                if let own = configuration.process { process.fill(from: own) }
                return process
            } catch { throw RuntimeError(doing: path.string, error) }
        }
    }

    /// Whether the process gets a terminal.
    package var hasTerminal: Bool { plan.terminal }

    /// Makes the process, and returns when its program runs.
    package func start() throws(RuntimeError) -> PreparedProcess {
        let prepared = try prepare()
        do throws(RuntimeError) {
            try prepared.awaitProgram(listener: listener, state: try container.state())
            journal.debug("container \(record.id): process \(prepared.process) started")
            return prepared
        } catch { throw error.followed { () throws(RuntimeError) in try end(prepared.handle) } }
    }

    private func prepare() throws(RuntimeError) -> PreparedProcess {
        guard let target else { throw RuntimeError(.wrongStatus, "cannot exec in a stopped container") }
        let console = try ConsoleEnds(socket: request.consoleSocket, terminal: plan.terminal)
        let (entry, attachment) = try wayIntoCgroup()
        let lent = try lentNamespaces()
        let joinedFirst = typesJoinedFirst
        let isInUserNamespace = joinedTypes.contains(.user)
        var plan = plan
        if isInUserNamespace, let recorded = record.initProcess {
            plan.keepsGroups = try isDeniedGroups(process: String(recorded.process))
            var user = plan.user
            if plan.keepsGroups { user.additionalGIDs = [] }
            try IdentityMapping.requireMapped(user, inNamespaceOf: recorded.process)
        }
        var stage = ExecStage(
            target: target, lent: lent, namespaces: joinedTypes.subtracting(joinedFirst),
            root: try rootOfContainer(), isInUserNamespace: isInUserNamespace,
            payload: PayloadStage(
                plan: plan, inherited: inherited, filter: filter, setsLimits: !isInUserNamespace, descriptorLimit: request.descriptorLimit),
            cgroup: entry, isAttached: attachment != nil,
            consoleSocket: console.sending, keyring: record.newKeyring ? "_ses.\(record.id)" : nil,
            preservedDescriptors: request.preservedDescriptors)
        let (ours, theirs) = try StageChannel.pair()
        if isOrdinary { try plan.adjustOOMScore(of: processID()) } else if isInUserNamespace { try owner?.handOver() }
        try during("protecting the runtime") { () throws(SyscallError) in try hideFromContainer() }
        if !joinedFirst.isEmpty {
            // For children only: nothing else is started from here on.
            try stage.join(joinedFirst, "joining the pid namespace")
        }
        switch try clone(&stage) {
        case .child: stage.run(theirs)
        case .parent(let handle):
            theirs.socket.close()
            console.sending?.close()
            journal.debug("container \(record.id): process \(handle.process) cloned")
            return try supervise(MadeProcess(handle: handle, channel: ours), console, attachment)
        }
    }

    /// Clones the process; where the container's cgroup takes in none any more, into that of the container's first process.
    private func clone(_ stage: inout ExecStage) throws(RuntimeError) -> CloneResult {
        do throws(SyscallError) { return try cloneProcess(cgroup: stage.cgroup.directoryForClone) } catch {
            let other: CgroupEntry?
            do throws(CgroupError) { other = error.errno == EBUSY ? try stage.cgroup.besideNeighbour() : nil } catch let problem {
                throw RuntimeError(problem)
            }
            guard let other else { throw RuntimeError(doing: "cloning the process", error) }
            stage.cgroup = other
        }
        return try during("cloning the process") { () throws(SyscallError) in try cloneProcess(cgroup: stage.cgroup.directoryForClone) }
    }

    /// What the process enters by itself, or who puts it there.
    private func wayIntoCgroup() throws(RuntimeError) -> (CgroupEntry, SystemdAttachment?) {
        let mayBeAttached = isOrdinary && record.cgroup.unit != nil
        if !mayBeAttached, request.cgroups.isEmpty,
            let entry = try ContainerCgroup.entry(into: record.cgroup, beside: record.initProcess?.process)
        {
            return (entry, nil)
        }
        let cgroup = try ContainerCgroup(recorded: record.cgroup)
        guard mayBeAttached, let attachment = try cgroup.attachment(beside: record.initProcess?.process) else {
            return (try cgroup.entry(below: request.cgroups), nil)
        }
        guard request.cgroups.isEmpty else {
            throw RuntimeError(.unsupported, "--cgroup: where systemd puts an ordinary user's process, it puts it into the unit itself")
        }
        return (CgroupEntry(), attachment)
    }

    /// What the runtime joins before it clones: the pid namespace, which takes in children only; for an ordinary user the user namespace
    /// too, for rights over the others are had only there.
    private var typesJoinedFirst: NamespaceTypes {
        let types = joinedTypes.intersection(.pid)
        return !isOrdinary ? types : types.union(joinedTypes.intersection(.user))
    }

    /// An ordinary user may not look into a created container's init, which hides from the container; so init itself lends its namespaces.
    private func lentNamespaces() throws(RuntimeError) -> [LentNamespace] {
        guard isOrdinary, status == .created || status == .paused else { return [] }
        return try StartGate.borrowNamespaces(in: container.directory)
    }

    /// The root of the container's first process, where the container has none by a mount namespace: without it the process would stay in the
    /// host's. Looked up before that process is looked at once more, so it is nobody else's.
    private func rootOfContainer() throws(RuntimeError) -> HeldDescriptor? {
        guard !record.ownNamespaces.contains(.mount), let recorded = record.initProcess else { return nil }
        let root = try during("opening the container's root") { () throws(SyscallError) in
            try openFile(FilePath("/proc/\(recorded.process)/root"), [.path, .directory])
        }
        guard try container.liveInit() != nil else { throw RuntimeError(.wrongStatus, "cannot exec in a stopped container") }
        return HeldDescriptor(root)
    }

    private var joinedTypes: NamespaceTypes {
        NamespaceTypes(rawValue: record.ownNamespaces.reduce(0) { $0 | NamespaceTypes($1).rawValue })
    }

    private func supervise(
        _ made: consuming MadeProcess, _ console: ConsoleEnds, _ attachment: SystemdAttachment?
    ) throws(RuntimeError) -> PreparedProcess {
        let process = made.handle.process
        let channel = made.channel
        do throws(RuntimeError) {
            if let attachment {
                do throws(CgroupError) { try attachment.attach(process) } catch { throw RuntimeError(error) }
                try channel.send(.cgroupReady)
            }
            if !isOrdinary { try plan.adjustOOMScore(of: process) }
            try writePIDFile(request.pidFile, process: process)
            hasPIDFile = request.pidFile != nil
            // Most processes need nothing of us once they are prepared: the word that lets them go on is there before they ask for it.
            let goesOn = !plan.scheduling.isForRuntime && request.pidfdSocket == nil && console.receiving == nil
            if goesOn { try channel.send(.proceed) }
            try channel.awaitPrepared(process, journal)
            journal.debug("container \(record.id): process \(process) prepared")
            try plan.scheduling.apply(to: process)
            try sendPidfd(made.handle, to: request.pidfdSocket, word: "setns")
            var terminal: OwnedFD?
            if let receiving = console.receiving { terminal = try Console.receiveMaster(from: receiving) }
            if !goesOn { try channel.send(.proceed) }
            return PreparedProcess(handle: made.handle, terminal: terminal, channel: channel)
        } catch {
            throw error.followed { () throws(RuntimeError) in try end(made.handle) }
        }
    }

    /// Reaped too: a container does not come to its end before the processes that were added to it.
    private func end(_ child: borrowing ProcessHandle) throws(RuntimeError) {
        try endChild(child)
        if hasPIDFile { try removePIDFile(request.pidFile) }
    }
}

/// The filter of a profile, ready to be loaded; nil without one.
func compiledFilter(_ profile: SeccompConfiguration?, cache: FilePath?, _ journal: Journal) throws(RuntimeError) -> SeccompProgram? {
    guard let profile else { return nil }
    do throws(SeccompError) {
        let program = try seccompProgram(for: profile, cache: cache, isApart: true)
        if let problem = program.cacheProblem { journal.debug("the seccomp cache is not used: \(problem)") }
        return program
    } catch { throw RuntimeError(.invalidConfiguration, doing: "compiling linux.seccomp", "\(error)") }
}
