internal import LinuxSyscalls

/// Execs of a killed shim that ended as children of somebody who reaps nobody, as the first process of a machine that is itself a container may be. Until
/// they are reaped the kernel keeps the container's first process, which has ended: that end is looked for, as nothing tells of it.
final class UnreapedOrphans {
    private static let interval = Duration.seconds(1)

    private let loop: EventLoop
    private var orphans: [(pid: Int32, startTimeTicks: UInt64)] = []
    private var isLooking = false

    init(_ loop: EventLoop) { self.loop = loop }

    /// - Parameters:
    ///   - orphan: has ended just now.
    ///   - first: the container's first process, which has not.
    ///   - action: called when all that keeps `first` are orphans.
    func add(_ orphan: ForeignProcess, of first: ForeignProcess, whenEnded action: @escaping (ProcessExit) -> Void) {
        orphans.append((orphan.pid, orphan.startTimeTicks))
        if isLooking { return }
        isLooking = true
        lookSoon(at: first, action)
    }

    private func lookSoon(at first: ForeignProcess, _ action: @escaping (ProcessExit) -> Void) {
        loop.after(Self.interval) { [weak self] in
            guard let self else { return }
            orphans.removeAll { (try? unreapedExit(of: $0.pid)) == nil || (try? startTimeTicks(of: $0.pid)) != $0.startTimeTicks }
            if orphans.isEmpty || !first.isAwaited { return isLooking = false }
            if let exit = first.takeKeptExit() { return action(exit) }
            lookSoon(at: first, action)
        }
    }
}
