internal import Glibc
package import LinuxSyscalls
internal import SystemPackage

/// Tells when a container ran out of memory: a descriptor for epoll.
package struct MemoryEvents: ~Copyable, Sendable {
    private enum Source: ~Copyable {
        /// v1: an eventfd that the kernel raises, and the file that it was asked about.
        case counter(Notification)
        /// v2: memory.events, which wakes who polls it.
        case file(OwnedFD)
    }
    private struct Notification: ~Copyable {
        let counter: EventCounter
        let control: OwnedFD
    }
    private let source: Source
    private var seen: UInt64

    /// What to wait for, and how.
    package var number: Int32 {
        switch source {
        case .counter(let notification): notification.counter.number
        case .file(let file): file.number
        }
    }

    package var readiness: Readiness {
        switch source {
        case .counter: .readable
        case .file: .priority
        }
    }

    fileprivate init(counter: consuming EventCounter, control: consuming OwnedFD) {
        source = .counter(Notification(counter: counter, control: control))
        seen = 0
    }

    fileprivate init(file: consuming OwnedFD) throws(SyscallError) {
        seen = try Self.killCount(of: file) ?? 0
        source = .file(file)
    }

    /// Takes what happened since the last call.
    /// - Returns: how often memory ran out (v1) or a process was killed for it (v2); nil when the cgroup is gone and
    ///   nothing more will come.
    package mutating func take() throws(CgroupError) -> UInt64? {
        do throws(SyscallError) {
            switch source {
            case .counter(let notification):
                let count = try notification.counter.take()
                // Removing the cgroup raises the counter too.
                return try Self.killCount(of: notification.control) == nil ? nil : count
            case .file(let file):
                guard let count = try Self.killCount(of: file) else { return nil }
                defer { seen = count }
                return count &- seen
            }
        } catch {
            throw CgroupError(doing: "read memory events", cause: error)
        }
    }

    /// How many processes the kernel has killed here because memory ran out, as an open file says it: no further descriptor is needed.
    /// - Returns: nil when the cgroup is gone.
    package func killCount() throws(CgroupError) -> UInt64? {
        do throws(SyscallError) {
            return switch source {
            case .counter(let notification): try Self.killCount(of: notification.control)
            case .file(let file): try Self.killCount(of: file)
            }
        } catch {
            throw CgroupError(doing: "read memory events", cause: error)
        }
    }

    /// nil when the cgroup is gone.
    fileprivate static func killCount(of file: borrowing OwnedFD) throws(SyscallError) -> UInt64? {
        do throws(SyscallError) {
            try seek(file.number, to: 0)
            let text = String(decoding: try readAll(file.number, limitBytes: 65_536, subject: "memory events"), as: UTF8.self)
            return flatValues(text)["oom_kill"] ?? 0
        } catch {
            if error.errno == ENODEV { return nil }
            throw error
        }
    }
}

extension Cgroup {
    /// How many processes the kernel has killed here because memory ran out; 0 where nothing counts them.
    /// - Source: cgroup-v1/memory.rst, "OOM Control", Linux 4.13; cgroup-v2.rst, "memory.events".
    package func outOfMemoryKills() throws(CgroupError) -> UInt64 {
        guard let leaf = legacyLeaf(.memory) ?? unifiedLeaf else { return 0 }
        let name = legacyLeaf(.memory) == nil ? "memory.events" : "memory.oom_control"
        do throws(SyscallError) {
            return try MemoryEvents.killCount(of: try openFile(FilePath(name), .readOnly, at: leaf.number)) ?? 0
        } catch {
            if error.errno == ENOENT { return 0 }
            throw CgroupError(doing: "read memory events", cause: error)
        }
    }

    /// Asks to be told when this container runs out of memory.
    /// - Throws: `unavailable` without a memory controller.
    /// - Source: cgroup-v1/memory.rst, "OOM Control"; cgroup-v2.rst, "memory.events".
    package func memoryEvents() throws(CgroupError) -> MemoryEvents {
        let what = "watch the memory of cgroup \(record.places.first?.directory ?? "")"
        if let leaf = legacyLeaf(.memory) {
            return try doing(what) { () throws(SyscallError) in
                let control = try openFile("memory.oom_control", .readOnly, at: leaf.number)
                let counter = try EventCounter(blocking: false)
                try leaf.write("\(counter.number) \(control.number)", to: "cgroup.event_control")
                return MemoryEvents(counter: counter, control: control)
            }
        }
        guard let leaf = unifiedLeaf else { throw CgroupError(.unavailable, doing: what, reason: "no memory controller is mounted") }
        do throws(SyscallError) {
            return try MemoryEvents(file: try openFile("memory.events", .readOnly, at: leaf.number))
        } catch {
            if error.errno == ENOENT { throw CgroupError(.unavailable, doing: what, reason: "the memory controller is not enabled") }
            throw CgroupError(doing: what, cause: error)
        }
    }
}
