internal import LinuxSyscalls
internal import SystemPackage

/// Keeps containers from the runtime's own file. A process that enters a container can be reached there as /proc/PID/exe, and
/// `#!/proc/self/exe` makes the kernel run it again as the payload; so this program first executes itself from a copy that
/// refuses writing: its file in a read-only mount that is mounted nowhere or, where mounts may not be made, a sealed file in memory.
/// - Source: CVE-2019-5736; open_tree(2), mount_setattr(2), memfd_create(2).
package enum SelfProtection {
    /// Tells the second run what it is; believed only when the facts agree.
    private static let mark = "_APUS_RUNTIME_PROTECTED=1"
    private static let ownFile: FilePath = "/proc/self/exe"

    /// Returns in a protected process: at once in the second run, and never in the first, which becomes the second.
    /// - Parameter limit: the caller's, which the second run is to find.
    package static func enter(arguments: [String], environment: [String], limit: DescriptorLimit?) throws(RuntimeError) {
        if environment.contains(mark) {
            if try isProtected() { return }
            throw RuntimeError(.refused, doing: "protecting the runtime's file", "\(mark) is set, but \(ownFile) can be written")
        }
        let copy = try protectedCopy()
        try limit?.giveBack()
        let failure = execute("", at: copy.number, arguments: arguments, environment: environment + [mark])
        throw RuntimeError(doing: "executing the protected copy of the runtime", failure)
    }

    private static func isProtected() throws(RuntimeError) -> Bool {
        try during("looking at the runtime's file") { () throws(SyscallError) in
            let file = try openFile(ownFile, .path)
            if try isOnReadOnlyMount(file.number) { return true }
            let contents = try openFile(ownFile, .readOnly)
            return isSealed(contents.number)
        }
    }

    private static func protectedCopy() throws(RuntimeError) -> OwnedFD {
        do { return try readOnlyMount() } catch {
            return try during("copying the runtime's file into memory") { () throws(SyscallError) in try sealedCopy() }
        }
    }

    private static func readOnlyMount() throws(SyscallError) -> OwnedFD {
        let mount = try openTree(ownFile, [.clone])
        try changeMountAttributes(of: mount.number, set: [.readOnly], subject: ownFile.string)
        // The mount ends with its descriptor: what is mounted nowhere is made writable again by nobody, whatever rights the container has.
        return try openTree("", [.emptyPath], at: mount.number)
    }

    private static func sealedCopy() throws(SyscallError) -> OwnedFD {
        let original = try openFile(ownFile, .readOnly)
        let copy = try makeMemoryFile(named: "apus-runtime", executable: true)
        try copyContents(of: original, to: copy, subject: ownFile.string)
        try sealMemoryFile(copy)
        return copy
    }
}

/// Until execve, nobody who shares the container's user, capabilities and pid namespace looks into this process: it still holds
/// descriptors of the host. - Source: proc(5), "dumpable"; ptrace(2), "Ptrace access mode checking".
func hideFromContainer() throws(SyscallError) {
    try setDumpable(false)
}

/// What the runtime and its caller hold is not for a process on its way into a container: no path leads to it from there then.
/// - Source: CVE-2024-21626.
func letGoOfDescriptors(from first: Int32, except kept: [Int32]) throws(SyscallError) {
    try closeDescriptors(from: first, except: kept)
}
