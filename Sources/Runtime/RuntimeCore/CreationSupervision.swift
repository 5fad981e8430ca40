internal import Cgroups
internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

// What the runtime does while init makes the container: the messages of docs/process-stages.md in order.
extension Creation {
    /// Accompanies init until only the last steps before the payload are left, and writes it down.
    func supervise(_ made: consuming MadeProcess, _ console: ConsoleEnds, _ admission: CgroupAdmission) throws(RuntimeError)
        -> PreparedProcess
    {
        let process = made.handle.process
        let channel = made.channel
        // Not yet on record, but already to be killed should anything fail.
        let initProcess = try during("looking at the container's process") { () throws(SyscallError) in
            guard let snapshot = try ProcessSnapshot.look(at: process) else {
                throw SyscallError("open", "/proc/\(process)/stat", errno: ENOENT)
            }
            return ContainerRecord.Init(process: process, startTicks: snapshot.startTicks)
        }
        record.initProcess = initProcess
        if let mapping {
            // As long as the process still has our ids, and not yet its own, we may.
            try processPlan.setLimits(of: process)
            try mapping.write(of: process, searchPath: request.searchPath)
            journal.debug("container \(record.id): ids of the user namespace mapped")
            try channel.send(.identityReady)
        } else if namespaces.joinedUser != nil, let user = bundle.configuration.process?.user {
            try IdentityMapping.requireMapped(user, inNamespaceOf: process)
        }
        let linux = bundle.configuration.linux
        try networkDevices.move(toNamespaceOf: process, path: linux?.namespace(.network)?.path)
        if admission.hasMoreToEnter {
            // Init is busy with what needs no cgroup meanwhile.
            do throws(RuntimeError) { try cgroup.finish(around: process) } catch {
                throw error.followed { () throws(RuntimeError) in try cgroup.writeDown(in: &record, directory) }
            }
            tellOfCgroup()
            let entry = try cgroup.entry()
            // A number outlives the entry that it belongs to only as long as someone holds that.
            try withExtendedLifetime(entry) { () throws(RuntimeError) in
                try channel.send(.cgroupReady, descriptors: entry.descriptors)
            }
        }
        if let group = record.resourceControl, let asked = linux?.intelRdt {
            do throws(CgroupError) { try group.make(asked, process: process) } catch { throw RuntimeError(error) }
        }
        try channel.awaitPrepared(process, journal) { () throws(RuntimeError) in
            journal.debug("container \(record.id): root mounted")
            try runRuntimeHooks()
            try channel.send(.hooksDone)
        }
        journal.debug("container \(record.id): prepared")
        if !isOrdinary { try processPlan.adjustOOMScore(of: process) }
        try processPlan.scheduling.apply(to: process)
        try directory.write(initProcess.encoded, to: ContainerRecord.initFileName)
        try writePIDFile(request.pidFile, process: process)
        hasPIDFile = request.pidFile != nil
        try sendPidfd(made.handle, to: request.pidfdSocket, word: "standard")
        var terminal: OwnedFD?
        if let receiving = console.receiving { terminal = try Console.receiveMaster(from: receiving) }
        return PreparedProcess(handle: made.handle, terminal: terminal, channel: channel)
    }

    func tellOfCgroup() {
        journal.debug("container \(record.id): cgroup made, \(cgroup.record.places.map(\.directory).joined(separator: " "))")
    }

    private func runRuntimeHooks() throws(RuntimeError) {
        hooksHaveRun = true
        let (hooks, limit) = (bundle.configuration.hooks, request.descriptorLimit)
        try HookRunner(list: "prestart", hooks: hooks.prestart, state: state(.created), descriptorLimit: limit).run()
        try HookRunner(list: "createRuntime", hooks: hooks.createRuntime, state: state(.creating), descriptorLimit: limit).run()
    }
}

/// Why a process of ours closed its channel without a word.
func lostProcess(_ process: Int32) -> RuntimeError {
    let fate =
        switch try? waitForExit(.process(process)) {
        case .some((_, .exited(let status))): "exited with status \(status)"
        case .some((_, .signalled(let signal))): "was killed by signal \(signal)"
        case nil: "is gone"
        }
    return RuntimeError(.lost, doing: "waiting for the container's process", "it \(fate) before it was ready")
}

extension ProcessPlan {
    /// Sets the limits of a process, 0 for the caller: by someone with the host's rights, which raising a limit takes, and before the
    /// process has ids of its own.
    func setLimits(of process: Int32) throws(RuntimeError) {
        for (index, limit) in limits.enumerated() {
            try during("process.rlimits[\(index)]: setting \(limit.name) to \(limit.soft):\(limit.hard)") { () throws(SyscallError) in
                try setLimit(of: limit.resource, soft: limit.soft, hard: limit.hard, process: process, subject: limit.name)
            }
        }
    }

    /// From outside, for whoever is in a user namespace may not lower it.
    ///
    /// An ordinary user may not write to a process that hides from the container: the runtime changes its own, which the process is then
    /// born with.
    func adjustOOMScore(of process: Int32) throws(RuntimeError) {
        guard let oomScoreAdjustment else { return }
        try during("process.oomScoreAdj: setting it to \(oomScoreAdjustment)") { () throws(SyscallError) in
            let file = try openFile(FilePath("/proc/\(process)/oom_score_adj"), .writeOnly)
            try writeAll(Array(String(oomScoreAdjustment).utf8), to: file.number, subject: "oom_score_adj")
        }
    }
}
