internal import CLinux
internal import Glibc
internal import SystemPackage

/// A hold on one process: what is done by it reaches that process or none.
///
/// A pidfd, where there are any. Where the kernel or a filter has none, a child of ours goes by its number, which is its own until we reap
/// it; any other process by its directory in procfs, which is empty once the process was reaped, whoever gets its number. Between a look
/// into that directory and kill(2) the process can end and be reaped all the same: from Linux 5.1 on the directory itself is signalled, before
/// that the moment of two calls in a row is left, as in runc.
/// - Source: pidfd_open(2), Linux 5.3; pidfd_send_signal(2), Linux 5.1, which takes directories of procfs too.
package struct ProcessHandle: ~Copyable, Sendable {
    /// What the process is held by.
    private enum Means: Sendable { case pidfd, directory, child }

    /// The process, as the calling process numbers it.
    package let process: Int32
    private let means: Means
    private let held: OwnedFD?
    /// The number of what is held, for as long as this value is alive; -1 for a child.
    private let descriptor: Int32

    /// How long a process without a pidfd is left alone between two looks at it, at most.
    package static let longestPauseMilliseconds: Int32 = 32

    /// Of any process. - Throws: ESRCH where there is none.
    package init(_ process: Int32) throws(SyscallError) {
        let pidfd: OwnedFD
        do throws(SyscallError) { pidfd = try openProcess(process) } catch {
            guard error.mayLackCall else { throw error }
            try self.init(byDirectoryOf: process)
            return
        }
        self.init(process, pidfd: pidfd)
    }

    /// Of any process, without a pidfd. - Throws: ESRCH where there is none.
    package init(byDirectoryOf process: Int32) throws(SyscallError) {
        let directory = try Self.openDirectory(of: process)
        self.init(process, .directory, directory)
    }

    /// Of a child of the calling process that nobody has reaped yet. One that cannot be held though there are pidfds, for want of descriptors or
    /// memory, is killed and reaped: nobody would look after it.
    package init(child process: Int32) throws(SyscallError) {
        let pidfd: OwnedFD
        do throws(SyscallError) { pidfd = try openProcess(process) } catch {
            if error.mayLackCall {
                self.init(unheldChild: process)
                return
            }
            let child = ProcessHandle(unheldChild: process)
            do throws(SyscallError) { try child.signal(SIGKILL) } catch  where error.errno == ESRCH {}
            _ = try waitForExit(.process(process))
            throw error
        }
        self.init(process, pidfd: pidfd)
    }

    /// Of a process by its pidfd.
    init(_ process: Int32, pidfd: consuming OwnedFD) { self.init(process, .pidfd, pidfd) }

    private init(_ process: Int32, _ means: Means, _ held: consuming OwnedFD) {
        self.process = process
        self.means = means
        descriptor = held.number
        self.held = .some(held)
    }

    /// Of a child that nobody has reaped yet, by its number alone.
    package init(unheldChild process: Int32) {
        self.process = process
        means = .child
        descriptor = -1
        held = nil
    }

    /// The descriptor that must stay open for this handle to be of use; nil for a child that has none.
    package var heldDescriptor: Int32? { descriptor < 0 ? nil : descriptor }

    /// Sends a signal. - Throws: ESRCH once the process has ended.
    package func signal(_ signal: Int32, subject: String = "") throws(SyscallError) {
        if means != .child {
            do throws(SyscallError) {
                try checked("pidfd_send_signal", subject) { clinux_pidfd_send_signal(descriptor, signal) }
                return
            } catch { guard error.mayLackCall else { throw error } }
        }
        if try hasEnded() { throw SyscallError("kill", subject, errno: ESRCH) }
        try retryingInterrupted("kill", subject) { kill(process, signal) }
    }

    /// Whether the process has ended, reaped or not.
    package func hasEnded() throws(SyscallError) -> Bool {
        switch means {
        case .pidfd: return try !waitUntilReadable([descriptor], timeoutMilliseconds: 0).isEmpty
        case .directory: return try Self.hasEnded(inDirectory: descriptor)
        case .child:
            var exit = clinux_exit()
            do throws(SyscallError) {
                try checked("waitid") { unsafe clinux_waitid(Int32(P_PID.rawValue), process, WEXITED | WNOHANG | WNOWAIT, &exit) }
            } catch {
                // Reaped already.
                if error.errno == ECHILD { return true }
                throw error
            }
            return exit.process != 0
        }
    }

    /// Waits until the process has ended, or one of some descriptors can be read or has ended. Without a pidfd it is looked at again and again,
    /// at ever longer intervals.
    /// - Parameter timeoutMilliseconds: nil waits as long as it takes.
    /// - Returns: 0 for the process, 1 and up for the descriptors; none after the timeout.
    package func waitForEnd(
        orReadable others: [Int32] = [], timeoutMilliseconds: Int32? = nil
    ) throws(SyscallError) -> [Int] {
        if means == .pidfd { return try waitUntilReadable([descriptor] + others, timeoutMilliseconds: timeoutMilliseconds) }
        let deadline = timeoutMilliseconds.map { moment(nanoseconds: Int64($0) * 1_000_000) }
        var pauseMilliseconds: Int32 = 1
        while true {
            let isOver = try hasEnded()
            let left = deadline.map { millisecondsUntil($0) } ?? pauseMilliseconds
            let turn = isOver ? 0 : min(pauseMilliseconds, left)
            var ready = try waitUntilReadable(others, timeoutMilliseconds: turn).map { $0 + 1 }
            if isOver { ready.insert(0, at: 0) }
            if !ready.isEmpty || left == 0 { return ready }
            pauseMilliseconds = min(pauseMilliseconds * 2, Self.longestPauseMilliseconds)
        }
    }

    /// Reaps a child of ours that has ended. - Returns: nil for one that has not, and for what is no child of ours.
    @discardableResult
    package func reap() throws(SyscallError) -> ProcessExit? {
        do throws(SyscallError) {
            guard means == .pidfd else { return try waitForExit(.process(process), block: false)?.exit }
            do throws(SyscallError) { return try waitForExit(.pidfd(descriptor), block: false)?.exit } catch {
                // P_PIDFD is of Linux 5.4.
                guard error.errno == EINVAL else { throw error }
                return try waitForExit(.process(process), block: false)?.exit
            }
        } catch {
            if error.errno == ECHILD { return nil }
            throw error
        }
    }

    /// Moves the calling process, or for pid its later children, into namespaces of this one: all at once where the kernel can (Linux 5.8).
    /// - Source: setns(2).
    package func joinNamespaces(_ types: NamespaceTypes, subject: String) throws(SyscallError) {
        if means == .pidfd {
            do throws(SyscallError) { return try joinNamespace(descriptor, types, subject: subject) } catch {
                guard error.errno == EINVAL else { throw error }
            }
        }
        try joinOneByOne(types, subject: subject)
    }

    /// All are opened before the first is joined, for then another procfs may lie at /proc. Where the caller has rights over what is the
    /// host's, it is used before the user namespace takes them; what belongs to that namespace may have to come after it.
    private func joinOneByOne(_ types: NamespaceTypes, subject: String) throws(SyscallError) {
        let directory = try openDirectory()
        var files: [NamespaceFile] = []
        for (type, name) in namespaceNames where types.contains(type) {
            files.append(NamespaceFile(type, try openFile(FilePath("ns/\(name)"), .readOnly, at: directory.number)))
        }
        var waiting: [NamespaceFile] = []
        for file in files where file.type != .user {
            do throws(SyscallError) { try joinNamespace(file.descriptor, file.type, subject: subject) } catch {
                guard error.errno == EPERM, types.contains(.user) else { throw error }
                waiting.append(file)
            }
        }
        for file in files.filter({ $0.type == .user }) + waiting { try joinNamespace(file.descriptor, file.type, subject: subject) }
    }

    /// A copy of a descriptor that the process has. There is no other way to it. - Source: pidfd_getfd(2), Linux 5.6.
    package func copyDescriptor(_ copied: Int32, subject: String) throws(SyscallError) -> OwnedFD {
        guard means == .pidfd else { throw SyscallError("pidfd_getfd", subject, errno: ENOSYS) }
        return OwnedFD(owning: try checked("pidfd_getfd", subject) { clinux_pidfd_getfd(descriptor, copied) })
    }

    /// The pidfd, for those who ask for one. - Throws: ENOSYS of pidfd_open(2) where there is none.
    package func pidfd() throws(SyscallError) -> Int32 {
        guard means == .pidfd else { throw SyscallError("pidfd_open", "process \(process)", errno: ENOSYS) }
        return descriptor
    }

    /// The directory of the very process, whose number cannot be another's as long as it has not ended.
    private func openDirectory() throws(SyscallError) -> OwnedFD {
        if means == .directory { return try openFile(".", [.readOnly, .directory], at: descriptor) }
        let directory = try Self.openDirectory(of: process)
        if try hasEnded() { throw SyscallError("open", "process \(process)", errno: ESRCH) }
        return directory
    }

    private static func openDirectory(of process: Int32) throws(SyscallError) -> OwnedFD {
        do throws(SyscallError) { return try openFile(FilePath("/proc/\(process)"), [.readOnly, .directory]) } catch {
            guard error.errno == ENOENT else { throw error }
            throw SyscallError("open", "process \(process)", errno: ESRCH)
        }
    }

    /// A leader that has ended shows as a zombie while other threads go on. - Source: proc_pid_stat(5), fields 3 and 20.
    private static func hasEnded(inDirectory directory: Int32) throws(SyscallError) -> Bool {
        let line: [UInt8]
        do throws(SyscallError) { line = try readFile("stat", limitBytes: 4096, at: directory) } catch {
            if error.errno == ESRCH || error.errno == ENOENT { return true }
            throw error
        }
        return processHasEnded(statusLine: line)
    }
}

/// Whether the line of a process in its `stat` says that it has ended. - Source: proc_pid_stat(5), fields 3 and 20.
package func processHasEnded(statusLine line: [UInt8]) -> Bool {
    // The name may hold anything, parentheses too.
    guard let end = line.lastIndex(of: UInt8(ascii: ")")) else { return true }
    let fields = fields(of: String(decoding: line[(end + 1)...], as: UTF8.self)[...], separatedBy: UInt8(ascii: " "))
    guard let state = fields.first, fields.count > 17 else { return true }
    return state == "X" || (state == "Z" && (Int(fields[17]) ?? 0) <= 1)
}

/// The names of namespaces in /proc/PID/ns. - Source: namespaces(7).
private let namespaceNames: [(NamespaceTypes, String)] = [
    (.user, "user"), (.cgroup, "cgroup"), (.ipc, "ipc"), (.uts, "uts"), (.network, "net"), (.pid, "pid"), (.time, "time"), (.mount, "mnt"),
]

private final class NamespaceFile {
    let type: NamespaceTypes
    let descriptor: OwnedFD

    init(_ type: NamespaceTypes, _ descriptor: consuming OwnedFD) {
        self.type = type
        self.descriptor = descriptor
    }
}
