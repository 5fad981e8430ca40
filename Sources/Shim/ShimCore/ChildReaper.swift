internal import LinuxSyscalls

/// How a process ended, and when that was noticed.
struct ReapedExit {
    /// nil where nobody can say: it was another shim's, which was killed.
    let exit: ProcessExit?
    let unixNanoseconds: Int64
}

/// Reaps every child: the runtimes that we run, the payloads that they leave to us as subreaper, and orphans.
final class ChildReaper {
    /// Exits of processes that nobody has asked for yet, kept while a runtime runs.
    static let maximumUnclaimedCount = 4096

    private let signals: Descriptor
    private let loop: EventLoop
    private var watch: Watch?
    private var handlers: [Int32: (ReapedExit) -> Void] = [:]
    /// The oldest first, each with how many had ended before it.
    private var unclaimed: [(process: Int32, exit: ReapedExit, place: UInt64)] = []
    private var endedCount: UInt64 = 0
    /// How many had ended when each of those was announced that are open.
    private var announcements: [Announcement: UInt64] = [:]
    private var nextAnnouncement: UInt64 = 0

    /// One that is to be ended by `announcementOver`.
    struct Announcement: Hashable { fileprivate let number: UInt64 }

    /// - Parameter signals: a signalfd of SIGCHLD.
    init(signals: Descriptor, loop: EventLoop) throws(SyscallError) {
        self.signals = signals
        self.loop = loop
        watch = try loop.watch(signals.number, for: .readable) { [unowned self] _ in
            drainSignals()
            reap()
        }
    }

    /// A process will be asked for whose number is not known yet: exits are kept until `announcementOver`.
    func announce() -> Announcement {
        nextAnnouncement += 1
        let announcement = Announcement(number: nextAnnouncement)
        announcements[announcement] = endedCount
        return announcement
    }

    /// Exits are kept no longer than somebody may ask for them: the number may be another process's soon.
    func announcementOver(_ announcement: Announcement) {
        announcements[announcement] = nil
        guard let oldest = announcements.values.min() else { return unclaimed = [] }
        unclaimed.removeAll { $0.place < oldest }
    }

    /// Calls `handler` when `process` has ended, in a later turn also when it has already.
    func whenEnded(_ process: Int32, _ handler: @escaping (ReapedExit) -> Void) {
        // The youngest of that number is the one that is meant.
        if let place = unclaimed.lastIndex(where: { $0.process == process }) {
            let exit = unclaimed[place].exit
            unclaimed.removeAll { $0.process == process }
            loop.soon { handler(exit) }
        } else {
            handlers[process] = handler
        }
    }

    /// Whether `process` is a child that has not been reaped: its number cannot mean another one.
    func isAwaited(_ process: Int32) -> Bool { handlers[process] != nil }

    private func drainSignals() {
        // Nothing can be wrong with a signalfd of ours but that it is empty.
        while let signal = try? nextSignal(of: signals.owned), signal != 0 {}
    }

    private func reap() {
        while true {
            let ended: (process: Int32, exit: ProcessExit)?
            // ECHILD: no child is left.
            do throws(SyscallError) { ended = try waitForExit(.anyChild, block: false) } catch { return }
            guard let ended else { return }
            let reaped = ReapedExit(exit: ended.exit, unixNanoseconds: unixNanoseconds())
            if let handler = handlers.removeValue(forKey: ended.process) {
                handler(reaped)
            } else if !announcements.isEmpty {
                if unclaimed.count == Self.maximumUnclaimedCount { unclaimed.removeFirst() }
                unclaimed.append((ended.process, reaped, endedCount))
            }
            endedCount += 1
        }
    }
}
