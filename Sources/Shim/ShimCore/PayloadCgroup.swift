internal import LinuxSyscalls
internal import SystemPackage

/// The control group that a container's first process was put into: its processes, and whether the OOM killer came.
struct PayloadCgroup: Equatable, Sendable {
    private static let fileByteCount = 1 << 20
    private static let mountPoint = "/sys/fs/cgroup"

    /// Where memory is accounted for; nil where the container has no group of its own.
    let memoryDirectory: String?
    let processesDirectory: String?
    let isUnified: Bool

    /// Looks a process up.
    /// - Source: cgroups(7), /proc/[pid]/cgroup.
    init?(of pid: Int32) {
        guard let text = try? readFile(FilePath("/proc/\(pid)/cgroup"), limitBytes: Self.fileByteCount) else { return nil }
        self.init(parsing: String(decoding: text, as: UTF8.self))
    }

    /// Reads the lines `id:controllers:path`.
    init(parsing text: String) {
        var unified: String?
        var byController: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            // The root is everybody's: whatever is counted there is not this container's.
            guard fields.count == 3, fields[2] != "/", !fields[2].contains("/..") else { continue }
            if fields[1].isEmpty { unified = fields[2] }
            for controller in fields[1].split(separator: ",") { byController[String(controller)] = fields[2] }
        }
        if let memory = byController["memory"] {
            isUnified = false
            memoryDirectory = "\(Self.mountPoint)/memory\(memory)"
            processesDirectory = memoryDirectory
        } else {
            isUnified = true
            memoryDirectory = unified.map { "\(Self.mountPoint)\($0)" }
            processesDirectory =
                memoryDirectory ?? byController.sorted { $0.key < $1.key }.first.map { "\(Self.mountPoint)/\($0.key)\($0.value)" }
        }
    }

    /// How often the OOM killer ended a process of the group; 0 where the kernel does not say.
    /// - Source: cgroup-v1/memory.rst (memory.oom_control, oom_kill), cgroup-v2.rst (memory.events).
    func oomKillCount() -> UInt64 {
        guard let memoryDirectory else { return 0 }
        let path = "\(memoryDirectory)/\(isUnified ? "memory.events" : "memory.oom_control")"
        guard let text = try? readFile(FilePath(path), limitBytes: Self.fileByteCount) else { return 0 }
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == "oom_kill" { return UInt64(words[1]) ?? 0 }
        }
        return 0
    }

    /// The processes of the group, and of those that the container made below it.
    func processes() throws(SyscallError) -> [Int32] {
        guard let processesDirectory else { return [] }
        var found: [Int32] = []
        try collect(FilePath(processesDirectory), depth: 0, into: &found)
        return found.sorted()
    }

    private func collect(_ directory: FilePath, depth: Int, into found: inout [Int32]) throws(SyscallError) {
        let text = try readFile(directory.appending("cgroup.procs"), limitBytes: Self.fileByteCount)
        found += String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { Int32($0) }
        // A payload can nest groups as deep as it likes; what lies deeper is not listed.
        if depth == 16 { return }
        let opened = try openFile(directory, [.readOnly, .directory])
        for entry in try directoryEntries(of: opened, subject: directory.string) where entry.type == .directory {
            let below = directory.pushing(entry.name)
            do throws(SyscallError) { try collect(below, depth: depth + 1, into: &found) } catch  where error.isMissing {}
        }
    }
}

/// Calls its handler when the OOM killer has ended processes of a container.
final class OutOfMemoryWatch {
    /// Version 1 notifies before it kills: the count is looked at again after this.
    private static let settlingTime = Duration.milliseconds(50)

    private let cgroup: PayloadCgroup
    private let handler: () -> Void
    private let loop: EventLoop
    private let notifier: Descriptor
    private var watch: Watch?
    private var seenCount: UInt64

    /// nil where the container has no memory group of its own.
    init?(_ cgroup: PayloadCgroup, loop: EventLoop, handler: @escaping () -> Void) throws(SyscallError) {
        guard let directory = cgroup.memoryDirectory else { return nil }
        self.cgroup = cgroup
        self.loop = loop
        self.handler = handler
        seenCount = cgroup.oomKillCount()
        if cgroup.isUnified {
            notifier = Descriptor(try openFile(FilePath("\(directory)/memory.events"), .readOnly))
        } else {
            notifier = Descriptor(try Self.register(directory))
        }
        watch = try loop.watch(notifier.number, for: cgroup.isUnified ? .priority : .readable) { [unowned self] _ in
            notified()
        }
    }

    /// Looks at the count, also unasked: the last kill and the end of the process are noticed in either order.
    func check() {
        let count = cgroup.oomKillCount()
        guard count > seenCount else { return }
        seenCount = count
        handler()
    }

    var hasSeenKill: Bool { seenCount > 0 }

    func cancel() {
        watch?.cancel()
        watch = nil
    }

    /// - Source: cgroup-v1/memory.rst, "OOM Control": event descriptor and control file, written as numbers.
    private static func register(_ directory: String) throws(SyscallError) -> OwnedFD {
        let counter = try EventCounter(blocking: false)
        let control = try openFile(FilePath("\(directory)/memory.oom_control"), .readOnly)
        let registration = try openFile(FilePath("\(directory)/cgroup.event_control"), .writeOnly)
        try writeAll(Array("\(counter.number) \(control.number)".utf8), to: registration.number, subject: directory)
        return counter.intoDescriptor()
    }

    private func notified() {
        // Reading, from the start where that is a place, tells the kernel that the change was seen.
        if cgroup.isUnified { _ = try? seek(notifier.number, to: 0) }
        guard (try? readAvailable(notifier.number, into: &loop.scratch)) != nil else { return cancel() }
        check()
        loop.after(Self.settlingTime) { [weak self] in self?.check() }
    }
}
