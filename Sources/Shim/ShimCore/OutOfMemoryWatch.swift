internal import Cgroups
internal import LinuxSyscalls

/// Calls its handler once for each process of a container that the OOM killer ended.
final class OutOfMemoryWatch {
    /// Version 1 notifies before it kills: the count is looked at again after this.
    private static let settlingTime = Duration.milliseconds(50)
    /// Calls for one look: a fork bomb is not an event each.
    private static let maximumCallCount: UInt64 = 64

    private let cgroup: Cgroup
    private let handler: () -> Void
    private let loop: EventLoop
    private var events: MemoryEvents
    private var watch: Watch?
    private(set) var seenCount: UInt64

    /// - Parameter knownCount: kills that a killed shim has told.
    init(_ cgroup: Cgroup, knownCount: UInt64, loop: EventLoop, handler: @escaping () -> Void) throws(ShimError) {
        self.cgroup = cgroup
        seenCount = knownCount
        self.loop = loop
        self.handler = handler
        do throws(CgroupError) { events = try cgroup.memoryEvents() } catch {
            throw ShimError(.kernel, "watch for the OOM killer", cause: "\(error)")
        }
        do throws(SyscallError) {
            watch = try loop.watch(events.number, for: events.readiness) { [unowned self] _ in notified() }
        } catch { throw ShimError("watch for the OOM killer", error) }
    }

    /// Whether a process of the container was killed.
    var hasSeenKill: Bool { seenCount > 0 }

    /// Looks at the count, also unasked: the last kill and the end of the process are noticed in either order.
    func check() {
        // A group that is gone counts nothing more.
        guard let count = try? cgroup.oomKillCount(), count > seenCount else { return }
        let killed = count - seenCount
        seenCount = count
        for _ in 0..<min(killed, Self.maximumCallCount) { handler() }
    }

    func cancel() {
        watch?.cancel()
        watch = nil
    }

    private func notified() {
        do throws(CgroupError) {
            guard try events.take() != nil else { return cancel() }
        } catch { return cancel() }
        check()
        loop.after(Self.settlingTime) { [weak self] in self?.check() }
    }
}
