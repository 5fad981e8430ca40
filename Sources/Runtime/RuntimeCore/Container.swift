internal import Cgroups
internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
package import OCISpec
internal import SystemPackage

/// An existing container: its record, and what the kernel says of its process.
package final class Container {
    let directory: StateDirectory
    /// nil where creation was cut off before it was written.
    private(set) var storedRecord: ContainerRecord?
    let id: String
    /// The caller's, for its hooks.
    let descriptorLimit: DescriptorLimit?

    /// - Throws: `notFound`, `invalidArgument` for an id that is no name.
    package init(_ id: String, in root: StateRoot, descriptorLimit: DescriptorLimit? = nil) throws(RuntimeError) {
        self.id = id
        self.descriptorLimit = descriptorLimit
        directory = try StateDirectory.open(in: root, id: id)
        storedRecord = try directory.readRecord()
    }

    /// What was written down at creation.
    package func record() throws(RuntimeError) -> ContainerRecord {
        if let storedRecord { return storedRecord }
        guard try directory.isThere() else { throw StateDirectory.notFound }
        guard try directory.tryLock() else {
            throw RuntimeError(.busy, "container \(id) is being created or deleted by another process")
        }
        // Who had the lock may have completed it since it was looked for.
        guard let record = try directory.readRecord() else {
            throw RuntimeError(.wrongStatus, "container \(id) was never completed: delete it with --force")
        }
        storedRecord = record
        return record
    }

    /// From here on, until this process ends, nobody else creates or deletes it, and what is on record stays.
    /// - Throws: `notFound`, `busy`.
    func lock() throws(RuntimeError) {
        try directory.lock()
        storedRecord = try directory.readRecord()
    }

    /// What the container is right now. Paused is told from the cgroup.
    package func status() throws(RuntimeError) -> ContainerState.Status { try status(with: liveInit()) }

    /// The same, of a container whose first process was just looked at.
    /// - Parameter snapshot: nil where it does not live.
    func status(with snapshot: ProcessSnapshot?) throws(RuntimeError) -> ContainerState.Status {
        guard let record = storedRecord else { return .creating }
        guard let snapshot else { return record.initProcess == nil ? try cutOffStatus() : .stopped }
        // What is created can be paused too; then it neither starts nor takes anything in.
        if try ContainerCgroup(recorded: record.cgroup.freezer).isFrozen() { return .paused }
        return snapshot.name == StartGate.processName && directory.has(StateDirectory.gateName) ? .created : .running
    }

    /// A container without a process is being created as long as somebody holds the lock; otherwise its creation was cut off.
    private func cutOffStatus() throws(RuntimeError) -> ContainerState.Status {
        guard try directory.tryLock() else { return .creating }
        // Who had the lock may have completed it since it was looked for.
        guard let record = try directory.readRecord(), record.initProcess != nil else { return .stopped }
        storedRecord = record
        return try status()
    }

    /// The first process, if it is still the one on record and lives.
    func liveInit() throws(RuntimeError) -> ProcessSnapshot? {
        guard let recorded = storedRecord?.initProcess else { return nil }
        let snapshot = try during("looking at the container's process") { () throws(SyscallError) in
            try ProcessSnapshot.look(at: recorded.process)
        }
        guard let snapshot, snapshot.isAlive, snapshot.startTicks == recorded.startTicks else { return nil }
        return snapshot
    }

    /// A hold on the first process, checked after it was taken: no other process can have come in between.
    func openInit() throws(RuntimeError) -> ProcessHandle? { try openInit { _ in } }

    /// The same.
    /// - Parameter look: is shown the process as it was found.
    func openInit(_ look: (ProcessSnapshot) -> Void) throws(RuntimeError) -> ProcessHandle? {
        guard let recorded = storedRecord?.initProcess else { return nil }
        do throws(SyscallError) {
            let handle = try ProcessHandle(recorded.process)
            let snapshot = try ProcessSnapshot.look(at: recorded.process)
            guard let snapshot, snapshot.isAlive, snapshot.startTicks == recorded.startTicks else { return nil }
            look(snapshot)
            return handle
        } catch {
            if error.errno == ESRCH { return nil }
            throw RuntimeError(doing: "opening the container's process", error)
        }
    }

    /// The configuration as it was at creation.
    func configuration() throws(RuntimeError) -> RuntimeConfiguration {
        let document = try storedConfiguration()
        return try Bundle.decode(document)
    }

    /// What of the configuration matters to a process that is added: it was validated at creation.
    func configurationForAddedProcess() throws(RuntimeError) -> RuntimeConfiguration {
        let document = try storedConfiguration()
        do throws(SpecProblem) { return try RuntimeConfiguration.decodeForAddedProcess(document) } catch {
            throw RuntimeError(doing: "the container's \(StateDirectory.configurationName)", error)
        }
    }

    private func storedConfiguration() throws(RuntimeError) -> [UInt8] {
        let name = StateDirectory.configurationName
        guard let document = try directory.read(name, limitBytes: Bundle.configurationLimitBytes) else {
            throw RuntimeError(.invalidConfiguration, doing: "reading the container's state", "\(name) is missing")
        }
        return document
    }

    /// The state as `state` and hooks tell it.
    package func state() throws(RuntimeError) -> ContainerState {
        let record = try record()
        let status = try status()
        return ContainerState(
            ociVersion: record.ociVersion, id: record.id, status: status,
            pid: status == .stopped ? nil : record.initProcess?.process, bundle: record.bundle, annotations: record.annotations)
    }
}

// start, kill, pause and resume.
extension Container {
    /// Lets a created container's program run. - Spec: runtime.md, "Start".
    /// - Throws: `wrongStatus`; what kept the program from running. Where a hook is what failed, the container is gone.
    package func start(_ journal: Journal) throws(RuntimeError) {
        if let refusal = Self.refusal(toStartWhatIs: try status()) { throw refusal }
        let configuration = try configuration()
        guard configuration.process != nil else {
            throw RuntimeError(.invalidConfiguration, doing: RuntimeConfiguration.fileName, "process is required to start a container")
        }
        let hooks = configuration.hooks
        do throws(RuntimeError) {
            let wasLetIn = try StartGate.open(in: directory) { (descriptor) throws(RuntimeError) in
                try handListenerOver(descriptor, SeccompListener(configuration.linux?.seccomp))
            }
            // Another start was quicker, or the container has ended.
            guard wasLetIn else { throw Self.refusal(toStartWhatIs: try status()) ?? Self.alreadyRunning }
            try directory.remove(StateDirectory.gateName)
            journal.debug("container \(id): started")
            if hooks.poststart.isEmpty { return }
            var state = try state()
            // The program may have ended by now.
            state.status = .running
            state.pid = storedRecord?.initProcess?.process
            try HookRunner(list: "poststart", hooks: hooks.poststart, state: state, descriptorLimit: descriptorLimit).runAfterStart(journal)
        } catch {
            guard error.code == .hook else { throw error }
            let removal = try Removal(
                record: record(), cgroup: ContainerCgroup(recorded: record().cgroup), hooks: hooks, journal: journal,
                descriptorLimit: descriptorLimit)
            throw error.followed { () throws(RuntimeError) in
                if try Removal.takesOver(directory) { try removal.killAndRemove(directory) }
            }
        }
    }

    private static let alreadyRunning = RuntimeError(.wrongStatus, "cannot start an already running container")

    private static func refusal(toStartWhatIs status: ContainerState.Status) -> RuntimeError? {
        switch status {
        case .created: nil
        case .stopped: RuntimeError(.wrongStatus, "cannot start a container that has stopped")
        case .running: alreadyRunning
        case .creating, .paused: RuntimeError(.wrongStatus, "cannot start a container in the \(status) state")
        }
    }

    private func handListenerOver(_ descriptor: Int32, _ listener: SeccompListener?) throws(RuntimeError) {
        guard let listener, let handle = try openInit() else { return }
        try listener.hand(over: descriptor, of: handle, state: try state())
    }

    /// Sends a signal to the first process, or to every process of the container. SIGKILL reaches every process also where no pid
    /// namespace of the container's own would end them along with the first.
    /// - Throws: `wrongStatus` where there is no first process, unless `all`.
    package func kill(_ signal: Int32, all: Bool) throws(RuntimeError) {
        let hasCgroup = try !record().cgroup.places.isEmpty
        if all && !hasCgroup { throw noCgroup("signal every process of the container") }
        let outliveFirst = signal == SIGKILL && hasCgroup ? try !endsWithFirst() : false
        if all || outliveFirst {
            let cgroup = try ContainerCgroup(recorded: record().cgroup)
            if !all, try liveInit() == nil, try cgroup.processes().isEmpty {
                throw RuntimeError(.wrongStatus, "container not running")
            }
            return try cgroup.signalAll(signal)
        }
        guard let handle = try openInit() else { throw RuntimeError(.wrongStatus, "container not running") }
        do { try handle.signal(signal, subject: "container \(id)") } catch {
            if error.errno == ESRCH { throw RuntimeError(.wrongStatus, "container not running") }
            throw RuntimeError(doing: "signalling the container", error)
        }
        // What is frozen does not even die.
        if signal == SIGKILL { try ContainerCgroup(recorded: record().cgroup).thawAll() }
    }

    /// Whether the kernel ends every process of the container along with the first, which is so in a pid namespace that began with it.
    private func endsWithFirst() throws(RuntimeError) -> Bool {
        let record = try record()
        guard record.ownNamespaces.contains(.pid) else { return false }
        if let joined = record.joinedNamespaces { return !joined.contains(.pid) }
        return try configuration().linux?.namespace(.pid)?.path == nil
    }

    /// Freezes every process of a running container.
    package func pause() throws(RuntimeError) {
        let status = try status()
        guard status == .running || status == .created else {
            throw RuntimeError(.wrongStatus, "container not running")
        }
        do throws(RuntimeError) { try ContainerCgroup(recorded: record().cgroup).freeze() } catch { throw try unlessEnded(error) }
    }

    /// What to tell where something could not be done to a container's processes: its end, if that has come meanwhile.
    func unlessEnded(_ error: RuntimeError, _ complaint: String = "container not running") throws(RuntimeError) -> RuntimeError {
        try liveInit() == nil ? RuntimeError(.wrongStatus, complaint) : error
    }

    /// Lets a paused container go on.
    package func resume() throws(RuntimeError) {
        let status = try status()
        guard status == .paused else { throw RuntimeError(.wrongStatus, "container not paused") }
        try ContainerCgroup(recorded: record().cgroup).thaw()
    }

    /// Changes the container's limits, and the schemata of its group of resctrl, or nothing; what is not named stays.
    /// - Throws: `wrongStatus` for one that has stopped.
    package func update(_ resources: LinuxResources, _ schemata: IntelRdt = IntelRdt()) throws(RuntimeError) {
        try requireProcess("container not running")
        let cgroup = try ContainerCgroup(recorded: record().cgroup)
        if schemata == IntelRdt() { return try cgroup.update(resources) }
        if let problem = schemata.bandwidthProblem { throw RuntimeError(.invalidArgument, problem) }
        guard let group = try record().resourceControl else {
            throw RuntimeError(.unsupported, "the container has no group of resctrl: it was made without linux.intelRdt")
        }
        let before: [String]
        do throws(CgroupError) { before = try group.replace(by: schemata.schemataLines) } catch { throw RuntimeError(error) }
        do throws(RuntimeError) { try cgroup.update(resources) } catch {
            throw error.followed { () throws(RuntimeError) in
                do throws(CgroupError) { try group.write(before) } catch { throw RuntimeError(error) }
            }
        }
    }

    private func noCgroup(_ doing: String) -> RuntimeError {
        RuntimeError(.unsupported, doing: doing, "it has no cgroup, which whoever made it had no right to make")
    }

    private func requireProcess(_ complaint: String) throws(RuntimeError) {
        switch try status() {
        case .created, .running, .paused: return
        case .creating, .stopped: throw RuntimeError(.wrongStatus, complaint)
        }
    }

    /// What the container uses now. - Throws: `wrongStatus` for one that has stopped.
    package func usage() throws(RuntimeError) -> ContainerUsage {
        try requireProcess(nothingToMeasure)
        do throws(RuntimeError) {
            return try ContainerCgroup(recorded: record().cgroup).usage(with: record().resourceControl)
        } catch {
            throw try unlessEnded(error, nothingToMeasure)
        }
    }

    /// runc's words where usage or events are asked of a container that has ended.
    var nothingToMeasure: String { "container with id \(id) is not running" }

    /// The pids of every process in the container.
    package func processes() throws(RuntimeError) -> [Int32] {
        if try record().cgroup.places.isEmpty { throw noCgroup("list the container's processes") }
        return try ContainerCgroup(recorded: record().cgroup).processes()
    }

    /// Takes a container away. - Spec: runtime.md, "Delete".
    /// - Throws: `wrongStatus` for one that runs, unless `force`; `busy` while it is being created.
    package func delete(force: Bool, _ journal: Journal) throws(RuntimeError) {
        try lock()
        guard let record = storedRecord else {
            guard force else { throw RuntimeError(.wrongStatus, "cannot delete container \(id) that is not stopped: creating") }
            return try directory.removeAll()
        }
        let status = try status()
        let removal = Removal(
            record: record, cgroup: try ContainerCgroup(recorded: record.cgroup), hooks: try configurationForHooks(), journal: journal,
            descriptorLimit: descriptorLimit)
        switch status {
        // runc deletes a created container too, and engines count on it.
        case .stopped, .created: try removal.killAndRemove(directory)
        case .creating, .running, .paused:
            guard force else { throw RuntimeError(.wrongStatus, "cannot delete container \(id) that is not stopped: \(status)") }
            try removal.killAndRemove(directory, isPaused: status == .paused)
        }
    }

    /// The hooks of a container whose configuration was not yet copied are none: nothing of it has run.
    private func configurationForHooks() throws(RuntimeError) -> HookSet {
        directory.has(StateDirectory.configurationName) ? try configuration().hooks : HookSet()
    }
}
