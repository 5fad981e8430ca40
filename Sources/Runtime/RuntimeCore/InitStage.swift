internal import Cgroups
internal import Glibc
internal import LinuxSyscalls
internal import Netlink
internal import OCISpec
internal import Rootfs
internal import SystemPackage

/// A container's first process from its clone to execve: the right column of docs/process-stages.md.
///
/// Everything that can be decided is decided before the clone; what is here only acts.
struct InitStage {
    let configuration: RuntimeConfiguration
    let namespaces: NamespacePlan
    var payload: PayloadStage
    let rootfsPlan: RootfsPlan
    let cgroup: CgroupAdmission
    /// Joined by this process; the others by the parent or a joining stage.
    var joins: [OpenedNamespace] = []
    /// Where to wait for `start`; without one the runtime says when to go on.
    let gate: HeldDescriptor?
    /// Whether `exec` may ask for the namespaces while this process waits at the gate: an ordinary user's does.
    let lendsNamespaces: Bool
    var lent: [LentNamespace] = []
    let consoleSocket: HeldDescriptor?
    /// The session keyring's name; nil keeps the caller's keyring.
    let keyring: String?
    let preservedDescriptors: Int32
    let mappedTrees: MappedTrees
    /// The sources of those that are left to this process.
    var sources: [Int32] = []
    /// What `createContainer` and `startContainer` hooks read, but for pid and status.
    let state: ContainerState
    /// The caller's, for hooks that run before the process has limits of its own.
    let descriptorLimit: DescriptorLimit?

    /// Goes all the way. The runtime, or `start`, hears why if it ends here.
    mutating func run(_ channel: StageChannel) -> Never {
        do throws(RuntimeError) {
            try isolate(channel)
            try enterNamespaces(channel)
            try setUpNamespaces()
            var rootfs = RootfsBuilder(rootfsPlan, mappedTrees: mappedTrees.areLeftToInit ? sources : try mappedTrees.duplicates())
            do throws(RootfsError) { try rootfs.prepareBeforeCgroup() } catch { throw RuntimeError(error) }
            try enterCgroup(channel)
            if gate != nil && lendsNamespaces {
                lent = try LentNamespace.own((configuration.linux?.namespaces ?? []).map(\.kind))
            }
            try startOwnSession()
            do throws(RootfsError) { try rootfs.prepare(cgroup: cgroup.record.places.map { CgroupPlace($0) }) } catch {
                throw RuntimeError(error)
            }
            try setUp(&rootfs, channel)
            let program = try payload.prepare(channel)
            try finish(program, channel)
        } catch {
            // Nobody to tell means that the runtime is gone; then nobody waits either.
            try? channel.send(.failed(error))
        }
        exitAtOnce(1)
    }

    /// Lets go of everything that the runtime held and this process has no use for.
    private func isolate(_ channel: StageChannel) throws(RuntimeError) {
        try during("starting the container's process") { () throws(SyscallError) in
            try setParentDeathSignal(SIGKILL)
            var kept = [channel.socket.number] + joins.map { $0.file.number }
            kept += mappedTrees.descriptors.map(\.number)
            if let gate { kept.append(gate.number) }
            if let consoleSocket { kept.append(consoleSocket.number) }
            try letGoOfDescriptors(from: 3 + preservedDescriptors, except: kept)
            if gate != nil { try setProcessName(StartGate.processName) }
            try restoreDefaultSignals()
        }
    }

    private mutating func enterNamespaces(_ channel: StageChannel) throws(RuntimeError) {
        if namespaces.hasNewUser { try channel.await(.identityReady) }
        // Before this process is another user: the file of the offsets belongs to the one that it was.
        if namespaces.hasNewTime { try enterTimeNamespace() }
        if mappedTrees.areLeftToInit {
            do throws(RootfsError) { sources = try rootfsPlan.openSources() } catch { throw RuntimeError(error) }
        }
        if namespaces.hasUser { try becomeRootOfUserNamespace() }
        for namespace in joins where namespace.join.type != .cgroup { try enter(namespace) }
    }

    private func enter(_ namespace: OpenedNamespace) throws(RuntimeError) {
        try during(namespace.join.joining) { () throws(SyscallError) in try namespace.enter() }
    }

    /// The cgroup, and then the cgroup namespace, whose root is the cgroup that its first process is in.
    private func enterCgroup(_ channel: StageChannel) throws(RuntimeError) {
        if cgroup.hasMoreToEnter {
            let entry = CgroupEntry(
                receiving: try channel.awaitCgroup(), of: cgroup.record, bornInUnified: cgroup.birthplace != nil)
            do throws(CgroupError) { try entry.enter() } catch { throw RuntimeError(error) }
        }
        if let problem = SchedulingPlan.resetAffinity() { try channel.send(.remark(problem)) }
        if namespaces.hasNewCgroup {
            try during("making the cgroup namespace") { () throws(SyscallError) in
                try unshareNamespaces(.cgroup, subject: "cgroup")
            }
        }
        for namespace in joins where namespace.join.type == .cgroup { try enter(namespace) }
    }

    /// The clone left us with ids that the namespace does not know; files that we make shall belong to its root.
    private mutating func becomeRootOfUserNamespace() throws(RuntimeError) {
        payload.plan.keepsGroups = try isDeniedGroups(process: "self")
        try during("becoming root of the user namespace") { () throws(SyscallError) in
            try becomeRoot(orElse: payload.plan.user)
            try hideFromContainer()
            // A change of credentials clears it.
            try setParentDeathSignal(SIGKILL)
        }
    }

    /// Offsets can be written only before anybody is in the namespace, and unshare(2) puts in children alone.
    private func enterTimeNamespace() throws(RuntimeError) {
        try during("making the time namespace") { () throws(SyscallError) in try unshareNamespaces(.time, subject: "time") }
        let offsets = configuration.linux?.timeOffsets
        try set("monotonic", to: offsets?.monotonic)
        try set("boottime", to: offsets?.boottime)
        try during("entering the time namespace") { () throws(SyscallError) in
            let namespace = try openFile("/proc/self/ns/time_for_children", .readOnly)
            try joinNamespace(namespace, .time, subject: "time")
        }
    }

    private func set(_ clock: String, to offset: TimeOffsets.Offset?) throws(RuntimeError) {
        guard let offset else { return }
        try during("linux.timeOffsets.\(clock): moving the clock by \(offset.seconds) s, \(offset.nanoseconds) ns") {
            () throws(SyscallError) in
            let file = try openFile("/proc/self/timens_offsets", .writeOnly)
            try writeAll(Array("\(clock) \(offset.seconds) \(offset.nanoseconds)\n".utf8), to: file.number, subject: "\(clock) offset")
        }
    }

    private func setUpNamespaces() throws(RuntimeError) {
        if let keyring {
            try payload.plan.labels.requestForKeys()
            try during("setting up the namespaces") { () throws(SyscallError) in try joinKeyring(keyring) }
        }
        if namespaces.cloned.contains(.network) {
            do { try bringLoopbackUp() } catch { throw RuntimeError(.refused, doing: "bringing the loopback link up", "\(error)") }
        }
        if let name = configuration.hostname, !name.isEmpty {
            try during("setting hostname") { () throws(SyscallError) in try setHostName(name) }
        }
        if let name = configuration.domainname, !name.isEmpty {
            try during("setting domainname") { () throws(SyscallError) in try setDomainName(name) }
        }
    }

    /// After the cgroup: in a cgroup of its own a process gets no scheduling group of its session, into which it would have to be moved,
    /// to wait there behind everybody else (sched(7), "autogroup"). From here on signals of the caller's terminal are not for us.
    private func startOwnSession() throws(RuntimeError) {
        try during("starting the session") { () throws(SyscallError) in
            try startSession()
            try setSignalMask([])
        }
    }

    private func setUp(_ rootfs: inout RootfsBuilder, _ channel: StageChannel) throws(RuntimeError) {
        if configuration.hooks.runBeforePivot {
            try channel.send(.rootMounted)
            try channel.await(.hooksDone)
            let limit = payload.setsLimits ? descriptorLimit : payload.descriptorLimit
            if !configuration.hooks.createContainer.isEmpty {
                // The paths of hooks are the host's still; what they name without a slash in front is the container's, as with runc.
                do throws(RootfsError) { try rootfs.enterRoot() } catch { throw RuntimeError(error) }
            }
            try runHooks("createContainer", configuration.hooks.createContainer, .creating, limit)
        }
        if let consoleSocket {
            let terminal: ContainerTerminal
            do throws(RootfsError) { terminal = try rootfs.openTerminal() } catch { throw RuntimeError(error) }
            try Console.attach(master: terminal.master, slave: terminal.slave, for: payload.plan, sendingMasterTo: consoleSocket)
        }
        do throws(RootfsError) { try rootfs.complete() } catch { throw RuntimeError(error) }
        try reopenNullDevice()
    }

    /// Standard files that are the host's null device become the container's: nothing of the host's mounts is held open then, which criu
    /// could not find again. A root without the device, or without the right to it, keeps what it was given.
    private func reopenNullDevice() throws(RuntimeError) {
        let isNull = { (status: FileStatus?) in status?.type == .characterDevice && status?.device == DeviceNumber(major: 1, minor: 3) }
        let numbers = (Int32(0)...2).filter { isNull(try? fileStatus(of: $0)) }
        guard !numbers.isEmpty, isNull(try? fileStatus("/dev/null")),
            let opened = try? openFile("/dev/null", [.readWrite, .noFollow, .noControllingTerminal]),
            isNull(try? fileStatus(of: opened.number))
        else { return }
        try during("opening the container's /dev/null") { () throws(SyscallError) in
            for number in numbers { try replaceDescriptor(number, by: opened.number) }
        }
    }

    /// - Parameter limit: the caller's, where it is still the hooks'.
    private func runHooks(
        _ list: String, _ hooks: [Hook], _ status: ContainerState.Status, _ limit: DescriptorLimit?
    ) throws(RuntimeError) {
        if hooks.isEmpty { return }
        var state = state
        state.status = status
        // As hooks in the container's pid namespace see it.
        state.pid = processID()
        // What the program is to inherit its hooks are not.
        let inherited = (3..<3 + max(0, preservedDescriptors)).filter { fcntl($0, F_GETFD) & FD_CLOEXEC == 0 }
        try HookRunner(list: list, hooks: hooks, state: state, descriptorLimit: limit).run()
        try during("keeping descriptors for the program") { () throws(SyscallError) in
            for number in inherited { try setCloseOnExec(false, of: number) }
        }
    }

    /// Within the limits of the program, as runc's.
    private func runStartHooks() throws(RuntimeError) {
        try runHooks("startContainer", configuration.hooks.startContainer, .created, payload.descriptorLimit)
    }

    /// A created container ends by the signals by which programs are asked to end, as runc's does, and by no others: the program that might choose to
    /// live on is not there yet.
    private func becomeMortal() throws(RuntimeError) {
        guard processID() == 1 else { return }
        try during("heeding signals") { () throws(SyscallError) in
            for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] { try endBySignal(signal) }
        }
    }

    /// From the runtime's last word to execve.
    private func finish(_ program: String, _ channel: StageChannel) throws(RuntimeError) {
        guard let gate else {
            try runStartHooks()
            throw payload.execute(program, channel)
        }
        try becomeMortal()
        let start = try StartGate.passThrough(gate, lending: lent)
        do throws(RuntimeError) {
            try runStartHooks()
            throw payload.execute(program, start)
        } catch {
            try start.send(.failed(error))
            exitAtOnce(1)
        }
    }
}

/// Joins a session keyring, where the kernel has any.
func joinKeyring(_ name: String) throws(SyscallError) {
    do { try joinSessionKeyring(name) } catch  where error.errno == ENOSYS {}
}

extension HookSet {
    /// Whether the runtime and init must meet between the mounts and the change of root.
    var runBeforePivot: Bool { !prestart.isEmpty || !createRuntime.isEmpty || !createContainer.isEmpty }
}

extension RuntimeError {
    init(_ error: RootfsError) {
        let code: Code =
            switch error.code {
            case .invalidConfiguration: .invalidConfiguration
            case .unsupported: .unsupported
            case .stepFailed: .refused
            }
        self.init(code, doing: "setting up the root file system", error.description)
    }
}
