internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol

/// The end of a process, and of the container.
extension ContainerTask {
    /// How long output is copied after a process ended while descendants hold its streams open.
    static let outputGrace = Duration.seconds(2)
    /// How long processes may take to end that the runtime killed with the container.
    static let deletionGrace = Duration.seconds(10)
    /// How long an end is kept back for its record: a disk that stalls must not keep it a secret, and gets the record when it goes on.
    static let recordGrace = Duration.seconds(5)
    static let sigkill: UInt32 = 9
    /// As Docker has it.
    private static let unknownStatus: UInt32 = 255

    /// A process was reaped: what it wrote is copied, its end recorded, and only then told.
    func ended(_ process: SupervisedProcess, _ reaped: ReapedExit) {
        process.heldExit = reaped
        process.stdio.processEnded()
        processLimit?.check()
        if process === first {
            health?.end()
            outOfMemory?.check()
            if sharesPIDNamespace {
                runner.run(.kill(signal: Self.sigkill, all: true)) { [context] failure in
                    if let failure, !failure.saysThatContainerIsMissing { context.report("kill what is left: \(failure)") }
                }
            }
        }
        settleHeldExit(process)
    }

    /// Goes on with a held exit, unless the runtime is still at work on the process: its start is told first.
    func settleHeldExit(_ process: SupervisedProcess) {
        guard let reaped = process.heldExit else { return }
        let pid: Int32
        switch process.state {
        case .created(let known), .running(let known): pid = known
        case .starting, .creating: return
        case .noted, .stopped, .failed: return
        }
        health?.reaped(process, pid: pid)
        let notice = exitNotice(reaped, pid: pid, process: process)
        let once = Once { [self] in whenLast(process) { [self] in record(notice, of: process, reaped) } }
        let timer = context.loop.after(Self.outputGrace) {
            process.stdio.finishWithWhatIsThere()
            once.run()
        }
        process.stdio.whenEnded { [context] in
            context.loop.cancelTimer(timer)
            once.run()
        }
    }

    /// The first process's end is told last of all: where it ends nobody by itself, its execs are waited for, which were killed with it.
    /// - Source: containerd cmd/containerd-shim-runc-v2/task/service.go, `handleInitExit`.
    private func whenLast(_ process: SupervisedProcess, _ action: @escaping () -> Void) {
        let others = process === first && sharesPIDNamespace ? execs.filter { $0.livePID != nil || $0.heldExit != nil } : []
        guard !others.isEmpty else { return action() }
        let once = Once(action)
        let timer = context.loop.after(Self.deletionGrace, once.run)
        var openCount = others.count
        for exec in others {
            exec.whenSettled { [context] in
                openCount -= 1
                if openCount > 0 { return }
                context.loop.cancelTimer(timer)
                once.run()
            }
        }
    }

    private func exitNotice(_ reaped: ReapedExit, pid: Int32, process: SupervisedProcess) -> ExitNotice {
        var notice = ExitNotice()
        notice.pid = UInt32(bitPattern: pid)
        notice.exitStatus = reaped.exit.map { UInt32(bitPattern: $0.shellStatus) } ?? Self.unknownStatus
        notice.isUnknown = reaped.exit == nil
        if case .signalled(let signal) = reaped.exit { notice.signal = UInt32(bitPattern: signal) }
        notice.exitedAt = ProtobufTimestamp(unixNanoseconds: reaped.unixNanoseconds)
        notice.oomKilled = process === first && outOfMemory?.hasSeenKill == true
        return notice
    }

    private func record(_ notice: ExitNotice, of process: SupervisedProcess, _ reaped: ReapedExit) {
        // What never ran leaves the record of the run before alone.
        guard process === first, process.startedAt != nil, let disk else { return tell(notice, of: process) }
        let record = ExitRecord(
            id: id, pid: notice.pid, exitCode: notice.exitStatus, signal: notice.signal,
            startedAtUnixNanoseconds: process.startedAt?.unixNanoseconds ?? 0,
            exitedAtUnixNanoseconds: reaped.unixNanoseconds, oomKilled: notice.oomKilled, isUnknown: notice.isUnknown)
        let path = options.exitRecordPath
        let once = Once { [self] in tell(notice, of: process) }
        let timer = context.loop.after(Self.recordGrace, once.run)
        disk.submit(path.isEmpty ? .nothing : .writeDurably(record.encoded(), path: path)) { [context] problem in
            context.loop.cancelTimer(timer)
            // A full disk must not keep the end a secret as well.
            if let problem { context.report("exit record \(path): \(problem)") }
            once.run()
        }
    }

    private func tell(_ notice: ExitNotice, of process: SupervisedProcess) {
        process.heldExit = nil
        process.state = .stopped(notice)
        process.foreign = nil
        stopKeeping(process)
        if process === first { firstEnded(notice) }
        context.publish(
            .exit(
                TaskExitEvent(
                    containerID: id, processID: process.execID.isEmpty ? id : process.execID, pid: notice.pid,
                    exitStatus: notice.exitStatus, exitedAt: notice.exitedAt)))
        if process !== first { saveLife() }
        process.announce(notice)
    }

    // MARK: - Deletion

    /// Takes away what an ended exec, or one that never ran, leaves.
    func delete(_ exec: SupervisedProcess, _ completion: @escaping (DeleteResponse) -> Void) throws(ShimError) {
        guard exec.isSettled else { throw wrongState("delete", exec) }
        if case .noted = exec.state { exec.abandon(ShimError(.wrongState, "exec \(exec.execID)", cause: "deleted before it ran")) }
        execs.removeAll { $0 === exec }
        saveLife()
        exec.stdio.endLogging { [self] in completion(response(exec)) }
    }

    /// Takes the whole container away: the runtime's state, the root mounts. The ends of its processes are told before.
    func delete(_ completion: @escaping (Result<DeleteResponse, ShimError>) -> Void) {
        guard !isDeleting else { return completion(.failure(ShimError(.wrongState, "delete \(id)", cause: "under way"))) }
        guard case .none = restart else {
            return completion(.failure(ShimError(.wrongState, "delete \(id)", cause: "it is being restarted")))
        }
        var isUnstarted = false
        switch first.state {
        case .stopped, .failed: break
        case .noted: isUnstarted = true
        case .created where first.heldExit == nil: isUnstarted = true
        case .creating, .created, .starting, .running: return completion(.failure(wrongState("delete", first)))
        }
        isDeleting = true
        runner.run(.delete(force: isUnstarted)) { [self] failure in
            if let failure, !failure.saysThatContainerIsMissing {
                isDeleting = false
                return completion(.failure(failure))
            }
            whenAllSettled { [self] failure in
                if let failure {
                    isDeleting = false
                    return completion(.failure(failure))
                }
                for exec in execs { exec.stdio.endLogging {} }
                first.stdio.endLogging { [self] in
                    isDeleting = false
                    finishDeletion(completion)
                }
            }
        }
    }

    /// Calls `action` when nothing runs any more, at the latest after `deletionGrace`; then with the process that does.
    func whenAllSettled(_ action: @escaping (ShimError?) -> Void) {
        var isDone = false
        let finish = { (failure: ShimError?) in
            if isDone { return }
            isDone = true
            action(failure)
        }
        let all = [first] + execs
        let timer = context.loop.after(Self.deletionGrace) { [self] in
            if let late = all.first(where: { !$0.isSettled }) { finish(wrongState("delete", late)) }
        }
        var openCount = all.count
        for process in all {
            process.whenSettled { [context] in
                openCount -= 1
                if openCount > 0 { return }
                context.loop.cancelTimer(timer)
                finish(nil)
            }
        }
    }

    private func finishDeletion(_ completion: (Result<DeleteResponse, ShimError>) -> Void) {
        if let problem = RootMounts.unmount(request.rootfs, bundle: bundle) {
            return completion(.failure(ShimError(.kernel, "unmount", cause: problem)))
        }
        stopWatchingLimits()
        context.keeper?.drop(id)
        for exec in execs where exec.exit == nil {
            exec.abandon(ShimError(.notFound, "exec \(exec.execID)", cause: "its container was deleted"))
        }
        let answer = response(first)
        context.publish(
            .delete(
                TaskExitEvent(
                    containerID: id, processID: id, pid: answer.pid, exitStatus: answer.exitStatus, exitedAt: answer.exitedAt)))
        journal.close(ShimError(.notFound, "container \(id)", cause: "deleted"))
        completion(.success(answer))
    }

    private func response(_ process: SupervisedProcess) -> DeleteResponse {
        DeleteResponse(
            pid: UInt32(bitPattern: process.pid), exitStatus: process.exit?.exitStatus ?? 0, exitedAt: process.exit?.exitedAt)
    }
}
