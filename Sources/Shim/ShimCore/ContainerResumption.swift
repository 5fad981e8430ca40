internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// The container in the hands of a shim that takes a killed one's place, and what it leaves for such a one itself.
extension ContainerTask {
    // MARK: - For the next

    /// The name under which the keeper has a process's open files.
    private func keptName(_ process: SupervisedProcess) -> String { process.execID.isEmpty ? id : "\(id)/\(process.execID)" }

    /// The name for what was taken of its input: one of its own, as keepers and shims of older versions know no role for it, and pass over such a name.
    private func keptInputName(_ process: SupervisedProcess) -> String { "\(keptName(process))//stdin" }

    /// Hands the open files of a process that was made to the keeper.
    /// - Parameter hasFormerInput: the keeper has input of it that a killed shim took.
    func keep(_ process: SupervisedProcess, pid: Int32, hasFormerInput: Bool = false) {
        guard let keeper = context.keeper, process.stdio.isAttachable else { return }
        do throws(SyscallError) {
            let descriptor = if let foreign = process.foreign { foreign.descriptor } else { Descriptor(try openProcess(pid)) }
            process.startTimeTicks = (try? startTimeTicks(of: pid)) ?? 0
            let (name, inputName) = (keptName(process), keptInputName(process))
            var mayKeepInput = hasFormerInput
            let keep = { [weak process] in
                guard let process else { return }
                var kept = process.stdio.kept
                // First: without it the next shim would take the input for one that nothing was taken of.
                if let input = process.stdio.keptInput {
                    keeper.keep([.input: input], of: inputName)
                } else if mayKeepInput || keeper.keeps(inputName) {
                    keeper.drop(inputName)
                }
                mayKeepInput = false
                kept[.process] = descriptor
                keeper.keep(kept, of: name)
            }
            process.stdio.onInputClosed = keep
            keep()
            if runner.command.isBridged { passInputsEndOn(process, after: keep) }
        } catch { context.report("\(error)") }
    }

    private func passInputsEndOn(_ process: SupervisedProcess, after keep: @escaping () -> Void) {
        let id = process.bridgedID
        let pass = { [runner, context] in
            do throws(SyscallError) { try runner.endInput(execID: id) } catch { context.report("end of input: \(error)") }
        }
        process.stdio.onInputClosed = {
            keep()
            pass()
        }
        if process.stdio.hasClosedInput { pass() }
    }

    /// The process has ended, and that was told.
    func stopKeeping(_ process: SupervisedProcess) {
        process.stdio.onInputClosed = nil
        context.keeper?.drop(keptName(process))
    }

    /// Clients come and go: the next shim must know how many it owes something, and what that is.
    func watchAttachments(of process: SupervisedProcess) {
        process.onAttachmentsChanged = { [weak self, weak process] count in
            // A client may stay longer than the container, with what it has not read.
            guard let self, let process else { return }
            if process === first { disk?.keep(forClients: count > 0) }
            saveLife()
        }
    }

    /// Writes down what the next shim must know.
    func saveLife() {
        guard options.usesAttach, first.startedAt != nil || !journal.changes.isEmpty else { return }
        var life = LifeRecord()
        life.processes = ([first] + execs).compactMap(\.record)
        life.changes = journal.changes
        life.lastRevision = journal.lastRevision
        life.restarts = restarts.record
        life.restarts.isRestarting = isBetweenRuns
        life.memoryKillCount = outOfMemory?.seenCount ?? formerCounts?.kills ?? 0
        life.refusalCount = processLimit?.seenCount ?? formerCounts?.refusals
        life.health = health?.report
        do throws(SyscallError) {
            let path = configuration.layout.lifePath
            try writeAll(life.encoded(), toFile: FilePath("\(path).new"))
            try renameFile(FilePath("\(path).new"), to: FilePath(path))
        } catch { context.report("\(error)") }
    }

    private var isBetweenRuns: Bool {
        switch restart {
        case .none: false
        case .waiting: true
        case .underWay: first.startedAt == nil || first.exit != nil
        }
    }

    // MARK: - After the last

    /// Goes on where a killed shim stood.
    func resume(_ resumption: ShimResumption) throws(ShimError) {
        let life = resumption.life
        let record = life.processes.first { $0.execID.isEmpty }
        keepForClients(of: record)
        try openLog(isNew: false) { [context] problem in if let problem { context.report("\(problem)") } }
        journal.restore(life)
        restarts = RestartPlan(life.restarts)
        if life.restarts.isRestarting {
            first.startedAt = record?.startedAt
            first.state = .stopped(record?.exit ?? life.changes.last { $0.exit != nil }?.exit ?? ExitNotice())
            if let report = life.health { health?.restore(report) }
            goOnWithRestart()
        } else {
            guard let record else { throw ShimError(.notFound, "resume \(id)", cause: "nothing of it was started") }
            firstStartedAt = Int64(clamping: record.startedMonotonic)
            take(over: first, record, resumption)
            if record.exit == nil {
                look(at: Int32(bitPattern: record.pid), former: ToldCounts(kills: life.memoryKillCount, refusals: life.refusalCount))
                if let report = life.health { health?.resume(report, beganAt: firstStartedAt) }
            }
        }
        resumeExecs(resumption)
        saveLife()
    }

    /// The clients of the killed shim come for what it owed them: until then nothing of that is given back, whether it is in the log or not.
    private func keepForClients(of record: ProcessRecord?) {
        guard let record, record.attachmentCount > 0 else { return }
        disk?.keep(forClients: true)
        context.loop.after(ProcessStdio.absenceLimit) { [self] in disk?.keep(forClients: first.hasAttachments) }
    }

    private func resumeExecs(_ resumption: ShimResumption) {
        for record in resumption.life.processes where !record.execID.isEmpty {
            let plan = ProcessStdio.Plan.attach(openStdin: record.openStdin, log: nil)
            let stdio = ProcessStdio(StdioPaths(terminal: record.terminal), plan, context)
            let exec = SupervisedProcess(execID: record.execID, stdio: stdio, stdinOnce: true, state: .noted)
            exec.isCheck = record.isCheck
            execs.append(exec)
            take(over: exec, record, resumption)
            if record.isCheck { endForeignCheck(exec) }
        }
    }

    private func take(over process: SupervisedProcess, _ record: ProcessRecord, _ resumption: ShimResumption) {
        let kept = resumption.kept[keptName(process)] ?? [:]
        let input = resumption.kept[keptInputName(process)]?[.input]
        process.startedAt = record.startedAt
        process.startTimeTicks = record.startTimeTicks
        if let exit = record.exit { return process.state = .stopped(exit) }
        let pid = Int32(bitPattern: record.pid)
        process.state = .running(pid: pid)
        do throws(ShimError) { try process.stdio.adopt(kept, keptInput: input) } catch {
            context.report("streams of \(name(process)): \(error)")
        }
        process.stdio.hold(for: Int(record.attachmentCount))
        do throws(SyscallError) {
            let foreign = try ForeignProcess(record, kept: kept[.process])
            process.foreign = foreign
            try foreign.whenEnded(loop: context.loop) { [self] in foreignEnded(process, $0) }
            keep(process, pid: pid, hasFormerInput: input != nil)
        } catch {
            context.loop.soon { [self] in foreignEnded(process, nil) }
        }
    }

    private func foreignEnded(_ process: SupervisedProcess, _ exit: ProcessExit?) {
        if process !== first, let orphan = process.foreign, let keeping = first.foreign {
            orphans.add(orphan, of: keeping) { [self] in foreignEnded(first, $0) }
        }
        if process === first, let recorded = recordedExit() { return ended(process, recorded) }
        ended(process, ReapedExit(exit: exit, unixNanoseconds: unixNanoseconds()))
    }

    /// What the killed shim had on record of this very run, and told nobody.
    private func recordedExit() -> ReapedExit? {
        guard !options.exitRecordPath.isEmpty,
            let bytes = try? readFile(FilePath(options.exitRecordPath), limitBytes: ExitRecord.maximumByteCount),
            let record = try? ExitRecord(decoding: bytes), record.pid == UInt32(bitPattern: first.pid),
            record.startedAtUnixNanoseconds == first.startedAt?.unixNanoseconds
        else { return nil }
        if record.isUnknown { return ReapedExit(exit: nil, unixNanoseconds: record.exitedAtUnixNanoseconds) }
        let exit: ProcessExit =
            record.signal == 0 ? .exited(Int32(clamping: record.exitCode)) : .signalled(Int32(clamping: record.signal))
        return ReapedExit(exit: exit, unixNanoseconds: record.exitedAtUnixNanoseconds)
    }
}
