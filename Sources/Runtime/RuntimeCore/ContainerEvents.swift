package import Cgroups
internal import LinuxSyscalls

/// What `events` tells of a container.
package enum ContainerEvent: Equatable, Sendable {
    /// It ran out of memory.
    case outOfMemory
    case usage(ContainerUsage)
}

/// What a container uses, and how hard it is to get.
package struct ContainerUsage: Equatable, Sendable {
    package var report = UsageReport()
    package var pressure = PressureReport()
    /// nil without a group of resctrl.
    package var resourceControl: ResourceControlUsage?
}

extension Container {
    private static let memoryToken: UInt64 = 1
    private static let processToken: UInt64 = 2

    /// Tells what happens, and regularly what is used, until the container's first process has ended.
    /// - Throws: `wrongStatus` for one that has stopped; what `tell` throws.
    package func watch(
        intervalNanoseconds: Int64, _ tell: (ContainerEvent) throws(RuntimeError) -> Void
    ) throws(RuntimeError) {
        guard let process = try openInit() else { throw RuntimeError(.wrongStatus, nothingToMeasure) }
        let cgroup = try ContainerCgroup(recorded: record().cgroup)
        var memory: MemoryEvents?
        do throws(RuntimeError) { memory = try cgroup.memoryEvents() } catch { throw try unlessEnded(error, nothingToMeasure) }
        let epoll = try during("preparing to wait for events") { () throws(SyscallError) in
            let epoll = try Epoll()
            if let pidfd = try? process.pidfd() { try epoll.add(pidfd, for: .readable, token: Self.processToken) }
            if let (number, readiness) = Self.source(of: memory) { try epoll.add(number, for: readiness, token: Self.memoryToken) }
            return epoll
        }
        // Without a pidfd nobody tells.
        let isLookedAt = (try? process.pidfd()) == nil
        let longestWaitMilliseconds = isLookedAt ? ProcessHandle.longestPauseMilliseconds : .max
        var nextReport = moment(nanoseconds: intervalNanoseconds)
        while true {
            let ready = try during("waiting for events") { () throws(SyscallError) in
                try epoll.wait(timeoutMilliseconds: min(millisecondsUntil(nextReport), longestWaitMilliseconds))
            }
            let hasEnded = try during("waiting for events") { () throws(SyscallError) in
                if isLookedAt { return try process.hasEnded() }
                return ready.contains { $0.token == Self.processToken }
            }
            // What ended the process may be what is to be told.
            if hasEnded || ready.contains(where: { $0.token == Self.memoryToken }) {
                switch try Self.take(from: &memory) {
                case .some(0): break
                case .some: try tell(.outOfMemory)
                case nil: return
                }
            }
            if hasEnded { return }
            guard monotonicNanoseconds() >= nextReport else { continue }
            let usage: ContainerUsage
            do throws(RuntimeError) { usage = try cgroup.usage(with: record().resourceControl) } catch {
                // The cgroup goes when the process has ended, of which the next round hears.
                if try liveInit() == nil { continue }
                throw error
            }
            try tell(.usage(usage))
            nextReport = moment(nanoseconds: intervalNanoseconds, after: nextReport)
        }
    }

    private static func source(of memory: borrowing MemoryEvents?) -> (Int32, Readiness)? {
        switch memory {
        case .some(let events): (events.number, events.readiness)
        case .none: nil
        }
    }

    /// nil when the cgroup is gone.
    private static func take(from memory: inout MemoryEvents?) throws(RuntimeError) -> UInt64? {
        guard var events = memory.take() else { return 0 }
        do throws(CgroupError) {
            let count = try events.take()
            memory = consume events
            return count
        } catch { throw RuntimeError(error) }
    }
}
