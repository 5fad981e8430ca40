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
    /// - Returns: nil for what is mounted nowhere: a file of nsfs.
    mutating func open(_ path: FilePath, _ flags: OpenTreeFlags) throws(SyscallError) -> OwnedFD? {
        let copy = if let known = self.copy { known } else { try CopiedMounts(returningTo: Home()) }
        self.copy = copy
        do throws(SyscallError) { return try copy.openTree(path, flags, aftermath: &aftermath) } catch {
            guard aftermath.isEmpty && error.call == "open_tree" && error.errno == invalidArgument else { throw error }
            return flags.contains(.recursive) ? nil : try openAlone(path, flags)
        }
    }

    /// The same of a mount without what is mounted inside it. The kernel gives none out of a copy, for what it hides would come to light; so it is
    /// put over itself first, among mounts that are nobody else's, where nothing is mounted inside it, and a copy of those is made.
    private mutating func openAlone(_ path: FilePath, _ flags: OpenTreeFlags) throws(SyscallError) -> OwnedFD? {
        let alone = try openTree(path, flags)
        let home = try Home()
        let copy: CopiedMounts
        do throws(SyscallError) {
            try unshareNamespaces(.mount, subject: "mount")
            try mount("", onto: "/", flags: [.slave, .recursive])
            try moveMount(alone, onto: try openFile(path, .path), subject: path.string)
            copy = try CopiedMounts(returningTo: home)
        } catch {
            try home.goBack(after: error, aftermath: &aftermath)
            if aftermath.isEmpty && error.call == "move_mount" && error.errno == invalidArgument { return nil }
            throw error
        }
        do throws(SyscallError) { return try copy.openTree(path, flags, aftermath: &aftermath) } catch {
            // What is put over the root directory is not seen from there: its own restrictions stay unlocked.
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

/// A mount namespace, and the root directory in it, which is not the topmost mount where somebody has changed it.
private final class Mounts {
    private let namespace: OwnedFD
    private let root: OwnedFD

    init(namespace: consuming OwnedFD, root: consuming OwnedFD) {
        self.namespace = namespace
        self.root = root
    }

    func enter() throws(SyscallError) {
        try joinNamespace(namespace, .mount, subject: "mount namespace")
        try changeDirectory(to: root, subject: "/")
        try changeRoot(to: ".")
    }
}

/// Where the runtime is at home among mounts, to go back to.
private final class Home {
    private let mounts: Mounts
    private let directory: OwnedFD

    init() throws(SyscallError) {
        mounts = Mounts(namespace: try openFile("/proc/self/ns/mnt", .readOnly), root: try openFile("/", [.path, .directory]))
        directory = try openFile(".", [.path, .directory])
    }

    func goBack() throws(SyscallError) {
        try mounts.enter()
        try changeDirectory(to: directory, subject: ".")
    }

    /// - Parameter aftermath: gets why it did not work, where something else is what is thrown.
    func goBack(after error: SyscallError, aftermath: inout [String]) throws(SyscallError) {
        do throws(SyscallError) { try goBack() } catch let second {
            aftermath.append("going back to the runtime's own mounts: \(second)")
            throw error
        }
    }
}

/// A copy of the mounts that the caller is among, for a user namespace of its own, and the way home.
private final class CopiedMounts {
    private let mounts: Mounts
    private let home: Home

    init(returningTo home: Home) throws(SyscallError) {
        self.home = home
        mounts = try withNewNamespaces([.user, .mount]) { process throws(SyscallError) in
            Mounts(
                namespace: try openFile(FilePath("/proc/\(process)/ns/mnt"), .readOnly),
                root: try openFile(FilePath("/proc/\(process)/root"), [.path, .directory]))
        }
    }

    /// - Parameter aftermath: gets why the caller is not among its own mounts, where that is not what is thrown.
    func openTree(_ path: FilePath, _ flags: OpenTreeFlags, aftermath: inout [String]) throws(SyscallError) -> OwnedFD {
        let opened: OwnedFD
        do throws(SyscallError) {
            try mounts.enter()
            opened = try LinuxSyscalls.openTree(path, flags)
        } catch {
            try home.goBack(after: error, aftermath: &aftermath)
            throw error
        }
        // In the copy every path still leads to what it leads to here.
        try home.goBack()
        return opened
    }
}
