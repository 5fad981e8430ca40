internal import CoreTypes
internal import LinuxSyscalls
internal import OCISpec
internal import Rootfs
internal import SystemPackage

/// Makes a container: the left column of docs/process-stages.md. Whatever fails, nothing of it is left; a runtime that is killed leaves
/// a state directory from which `delete -f` finds the rest.
package final class Creation {
    let request: CreateRequest
    let bundle: Bundle
    let journal: Journal
    let namespaces: NamespacePlan
    let processPlan: ProcessPlan
    private let inherited: InheritedSettings
    private let rootfsPlan: RootfsPlan
    /// nil without a new user namespace.
    let mapping: IdentityMapping?
    private(set) var directory: StateDirectory
    let cgroup: ContainerCgroup
    let networkDevices: NetworkDevices
    var record: ContainerRecord
    /// Whether the caller is no root.
    let isOrdinary = effectiveUserID() != 0
    /// Whether the pid file is there, which tells of a container.
    var hasPIDFile = false
    /// From the first hook on, a failure is the end of a life that `poststop` hooks must hear of.
    var hooksHaveRun = false

    /// Reads and checks the whole request, then takes the container's name.
    package init(_ request: CreateRequest, _ journal: Journal) throws(RuntimeError) {
        self.request = request
        self.journal = journal
        try StateDirectory.check(request.id)
        bundle = try Bundle.load(request.bundle, isStrict: request.isStrict)
        let configuration = bundle.configuration
        // Only `start` needs one.
        guard let process = configuration.process ?? (request.waitsForStart ? ProcessConfiguration(workingDirectory: "/") : nil) else {
            throw RuntimeError(.invalidConfiguration, doing: RuntimeConfiguration.fileName, "process is required")
        }
        processPlan = try ProcessPlan(process, addedEnvironment: request.addedEnvironment)
        inherited = try InheritedSettings(configuration.linux)
        namespaces = NamespacePlan(configuration.linux?.namespaces ?? [])
        mapping =
            namespaces.hasNewUser
            ? try IdentityMapping(
                configuration.linux, for: process.user, userID: effectiveUserID(), groupID: effectiveGroupID()) : nil
        do throws(RootfsError) {
            var configuration = configuration
            if let problem = SecurityLabels.problem(withMountLabel: configuration.linux?.mountLabel) {
                journal.warn(problem)
                configuration.linux?.mountLabel = nil
            }
            let plan = try planRootfs(for: configuration, bundle: bundle.path, pivoting: request.pivoting)
            // Where the container's root may not go, the host's goes for it.
            rootfsPlan = namespaces.hasUser && !isOrdinary ? plan.preparingBinds : plan
        } catch { throw RuntimeError(error) }
        networkDevices = NetworkDevices(configuration.linux)
        if !request.keepsTerminal { try Console.checkSocket(request.consoleSocket, hasTerminal: process.terminal) }
        cgroup = try ContainerCgroup.planned(for: configuration, request)
        record = Self.firstRecord(request, bundle, cgroup)
        record.resourceControl = try plannedResourceControl(configuration.linux?.intelRdt, id: request.id)
        if configuration.mountsInCallersNamespace { record.callersMounts = try CallersMounts(before: record.rootfs) }
        try record.checkLength()
        directory = try StateDirectory.make(in: request.stateRoot, id: request.id)
        journal.debug("container \(request.id): configuration of \(bundle.path) read, name taken")
    }

    static func firstRecord(_ request: CreateRequest, _ bundle: Bundle, _ cgroup: ContainerCgroup) -> ContainerRecord {
        let configuration = bundle.configuration
        let now = unixNanoseconds()
        return ContainerRecord(
            ociVersion: configuration.ociVersion, id: request.id, bundle: bundle.path.string,
            rootfs: (configuration.root.map { pathOfRoot($0, bundle: bundle.path) } ?? bundle.path).string,
            created: Timestamp(seconds: now / 1_000_000_000, nanoseconds: Int32(now % 1_000_000_000)).description,
            ownerID: effectiveUserID(), cgroup: cgroup.record,
            ownNamespaces: (configuration.linux?.namespaces ?? []).map(\.kind),
            joinedNamespaces: (configuration.linux?.namespaces ?? []).filter { $0.path != nil }.map(\.kind), newKeyring: request.newKeyring,
            standardFiles: configuration.process?.terminal == true ? [] : StandardFiles.ofCaller(),
            annotations: configuration.annotations)
    }

    /// Makes everything up to the moment before the payload. For `create`, init has heard our last word then and waits for `start`; for
    /// `run`, call `start`.
    package func create() throws(RuntimeError) -> PreparedProcess {
        do throws(RuntimeError) {
            let prepared = try prepare()
            if request.waitsForStart { try prepared.channel.send(.proceed) }
            return prepared
        } catch { throw undone(error) }
    }

    /// For `run`: lets the payload run, and calls the hooks of that moment.
    package func start(_ process: borrowing PreparedProcess) throws(RuntimeError) {
        do throws(RuntimeError) {
            let listener = SeccompListener(bundle.configuration.linux?.seccomp)
            try process.channel.send(.proceed)
            try process.awaitProgram(listener: listener, state: state(.created))
            journal.debug("container \(record.id): started")
            networkDevices.letGo()
            let hooks = bundle.configuration.hooks.poststart
            if !hooks.isEmpty {
                try HookRunner(list: "poststart", hooks: hooks, state: state(.running), descriptorLimit: request.descriptorLimit)
                    .runAfterStart(journal)
            }
            // It is as good as any other container now: whoever wants to may delete it, or write it to images.
            directory = try directory.reopened()
        } catch {
            hooksHaveRun = true
            throw undone(error)
        }
    }

    /// For `run` in the foreground: removes what is left when the payload has ended and was reaped.
    /// - Parameter killing: whatever may still run is ended first.
    package func remove(killing: Bool = false) throws(RuntimeError) {
        guard try Removal.takesOver(directory) else { return }
        let removal = removal(telling: bundle.configuration.hooks)
        // With the init of a pid namespace everything in it has ended; elsewhere others may live on.
        if namespaces.cloned.contains(.pid) && !killing { try removal.remove(directory) } else { try removal.killAndRemove(directory) }
    }

    private func removal(telling hooks: HookSet) -> Removal {
        Removal(record: record, cgroup: cgroup, hooks: hooks, journal: journal, descriptorLimit: request.descriptorLimit)
    }

    /// The state that hooks read.
    func state(_ status: ContainerState.Status) -> ContainerState {
        ContainerState(
            ociVersion: record.ociVersion, id: record.id, status: status, pid: record.initProcess?.process, bundle: record.bundle,
            annotations: record.annotations)
    }

    /// Everything of a failed creation is taken back; what cannot be is told after the first error.
    private func undone(_ error: RuntimeError) -> RuntimeError {
        explained(error).followed(by: networkDevices.giveBack).followed { () throws(RuntimeError) in
            let hooks = hooksHaveRun ? bundle.configuration.hooks : HookSet()
            try removal(telling: hooks).killAndRemove(directory)
        }.followed { () throws(RuntimeError) in
            if hasPIDFile { try removePIDFile(request.pidFile) }
        }
    }

    /// Where the kernel killed the container's process for want of memory, that is what is told, and the limit that was too small.
    private func explained(_ error: RuntimeError) -> RuntimeError {
        guard error.code == .lost || error.code == .refused,
            let limit = bundle.configuration.linux?.resources?.memory?.limitBytes, limit > 0, let kills = try? cgroup.outOfMemoryKills(),
            kills > 0
        else { return error }
        return RuntimeError(
            .refused, doing: "linux.resources.memory.limit",
            "\(limit) bytes are too few to start the container, the kernel killed its process: \(error)")
    }

    private func prepare() throws(RuntimeError) -> PreparedProcess {
        let configuration = bundle.configuration
        let filter = try compiledFilter(configuration.linux?.seccomp, cache: request.filterCache, journal)
        let gate = request.waitsForStart ? try StartGate.make(in: directory) : nil
        try cgroup.begin(for: &record, bundle.document, in: directory, request.rootless, journal)
        let admission = cgroup.admission
        if !admission.hasMoreToEnter { tellOfCgroup() }
        let console = try ConsoleEnds(socket: request.consoleSocket, terminal: processPlan.terminal)
        let stage = InitStage(
            configuration: configuration, namespaces: namespaces,
            payload: PayloadStage(
                plan: processPlan, inherited: inherited, filter: filter, setsLimits: !namespaces.hasUser,
                descriptorLimit: request.descriptorLimit),
            rootfsPlan: rootfsPlan, cgroup: admission, gate: gate, lendsNamespaces: isOrdinary, consoleSocket: console.sending,
            keyring: request.newKeyring ? "_ses.\(request.id)" : nil, preservedDescriptors: request.preservedDescriptors,
            mappedTrees: try MappedTrees(
                rootfsPlan, rootfsPropagation: configuration.linux?.rootfsPropagation, locking: namespaces.hasUser && !isOrdinary),
            state: state(.creating), descriptorLimit: request.descriptorLimit)
        if isOrdinary { try processPlan.adjustOOMScore(of: processID()) }
        if namespaces.hasUser && !isOrdinary { try StandardFilesOwner(processPlan, in: configuration.linux)?.handOver() }
        let made = try InitMaker(namespaces: namespaces, workingDirectory: bundle.path).make(stage)
        journal.debug("container \(record.id): process \(made.handle.process) cloned")
        return try supervise(made, console, admission)
    }
}
