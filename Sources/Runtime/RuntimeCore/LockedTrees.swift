internal import LinuxSyscalls
internal import SystemPackage

/// The host's mounts as a container with a user namespace may have them: their restrictions (`ro`, `nosuid`, `nodev`, `noexec`) are the host's also
/// towards who is root in there: neither an option of the configuration nor a remount in the container takes them away.
///
/// The kernel locks them where it copies the mounts of one user namespace for another, and a tree that the runtime opens among the host's mounts is
/// never copied so. It is opened in such a copy here, with the runtime's own rights all the same. All of the mounts are copied, however many the
/// host has, and read: once, for all sources.
/// - Source: mount_namespaces(7), "Restrictions on mount namespaces".
struct LockedTrees {
    private var copy: CopiedMounts?
    private var table: [MountTableEntry]?
    /// What went wrong after what was thrown.
    private(set) var aftermath: [String] = []

    /// A detached tree of what lies at a path of the host.
    /// - Returns: nil where the kernel cannot copy what lies there alone: what is mounted inside it would come to light, or it is a file of nsfs.
    mutating func open(_ path: FilePath, _ flags: OpenTreeFlags) throws(SyscallError) -> OwnedFD? {
        let copy = if let known = self.copy { known } else { try CopiedMounts.ofCaller() }
        self.copy = copy
        do throws(SyscallError) { return try copy.openTree(path, flags, aftermath: &aftermath) } catch {
            if aftermath.isEmpty && error.call == "open_tree" && error.errno == invalidArgument { return nil }
            throw error
        }
    }

    /// Whether the host restricts what lies at the root of a tree or, with `recursive`, what is mounted at or below `path`.
    mutating func restrict(_ tree: borrowing OwnedFD, recursive: Bool, at path: FilePath) throws(SyscallError) -> Bool {
        let restrictions: MountAttributes = [.readOnly, .noSetUserID, .noDevices, .noExecute]
        if try !mountAttributes(of: tree.number).isDisjoint(with: restrictions) { return true }
        if !recursive { return false }
        let place = try openFile(path, .path)
        let name = try readSymbolicLink(procfsName(of: place.number)).string
        let prefix = name == "/" ? name : name + "/"
        let words: Set<String> = ["ro", "nosuid", "nodev", "noexec"]
        let table = if let known = self.table { known } else { try mountTable() }
        self.table = table
        return table.contains { $0.mountPoint.hasPrefix(prefix) && !words.isDisjoint(with: $0.options) }
    }
}

/// EINVAL.
private let invalidArgument: Int32 = 22

/// A copy of the caller's mounts, for a user namespace of its own, and the way back.
private final class CopiedMounts {
    private let copy: OwnedFD
    private let copiedRoot: OwnedFD
    private let own: OwnedFD
    private let root: OwnedFD
    private let directory: OwnedFD

    private init(ofProcess process: Int32) throws(SyscallError) {
        copy = try openFile(FilePath("/proc/\(process)/ns/mnt"), .readOnly)
        copiedRoot = try openFile(FilePath("/proc/\(process)/root"), [.path, .directory])
        own = try openFile("/proc/self/ns/mnt", .readOnly)
        root = try openFile("/", [.path, .directory])
        directory = try openFile(".", [.path, .directory])
    }

    static func ofCaller() throws(SyscallError) -> CopiedMounts {
        try withNewNamespaces([.user, .mount]) { process throws(SyscallError) in try CopiedMounts(ofProcess: process) }
    }

    /// - Parameter aftermath: gets why the caller is not among its own mounts, where that is not what is thrown.
    func openTree(_ path: FilePath, _ flags: OpenTreeFlags, aftermath: inout [String]) throws(SyscallError) -> OwnedFD {
        let opened: OwnedFD
        do throws(SyscallError) {
            try Self.enter(copy, root: copiedRoot)
            opened = try LinuxSyscalls.openTree(path, flags)
        } catch {
            do throws(SyscallError) { try goBack() } catch let second {
                aftermath.append("going back to the runtime's own mounts: \(second)")
            }
            throw error
        }
        try goBack()
        return opened
    }

    /// In the copy every path still leads to what it leads to here.
    private func goBack() throws(SyscallError) {
        try Self.enter(own, root: root)
        try changeDirectory(to: directory, subject: ".")
    }

    /// Joins a mount namespace, with a root directory that is not the topmost mount where the caller has changed it.
    private static func enter(_ namespace: borrowing OwnedFD, root: borrowing OwnedFD) throws(SyscallError) {
        try joinNamespace(namespace, .mount, subject: "mount namespace")
        try changeDirectory(to: root, subject: "/")
        try changeRoot(to: ".")
    }
}
