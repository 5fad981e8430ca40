internal import Cgroups
internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import OCISpec

/// Undoes what `create` did. Every step is tried whatever became of the one before, and every step may have been done already; the record
/// of a container of which something stays does, too.
struct Removal {
    let record: ContainerRecord
    let cgroup: ContainerCgroup
    let hooks: HookSet
    let journal: Journal
    /// The caller's, for hooks.
    let descriptorLimit: DescriptorLimit?

    /// How long processes that were killed may take to go: they may be in an uninterruptible call.
    private static let deadlineMilliseconds: Int32 = 10_000
    /// How long they are waited for at a time, before all that live are killed once more.
    private static let roundMilliseconds: Int32 = 250

    /// Of the container's own runtime, once its first process has ended: by then somebody may be deleting it, or have deleted it, which is
    /// no error. - Returns: whether it is still there, and ours to remove.
    static func takesOver(_ directory: borrowing StateDirectory) throws(RuntimeError) -> Bool {
        do throws(RuntimeError) {
            try directory.lock(timeoutNanoseconds: Int64(deadlineMilliseconds) * 1_000_000)
            return true
        } catch  where error.code == .notFound || error.code == .busy { return false }
    }

    /// Kills whatever is left of the container, then removes it.
    func killAndRemove(_ directory: borrowing StateDirectory, isPaused: Bool = false) throws(RuntimeError) {
        var attempts = Attempts()
        // All that is paused gets its signal before any of it is let go to die: else an exec that waits there could run before init's end
        // reaches it.
        if isPaused { attempts.add { () throws(RuntimeError) in try cgroup.killAll() } }
        // With a pid namespace of its own, the kernel has ended everything along with init.
        attempts.add { () throws(RuntimeError) in try killInit() }
        attempts.add { () throws(RuntimeError) in try cgroup.killAll() }
        try attempts.finish()
        try remove(directory)
    }

    /// Removes the cgroup, the mounts and the state of a container that has no process any more, and tells the `poststop` hooks.
    func remove(_ directory: borrowing StateDirectory) throws(RuntimeError) {
        var attempts = Attempts()
        attempts.add { () throws(RuntimeError) in try cgroup.remove() }
        attempts.add { () throws(RuntimeError) in
            if let problem = try record.callersMounts?.undo(at: record.rootfs) { journal.warn(problem) }
        }
        attempts.add { () throws(RuntimeError) in
            do throws(CgroupError) { try record.resourceControl?.remove() } catch { throw RuntimeError(error) }
        }
        try attempts.finish()
        // The record goes last: without it nobody would know what there is to be removed once more.
        try directory.removeAll()
        journal.debug("container \(record.id): removed")
        if hooks.poststop.isEmpty { return }
        let state = ContainerState(
            ociVersion: record.ociVersion, id: record.id, status: .stopped, pid: nil, bundle: record.bundle, annotations: record.annotations
        )
        let runner = HookRunner(list: "poststop", hooks: hooks.poststop, state: state, descriptorLimit: descriptorLimit)
        for failure in runner.runAll() { journal.warn(failure.description) }
    }

    private func killInit() throws(RuntimeError) {
        guard let recorded = record.initProcess else { return }
        do throws(SyscallError) {
            let handle = try ProcessHandle(recorded.process)
            guard let snapshot = try ProcessSnapshot.look(at: recorded.process), snapshot.startTicks == recorded.startTicks else { return }
            if snapshot.isKept { return }
            if snapshot.isAlive { try handle.signal(SIGKILL, subject: "container \(record.id)") }
            try waitForEnd(of: handle, recorded.process)
        } catch {
            if error.errno != ESRCH { throw RuntimeError(doing: "killing the container's process", error) }
        }
    }

    private func waitForEnd(of handle: borrowing ProcessHandle, _ process: Int32) throws(SyscallError) {
        // What is frozen does not even die. Where thawing fails, the wait below does too, and says so.
        try? cgroup.thawAll()
        let deadline = moment(nanoseconds: Int64(Self.deadlineMilliseconds) * 1_000_000)
        while try handle.waitForEnd(timeoutMilliseconds: min(Self.roundMilliseconds, millisecondsUntil(deadline))).isEmpty {
            if millisecondsUntil(deadline) == 0 { throw SyscallError("kill", "the container's process", errno: ETIMEDOUT) }
            // Nothing is left of it that could be waited for.
            if try ProcessSnapshot.look(at: process)?.isKept == true { return }
            // Whoever lives may freeze others again, or the first process itself.
            try? cgroup.killAll()
        }
        // Reaped here where it is our own child; else by whoever started it.
        try handle.reap()
    }
}

/// Steps that are all tried; what the later ones failed at is told after the first error.
struct Attempts {
    private var first: RuntimeError?

    mutating func add(_ step: () throws(RuntimeError) -> Void) {
        do throws(RuntimeError) { try step() } catch {
            guard let before = first else {
                first = error
                return
            }
            let later = error
            first = before.followed { () throws(RuntimeError) in throw later }
        }
    }

    func finish() throws(RuntimeError) {
        if let first { throw first }
    }
}
