internal import LinuxSyscalls
internal import ShimProtocol

/// A process that is no child of ours, because the shim that had it made was killed. Its pidfd tells when it ends, and, on Linux 6.15
/// and later, how.
final class ForeignProcess {
    let descriptor: Descriptor
    let pid: Int32
    let startTimeTicks: UInt64
    private var watch: Watch?

    /// - Parameter kept: its pidfd, where the keeper has it.
    /// - Throws: ESRCH for a process that is gone, and was not kept.
    init(_ record: ProcessRecord, kept: Descriptor?) throws(SyscallError) {
        pid = Int32(bitPattern: record.pid)
        startTimeTicks = record.startTimeTicks
        if let kept {
            descriptor = kept
            return
        }
        descriptor = Descriptor(try openProcess(pid))
        // Looked at after the pidfd was opened: it is that very process, or it is not.
        guard try LinuxSyscalls.startTimeTicks(of: pid) == record.startTimeTicks else {
            throw SyscallError("pidfd_open", "process \(pid)", errno: 3)
        }
    }

    /// Calls `action` once, when it has ended; with nil where nobody can say how.
    func whenEnded(loop: EventLoop, _ action: @escaping (ProcessExit?) -> Void) throws(SyscallError) {
        watch = try loop.watch(descriptor.number, for: .readable) { [self] _ in
            watch?.cancel()
            watch = nil
            action(howItEnded())
        }
    }

    /// Whether its end has not been told.
    var isAwaited: Bool { watch != nil }

    /// How it ended where the kernel keeps it for what nobody reaps; its end is not told once more then.
    func takeKeptExit() -> ProcessExit? {
        guard isAwaited, let exit = try? exitKeptByUnreaped(of: pid), (try? LinuxSyscalls.startTimeTicks(of: pid)) == startTimeTicks else {
            return nil
        }
        watch?.cancel()
        watch = nil
        return exit
    }

    func signal(_ number: Int32) throws(SyscallError) { try sendSignal(number, toProcessOf: descriptor.owned) }

    private func howItEnded() -> ProcessExit? {
        // Its new parent reaps it before the kernel tells, or has not yet: then procfs says it of the zombie.
        if let known = try? exit(ofProcess: descriptor.owned) { return known }
        if let found = try? unreapedExit(of: pid), (try? LinuxSyscalls.startTimeTicks(of: pid)) == startTimeTicks { return found }
        return try? exit(ofProcess: descriptor.owned)
    }
}
