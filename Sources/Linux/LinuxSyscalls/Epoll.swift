internal import CLinux
internal import Glibc

/// What a descriptor is waited for, and what it turned out to be.
package struct Readiness: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// EPOLLIN.
    package static let readable = Readiness(rawValue: 0x001)
    /// EPOLLPRI: for cgroup event files, a change.
    package static let priority = Readiness(rawValue: 0x002)
    /// EPOLLOUT.
    package static let writable = Readiness(rawValue: 0x004)
    /// EPOLLERR; always waited for.
    package static let failed = Readiness(rawValue: 0x008)
    /// EPOLLHUP, the other end is gone; always waited for.
    package static let hungUp = Readiness(rawValue: 0x010)
}

/// One descriptor that became ready.
package struct ReadyEvent: Equatable, Sendable {
    /// What the descriptor was registered with.
    package let token: UInt64
    package let readiness: Readiness
}

/// A set of descriptors to wait for together, level-triggered. - Source: epoll(7).
package struct Epoll: ~Copyable, Sendable {
    private let descriptor: OwnedFD
    /// The most events of one wait.
    package static let maximumEventCount = 64

    package init() throws(SyscallError) {
        descriptor = OwnedFD(owning: try checked("epoll_create1") { clinux_epoll_create() })
    }

    /// Waits for `number` from here on. Close it only after `remove`.
    package func add(_ number: Int32, for readiness: Readiness, token: UInt64) throws(SyscallError) {
        try control(1, number, readiness, token)
    }

    /// Changes what `number` is waited for; an empty set leaves errors and hang-ups.
    package func change(_ number: Int32, for readiness: Readiness, token: UInt64) throws(SyscallError) {
        try control(3, number, readiness, token)
    }

    /// Waits for `number` no longer.
    package func remove(_ number: Int32) throws(SyscallError) { try control(2, number, [], 0) }

    /// Waits until something is ready, or a signal handler ran, or the time is over: then nothing is returned.
    /// - Parameter timeoutMilliseconds: nil waits for ever.
    package func wait(timeoutMilliseconds: Int32?) throws(SyscallError) -> [ReadyEvent] {
        var events = [clinux_event](repeating: clinux_event(), count: Self.maximumEventCount)
        let epoll = descriptor.number
        let count = unsafe clinux_epoll_wait(epoll, &events, Int32(Self.maximumEventCount), timeoutMilliseconds ?? -1)
        if count == -EINTR { return [] }
        if count < 0 { throw SyscallError("epoll_wait", errno: -count) }
        return events[..<Int(count)].map { ReadyEvent(token: $0.token, readiness: Readiness(rawValue: $0.events)) }
    }

    private func control(_ operation: Int32, _ number: Int32, _ readiness: Readiness, _ token: UInt64) throws(SyscallError) {
        let epoll = descriptor.number
        try checked("epoll_ctl", "descriptor \(number)") {
            clinux_epoll_control(epoll, operation, number, readiness.rawValue, token)
        }
    }
}

/// A counter that one thread raises and another waits for. - Source: eventfd(2).
package struct EventCounter: ~Copyable, Sendable {
    private let descriptor: OwnedFD

    /// - Parameter blocking: `take` waits for the counter to be raised, instead of returning at once.
    package init(blocking: Bool) throws(SyscallError) {
        descriptor = OwnedFD(owning: try checked("eventfd") { clinux_eventfd(blocking ? 0 : 1) })
    }

    /// Takes an eventfd that came from elsewhere, such as a cgroup's notification.
    package init(owning descriptor: consuming OwnedFD) { self.descriptor = descriptor }

    package var number: Int32 { descriptor.number }

    /// Adds one. A counter at its end (2⁶⁴ − 2) stays raised, which is what the waiter needs.
    package func raise() {
        var one: UInt64 = 1
        _ = unsafe write(descriptor.number, &one, 8)
    }

    /// Sets the counter to 0 and returns what it was; 0 when it was not raised and does not block.
    @discardableResult
    package func take() throws(SyscallError) -> UInt64 {
        var value: UInt64 = 0
        do throws(SyscallError) {
            try retryingInterrupted("read", "eventfd") { unsafe read(descriptor.number, &value, 8) }
        } catch  where error.errno == EAGAIN { return 0 }
        return value
    }
}
