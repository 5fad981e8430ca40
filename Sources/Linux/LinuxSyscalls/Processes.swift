internal import CLinux
internal import Glibc
package import SystemPackage

/// What clone3(2) shall make new for the child. - Source: clone(2), namespaces(7).
package struct CloneFlags: OptionSet, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Spelled out: the generic default looks up conformances at run time.
    package init(arrayLiteral elements: CloneFlags...) { rawValue = elements.reduce(0) { $0 | $1.rawValue } }

    /// The namespaces that shall be new.
    package init(namespaces: NamespaceTypes) { self.init(rawValue: UInt64(UInt32(bitPattern: namespaces.rawValue))) }

    /// CLONE_PARENT: the child becomes a sibling, a child of our parent.
    package static let sibling = CloneFlags(rawValue: 0x8000)
}

/// What the two sides of a clone are told.
package enum CloneResult: ~Copyable {
    case child
    case parent(ProcessHandle)
}

/// Duplicates the calling process as fork(2) does, with a hold on the child for the parent, and goes on in both. The caller must have one
/// thread.
/// - Parameter cgroup: directory of a cgroup v2 in which the child is born (CLONE_INTO_CGROUP); where `canCloneIntoCgroup` says so.
/// - Source: clone3(2), Linux 5.3; CLONE_INTO_CGROUP Linux 5.7. Filters of containers refuse clone3 with ENOSYS: then it is clone(2), which
///   gives a pidfd from Linux 5.2 on.
package func cloneProcess(_ flags: CloneFlags = [], cgroup: Int32? = nil) throws(SyscallError) -> CloneResult {
    precondition(isSingleThreaded(), "a process with threads may not go on after clone3")
    let (pidfdFlag, cgroupFlag): (UInt64, UInt64) = (0x1000, 0x2_0000_0000)
    var pidfd: Int32 = -1
    let all = flags.rawValue | pidfdFlag | (cgroup == nil ? 0 : cgroupFlag)
    // The kernel takes no exit signal of a sibling: it gets ours.
    let exitSignal = flags.contains(.sibling) ? 0 : SIGCHLD
    let process = try checked("clone") {
        var made = unsafe clinux_clone3(all, exitSignal, cgroup ?? -1, &pidfd)
        if cgroup != nil { return made }
        if made == -ENOSYS || made == -EPERM { made = unsafe clinux_clone(all, exitSignal, &pidfd) }
        // A filter that does not know the flag. Older kernels do not look at it, and leave the number as it is.
        if made == -EINVAL || made == -ENOSYS || made == -EPERM { made = unsafe clinux_clone(flags.rawValue, exitSignal, &pidfd) }
        return made
    }
    if process == 0 { return .child }
    return .parent(pidfd < 0 ? ProcessHandle(unheldChild: process) : ProcessHandle(process, pidfd: OwnedFD(owning: pidfd)))
}

/// Whether there is a clone3 to be born into a cgroup with, told by what an impossible request is refused for: kernels whose request is
/// shorter find too much in it (E2BIG).
package func canCloneIntoCgroup() -> Bool { clinux_clone3(.max, 0, .max, nil) == -EINVAL }

/// Whether the calling process has one thread, told by the number of links of its task directory; true where procfs is missing.
/// - Source: proc_pid_task(5).
package func isSingleThreaded() -> Bool {
    var status = stat()
    guard unsafe stat("/proc/self/task", &status) == 0 else { return true }
    return status.st_nlink <= 3
}

/// A descriptor of a process, which a later process of the same number cannot take over. - Source: pidfd_open(2), Linux 5.3.
package func openProcess(_ process: Int32) throws(SyscallError) -> OwnedFD {
    OwnedFD(owning: try checked("pidfd_open", "process \(process)") { clinux_pidfd_open(process, 0) })
}

/// Sends a signal to the very process that a pidfd was opened for. - Source: pidfd_send_signal(2), Linux 5.1.
package func sendSignal(_ signal: Int32, toProcessOf pidfd: borrowing OwnedFD, subject: String = "") throws(SyscallError) {
    let descriptor = pidfd.number
    try checked("pidfd_send_signal", subject) { clinux_pidfd_send_signal(descriptor, signal) }
}

/// How a process ended.
package enum ProcessExit: Equatable, Sendable {
    case exited(Int32)
    case signalled(Int32)

    /// The status as a shell tells it: 128 + n for signal n.
    package var shellStatus: Int32 {
        switch self {
        case .exited(let status): status
        case .signalled(let signal): 128 + signal
        }
    }
}

/// Whom waitid(2) waits for.
package enum WaitTarget: Equatable, Sendable {
    case anyChild
    case process(Int32)
    case pidfd(Int32)

    fileprivate var idType: (Int32, Int32) {
        switch self {
        case .anyChild: (0, 0)
        case .process(let process): (1, process)
        case .pidfd(let descriptor): (3, descriptor)
        }
    }
}

/// Waits for a child to end and reaps it; with `block` false, returns nil at once where none has ended.
/// - Throws: ECHILD where there is no such child. - Source: waitid(2).
package func waitForExit(_ target: WaitTarget, block: Bool = true) throws(SyscallError) -> (process: Int32, exit: ProcessExit)? {
    var exit = clinux_exit()
    let (type, id) = target.idType
    let options = WEXITED | (block ? 0 : WNOHANG)
    try checked("waitid") { unsafe clinux_waitid(type, id, options, &exit) }
    if exit.process == 0 { return nil }
    return (exit.process, exit.code == Int32(CLD_EXITED) ? .exited(exit.status) : .signalled(exit.status))
}

/// Waits for a child to end and reaps it, at most for a while; then it is killed.
/// - Returns: nil for one that had to be killed; should even that not end it within five seconds, it is left to its parent's end.
package func waitForExit(ofChild process: Int32, orKillAfterMilliseconds timeout: Int32) throws(SyscallError) -> ProcessExit? {
    try ProcessHandle(child: process).awaitEnd(orKillAfterMilliseconds: timeout)
}

extension ProcessHandle {
    /// The same of a child that is held already.
    package func awaitEnd(orKillAfterMilliseconds timeout: Int32) throws(SyscallError) -> ProcessExit? {
        if try !waitForEnd(timeoutMilliseconds: timeout).isEmpty { return try waitForExit(.process(process))?.exit }
        try signal(SIGKILL)
        if try !waitForEnd(timeoutMilliseconds: 5_000).isEmpty { _ = try waitForExit(.process(process)) }
        return nil
    }
}

/// Whether a descriptor number is open. - Source: fcntl(2), F_GETFD.
package func isOpen(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) != -1 }

/// Copies a descriptor onto a number, inherited over exec. - Source: dup2(2).
package func replaceDescriptor(_ number: Int32, by descriptor: Int32) throws(SyscallError) {
    try retryingInterrupted("dup2", "\(descriptor) onto \(number)") { dup2(descriptor, number) }
}

/// Replaces the program by the one that `path` names, or `directory` itself for an empty path. Returns only to say why not.
/// - Source: execveat(2), Linux 3.19.
package func execute(
    _ path: FilePath, at directory: Int32 = currentDirectory, arguments: [String], environment: [String]
) -> SyscallError {
    let result = unsafe withCStrings(arguments) { arguments in
        unsafe withCStrings(environment) { environment in
            unsafe path.withPlatformString { unsafe clinux_execveat(directory, $0, arguments, environment) }
        }
    }
    return SyscallError("execve", path.string, errno: -result)
}

/// Starts another program with the given standard descriptors, an empty signal mask and default signal actions. Descriptors from 3 up
/// must be close-on-exec. Returns its pid. - Source: posix_spawn(3).
/// - Parameters:
///   - others: what it has as 3, 4 and so on.
///   - descriptorLimit: its soft limit of descriptors, where that is not the calling process's, which has it for a moment: it must be alone.
package func spawnProcess(
    _ path: FilePath, arguments: [String], environment: [String], input: Int32 = 0, output: Int32 = 1, error: Int32 = 2,
    others: [Int32] = [], newSession: Bool = false, descriptorLimit: UInt64? = nil
) throws(SyscallError) -> Int32 {
    try checked("spawn", path.string) {
        unsafe withCStrings(arguments) { arguments in
            unsafe withCStrings(environment) { environment in
                unsafe path.withPlatformString { path in
                    let given = [input, output, error] + others
                    let limit = descriptorLimit.map { Int64(clamping: $0) } ?? -1
                    return unsafe clinux_spawn(path, arguments, environment, given, Int32(given.count), newSession ? 1 : 0, limit)
                }
            }
        }
    }
}

/// Lends strings as the NULL-ended vector of C strings that execve(2) takes. The memory is the C library's: arrays of pointers would first
/// have Swift make their types, in a process that is about to be another program.
private func withCStrings(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int32
) -> Int32 {
    let vector = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: strings.count + 1)
    defer { unsafe vector.deallocate() }
    var count = 0
    defer { for index in 0..<count { unsafe free(vector[index]) } }
    for string in strings {
        guard let copy = unsafe strdup(string) else { return -ENOMEM }
        unsafe vector[count] = copy
        count += 1
    }
    unsafe vector[count] = nil
    return unsafe body(vector)
}

/// Whether another process may look at or trace this one, or its core be dumped. - Source: prctl(2), PR_SET_DUMPABLE.
package func setDumpable(_ dumpable: Bool) throws(SyscallError) {
    try checked("prctl PR_SET_DUMPABLE") { clinux_prctl(4, dumpable ? 1 : 0, 0, 0, 0) }
}

/// The signal that the calling process gets when its parent ends, 0 for none. - Source: prctl(2), PR_SET_PDEATHSIG.
package func setParentDeathSignal(_ signal: Int32) throws(SyscallError) {
    try checked("prctl PR_SET_PDEATHSIG") { clinux_prctl(1, UInt(signal), 0, 0, 0) }
}

/// Makes orphans below the calling process its children. - Source: prctl(2), PR_SET_CHILD_SUBREAPER.
package func becomeSubreaper() throws(SyscallError) {
    try checked("prctl PR_SET_CHILD_SUBREAPER") { clinux_prctl(36, 1, 0, 0, 0) }
}

/// No program executed from here on gains privileges. - Source: prctl(2), PR_SET_NO_NEW_PRIVS.
package func setNoNewPrivileges() throws(SyscallError) {
    try checked("prctl PR_SET_NO_NEW_PRIVS") { clinux_prctl(38, 1, 0, 0, 0) }
}

/// Names the calling thread in /proc/PID/comm, at most 15 bytes. - Source: prctl(2), PR_SET_NAME.
package func setProcessName(_ name: String) throws(SyscallError) {
    try checked("prctl PR_SET_NAME") {
        unsafe name.withCString { clinux_prctl(15, UInt(bitPattern: $0), 0, 0, 0) }
    }
}

/// Sets the execution domain. - Source: personality(2).
package func setPersonality(_ persona: UInt) throws(SyscallError) {
    try checked("personality") { clinux_personality(persona) }
}

/// Makes and joins a new session keyring of a name. - Source: keyctl(2), KEYCTL_JOIN_SESSION_KEYRING.
package func joinSessionKeyring(_ name: String) throws(SyscallError) {
    try checked("keyctl JOIN_SESSION_KEYRING", name) { unsafe clinux_join_session_keyring(name) }
}
