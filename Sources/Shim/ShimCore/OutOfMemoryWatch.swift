internal import Cgroups
internal import LinuxSyscalls

/// Calls its handler once for each process of a container that the OOM killer ended.
final class OutOfMemoryWatch {
    /// Version 1 notifies before it kills: the count is looked at again after this.
    private static let settlingTime = Duration.milliseconds(50)
    /// Calls for one look: a fork bomb is not an event each.
    private static let maximumCallCount: UInt64 = 64

    /// Kills are only counted, and noticed at the container's end, while they cannot be watched: that is tried again after pauses that double
    /// up to this.
    private static let longestRetrySeconds = 64

    private let cgroup: Cgroup
    private let isHeldBack: () -> Bool
    private let handler: () -> Void
    private unowned let context: ShimContext
    private var events: MemoryEvents?
    private var watch: Watch?
    private var isOver = false
    private var retrySeconds = 1
    /// Why the last look at the count failed, which was told; nil where it did not.
    private var problem: String?
    private var isLookPending = false
    private(set) var seenCount: UInt64

    /// - Parameters:
    ///   - knownCount: kills that a killed shim has told.
    ///   - isHeldBack: whether nothing is told yet; `check` is called when it no longer is.
    init(_ cgroup: Cgroup, knownCount: UInt64, context: ShimContext, isHeldBack: @escaping () -> Bool, handler: @escaping () -> Void) {
        self.cgroup = cgroup
        self.isHeldBack = isHeldBack
        seenCount = knownCount
        self.context = context
        self.handler = handler
        if let problem = begin() { context.report("watch for the OOM killer: \(problem)") }
    }

    /// - Returns: why nothing tells of kills yet.
    @discardableResult
    private func begin() -> String? {
        if isOver { return nil }
        do throws(CgroupError) {
            let found = try cgroup.memoryEvents()
            do throws(SyscallError) {
                watch = try context.loop.watch(found.number, for: found.readiness) { [unowned self] _ in notified() }
            } catch { return tryAgain("\(error)") }
            events = consume found
        } catch {
            // Where memory is not counted it never will be.
            return error.code == .unavailable ? "\(error)" : tryAgain("\(error)")
        }
        // What happened before, as between two shims, is told by nobody.
        context.loop.soon { [weak self] in self?.check() }
        return nil
    }

    private func tryAgain(_ problem: String) -> String {
        context.loop.after(.seconds(retrySeconds)) { [weak self] in self?.begin() }
        retrySeconds = min(retrySeconds * 2, Self.longestRetrySeconds)
        return problem
    }

    /// Whether a process of the container was killed.
    var hasSeenKill: Bool { seenCount > 0 }

    /// Looks at the count, also unasked: the last kill and the end of the process are noticed in either order.
    func check() {
        if isOver || isHeldBack() { return }
        let count: UInt64
        do throws(CgroupError) {
            // A group that is gone counts nothing more.
            guard let found = try killCount() else { return }
            count = found
        } catch {
            if error.isOfGroupGone { return }
            return lookAgain(after: "\(error)")
        }
        (problem, retrySeconds) = (nil, 1)
        guard count > seenCount else { return }
        let killed = count - seenCount
        seenCount = count
        for _ in 0..<min(killed, Self.maximumCallCount) { handler() }
    }

    /// No descriptor may be left, and the end of the container is no time to wait for one.
    private func killCount() throws(CgroupError) -> UInt64? {
        if let watched = try events?.killCount() { return watched }
        return try context.withSpareDescriptor { () throws(CgroupError) in try cgroup.oomKillCount() }
    }

    /// What is counted stays counted: it is told when the look succeeds.
    private func lookAgain(after failure: String) {
        if problem != failure { context.report("count kills for want of memory: \(failure)") }
        problem = failure
        if isLookPending { return }
        isLookPending = true
        context.loop.after(.seconds(retrySeconds)) { [weak self] in
            guard let self else { return }
            isLookPending = false
            check()
        }
        retrySeconds = min(retrySeconds * 2, Self.longestRetrySeconds)
    }

    func cancel() {
        isOver = true
        stopWatching()
    }

    private func stopWatching() {
        watch?.cancel()
        watch = nil
    }

    private func notified() {
        do throws(CgroupError) {
            guard try events?.take() != nil else { return stopWatching() }
        } catch {
            // What it would say again and again is left alone for a while.
            stopWatching()
            return context.report("watch for the OOM killer: \(tryAgain("\(error)"))")
        }
        check()
        context.loop.after(Self.settlingTime) { [weak self] in self?.check() }
    }
}
