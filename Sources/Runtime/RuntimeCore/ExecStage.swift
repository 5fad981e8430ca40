internal import Cgroups
internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// A process that `exec` adds, from its clone to execve: the right column of the second drawing of docs/process-stages.md. Born in the
/// container's pid namespace, it joins the others at once; nothing that lies in the container is executed or looked up by name before
/// the program itself.
struct ExecStage {
    /// The container's first process.
    let target: HeldProcess
    /// Its namespaces, where they are not reached by it.
    let lent: [LentNamespace]
    /// The container's own, but for those that the runtime joined before the clone.
    let namespaces: NamespaceTypes
    /// The container's root, where no mount namespace of its own leads there.
    let root: HeldDescriptor?
    let isInUserNamespace: Bool
    var payload: PayloadStage
    var cgroup: CgroupEntry
    /// Systemd puts the process into the cgroup, and the runtime says when.
    let isAttached: Bool
    let consoleSocket: HeldDescriptor?
    let keyring: String?
    let preservedDescriptors: Int32

    mutating func run(_ channel: StageChannel) -> Never {
        do throws(RuntimeError) {
            try isolate(channel)
            if isAttached { try channel.await(.cgroupReady) }
            try enterCgroup(channel)
            try joinNamespaces()
            try setUpSession()
            let program = try payload.prepare(channel)
            throw payload.execute(program, channel)
        } catch {
            // Nobody to tell means that the runtime is gone; then nobody waits either.
            try? channel.send(.failed(error))
        }
        exitAtOnce(1)
    }

    private func isolate(_ channel: StageChannel) throws(RuntimeError) {
        try during("starting the process") { () throws(SyscallError) in
            try setParentDeathSignal(SIGKILL)
            var kept = [channel.socket.number] + cgroup.descriptors + lent.map(\.file.number)
            if let consoleSocket { kept.append(consoleSocket.number) }
            if let root { kept.append(root.number) }
            if let number = target.handle.heldDescriptor { kept.append(number) }
            try letGoOfDescriptors(from: 3 + preservedDescriptors, except: kept)
            try restoreDefaultSignals()
            try setSignalMask([])
        }
    }

    private func enterCgroup(_ channel: StageChannel) throws(RuntimeError) {
        try payload.plan.scheduling.applyInitialAffinity()
        do throws(CgroupError) { try cgroup.enter() } catch { throw RuntimeError(error) }
        if let problem = try payload.plan.scheduling.applyFinalAffinity() { try channel.send(.remark(problem)) }
    }

    /// All in one call, which joins a user namespace before those that it owns.
    private func joinNamespaces() throws(RuntimeError) {
        if isInUserNamespace { try payload.plan.setLimits(of: 0) }
        let joining = "joining the container's namespaces"
        try join(namespaces, joining)
        try during(joining) { () throws(SyscallError) in
            if let root {
                try changeDirectory(to: root.number, subject: "the container's root")
                try changeRoot(to: ".")
                root.close()
            }
            if isInUserNamespace {
                try becomeRoot(orElse: payload.plan.user)
                try hideFromContainer()
                // A change of credentials clears it.
                try setParentDeathSignal(SIGKILL)
            }
        }
    }

    /// Joins some of the container's namespaces.
    func join(_ types: NamespaceTypes, _ doing: String) throws(RuntimeError) {
        if types.isEmpty { return }
        do throws(SyscallError) {
            if lent.isEmpty { return try target.handle.joinNamespaces(types, subject: "container") }
            for namespace in lent where types.contains(NamespaceTypes(namespace.kind)) {
                try joinNamespace(namespace.file.number, NamespaceTypes(namespace.kind), subject: "\(namespace.kind.rawValue) namespace")
            }
        } catch {
            // A process gives its namespaces up a while before anybody sees that it has ended; ENOENT where they are opened one by one.
            if error.errno == ESRCH || error.errno == ENOENT { throw RuntimeError(.wrongStatus, "cannot exec in a stopped container") }
            throw RuntimeError(doing: doing, error)
        }
    }

    private func setUpSession() throws(RuntimeError) {
        try during("setting up the session") { () throws(SyscallError) in
            try startSession()
            if let keyring { try joinKeyring(keyring) }
        }
        guard let consoleSocket else { return }
        try Console.attachInContainer(for: payload.plan, sendingMasterTo: consoleSocket)
    }
}
