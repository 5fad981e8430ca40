internal import LinuxSyscalls
internal import SystemPackage

/// A detached copy of what lies at a path of the host, whose restrictions (`ro`, `nosuid`, `nodev`, `noexec`) are the host's also towards who is
/// root in a container's user namespace: neither an option of the configuration nor a remount in the container takes them away.
///
/// The kernel locks them where it copies the mounts of one user namespace for another, and a tree that the runtime opens among the host's mounts is
/// never copied so. It is opened in such a copy here, with the runtime's own rights all the same.
/// - Source: mount_namespaces(7), "Restrictions on mount namespaces".
/// - Returns: nil where the kernel cannot copy what lies there alone: what is mounted inside it would come to light, or it is a file of nsfs.
func openLockedTree(_ path: FilePath, _ flags: OpenTreeFlags) throws(SyscallError) -> OwnedFD? {
    let own = try openFile("/proc/self/ns/mnt", .readOnly)
    let root = try openFile("/", [.path, .directory])
    let directory = try openFile(".", [.path, .directory])
    do throws(SyscallError) {
        return try withNewNamespaces([.user, .mount]) { process throws(SyscallError) in
            let copy = try openFile(FilePath("/proc/\(process)/ns/mnt"), .readOnly)
            let copiedRoot = try openFile(FilePath("/proc/\(process)/root"), [.path, .directory])
            var opened: OwnedFD?
            var problem: SyscallError?
            do throws(SyscallError) {
                try enter(copy, root: copiedRoot)
                opened = try openTree(path, flags)
            } catch { problem = error }
            // Whatever came of it; in the copy every path still leads to what it leads to here.
            try enter(own, root: root)
            try changeDirectory(to: directory, subject: ".")
            if let problem { throw problem }
            return opened
        }
    } catch  where error.call == "open_tree" && error.errno == invalidArgument { return nil }
}

/// EINVAL.
private let invalidArgument: Int32 = 22

/// Joins a mount namespace, with a root directory that is not the topmost mount where the caller has changed it.
private func enter(_ namespace: borrowing OwnedFD, root: borrowing OwnedFD) throws(SyscallError) {
    try joinNamespace(namespace, .mount, subject: "mount namespace")
    try changeDirectory(to: root, subject: "/")
    try changeRoot(to: ".")
}

/// Whether the host restricts what lies at the root of a tree or, with `recursive`, what is mounted at or below `path`.
func isRestricted(_ tree: borrowing OwnedFD, recursive: Bool, at path: FilePath) throws(SyscallError) -> Bool {
    let restrictions: MountAttributes = [.readOnly, .noSetUserID, .noDevices, .noExecute]
    if try !mountAttributes(of: tree.number).isDisjoint(with: restrictions) { return true }
    if !recursive { return false }
    let place = try openFile(path, .path)
    let name = try readSymbolicLink(procfsName(of: place.number)).string
    let prefix = name == "/" ? name : name + "/"
    let words: Set<String> = ["ro", "nosuid", "nodev", "noexec"]
    return try mountTable().contains { $0.mountPoint.hasPrefix(prefix) && !words.isDisjoint(with: $0.options) }
}
