internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// Performs a `RootfsPlan` in the container's first process: in its namespaces and its cgroup, single-threaded, before it gives up
/// any privilege. Everything is done on descriptors; an unfinished root goes away with the mount namespace.
///
/// `prepare()`, then the hooks that come before the change of root and `openTerminal()` if one is wanted, then `complete()`.
package struct RootfsBuilder: ~Copyable {
    private let plan: RootfsPlan
    /// Where the container's cgroup is.
    private(set) var cgroup: [CgroupPlace] = []
    var root: RootDirectory?
    /// The host path of the root, for messages.
    var rootPath = ""
    /// Mounts that later steps need again, the last one first.
    private var heldMounts: [(destination: String, mount: HeldMount)] = []
    /// Binds that are peers of the host's mounts, as long as nothing was mounted inside.
    var peers: [PeerBind] = []
    /// The container's /dev, once a device or link was made in it.
    var deviceDirectory: HeldMount?
    /// The host's /dev/null, verified, to cover files with.
    var nullDevice: HeldMount?
    /// An empty read-only tmpfs in its place, to cover directories with copies of.
    var emptyDirectory: HeldMount?

    /// Where sysctls are written.
    private var procfs: HeldProcfs?

    /// Where mounts are made with mount(2), for want of the calls on descriptors; else nil.
    let yard: MountYard?

    /// Whether the container's root is the root of the process.
    private(set) var isInside = false

    /// How many steps of the preparation are done.
    private var preparedCount = 0

    /// Detached trees, or places, of the steps with an owner mapping or a prepared source, in their order, the next one last; owned from here
    /// on.
    private var mappedTrees: [Int32]

    /// - Parameter mappedTrees: what was made of the steps with an owner mapping or a prepared source, in their order; where mounts are made by
    ///   mount(2), what `openSources` opened.
    package init(_ plan: RootfsPlan, mappedTrees: [Int32] = []) {
        self.plan = plan
        self.mappedTrees = mappedTrees.reversed()
        yard = mountsByDescriptor() ? nil : MountYard()
    }

    /// The tree of the next step with an owner mapping.
    mutating func takeMappedTree() throws(SyscallError) -> OwnedFD {
        guard let number = mappedTrees.popLast() else { throw SyscallError("open", "an id-mapped mount", errno: EBADF) }
        return OwnedFD(owning: number)
    }

    /// The first part of `prepare`: what can be done before the process is in its cgroup. May be left out.
    package mutating func prepareBeforeCgroup() throws(RootfsError) {
        let end = plan.preparation.firstIndex { $0.mountsCgroups } ?? plan.preparation.count
        try perform(plan.preparation[..<end])
        preparedCount = end
    }

    /// Mounts everything and makes the devices.
    package mutating func prepare(cgroup: [CgroupPlace]) throws(RootfsError) {
        self.cgroup = cgroup
        try perform(plan.preparation[preparedCount...])
    }

    /// Makes the container's root, which is not `/` yet, the working directory. Between `prepare()` and `complete()`.
    package func enterRoot() throws(RootfsError) {
        do throws(SyscallError) { try changeDirectory(to: try rootDescriptorNumber(), subject: rootPath) } catch {
            throw RootfsError("enter the root", error)
        }
    }

    /// Writes settings, covers what is to be hidden and makes the root `/`, which is the working directory afterwards.
    package mutating func complete() throws(RootfsError) { try perform(plan.completion[...]) }

    private mutating func perform(_ steps: ArraySlice<RootfsStep>) throws(RootfsError) {
        // Modes are those of the plan, whatever the caller's mask.
        let mask = setFileCreationMask(0)
        defer { setFileCreationMask(mask) }
        for index in steps.indices {
            do throws(SyscallError) { try perform(steps[index]) } catch {
                // What a failed creation leaves goes with the namespace, where that is the container's own.
                try? yard?.close()
                let field = plan.fieldPrefix(of: steps[index], at: index, refusedWith: error)
                throw RootfsError(field + steps[index].description, error)
            }
        }
        // Hooks see the root.
        do throws(SyscallError) { try yard?.close() } catch { throw RootfsError("take the yard away", error) }
    }

    private mutating func perform(_ step: RootfsStep) throws(SyscallError) {
        switch step {
        case .propagateAll(let propagation):
            let top = try openFile("/", [.path, .directory])
            try changePropagation(of: top.number, to: propagation, recursive: true)
        case .bindRoot(let path): try bindRoot(path)
        case .openRoot(let path): root = RootDirectory(try openFile(FilePath(path), [.path, .directory]))
        case .mount(let mount): try perform(mount)
        case .device(let device): try make(device)
        case .link(let path, let target): try makeLink(path, to: target, replacing: false)
        case .replaceByLink(let path, let target): try makeLink(path, to: target, replacing: true)
        case .directory(let path):
            _ = try openedRoot { root throws(SyscallError) in
                try root.openMountPoint(path, creating: .directory).take()
            }
        case .sysctl(let setting): try write(setting)
        case .makeMountReadOnly(let path): try makeMountReadOnly(path)
        case .makeReadOnly(let path): try makeReadOnly(path)
        case .mask(let path): try cover(path)
        case .makeRootReadOnly:
            let number = try rootDescriptorNumber()
            try changeAttributes(of: number, set: .readOnly)
        case .changeRoot(let change):
            try yard?.close()
            try self.change(to: change)
            isInside = true
        case .propagateRoot(let change):
            let number = try rootDescriptorNumber()
            try changePropagation(of: number, to: change.propagation, recursive: change.recursive)
        }
    }

    /// Lends the root, which `bindRoot` opened.
    func openedRoot<Result: ~Copyable>(
        _ body: (borrowing RootDirectory) throws(SyscallError) -> Result
    ) throws(SyscallError) -> Result {
        switch root {
        case .some(let root): return try body(root)
        case .none: throw SyscallError("open", "the root, before it was bound", errno: EBADF)
        }
    }

    func rootDescriptorNumber() throws(SyscallError) -> Int32 {
        try openedRoot { root throws(SyscallError) in root.descriptor.number }
    }

    private mutating func write(_ setting: SysctlSetting) throws(SyscallError) {
        let opened: HeldProcfs
        if let procfs {
            opened = procfs
        } else {
            // The container's own procfs, as we made it and by descriptor, serves unless it is read-only.
            if let held = heldMount(at: "/proc"), held.isWritableProcfs {
                opened = HeldProcfs(try DetachedProcfs(verifying: held.descriptor.duplicate()))
            } else {
                opened = HeldProcfs(try DetachedProcfs())
            }
            procfs = opened
        }
        try opened.procfs.write(setting.value, to: "sys/\(setting.path)")
    }

    /// Keeps a mount open for the steps that come back to it.
    mutating func hold(_ mount: HeldMount, at destination: String) { heldMounts.insert((destination, mount), at: 0) }

    /// Where file systems and binds were mounted, the last one first.
    var mountedDestinations: [String] { heldMounts.map(\.destination) }

    private func heldMount(at destination: String) -> HeldMount? { heldMounts.first { $0.destination == destination }?.mount }

    /// The mount that a path leads into, by its name, unless it is the mount's own place.
    func lastMount(above path: String) -> (destination: String, mount: HeldMount)? {
        heldMounts.first { path.hasPrefix($0.destination + "/") }
    }

    private func makeMountReadOnly(_ path: String) throws(SyscallError) {
        guard let mount = heldMount(at: path) else { throw SyscallError("open", path, errno: ENOENT) }
        try changeAttributes(of: mount.descriptor.number, set: .readOnly)
    }

    /// Makes the container's root the root of the process, and leaves the host's tree.
    private func change(to change: RootChange) throws(SyscallError) {
        try openedRoot { root throws(SyscallError) in
            switch change {
            case .pivot:
                try changeDirectory(to: root.descriptor, subject: "")
                try pivotRoot(to: ".", puttingOldAt: ".")
                // The old root now lies over the new one.
                try unmount(".", .detach)
            case .move:
                try hideKernelMounts()
                let top = try openFile("/", [.path, .directory])
                try changeDirectory(to: root.descriptor, subject: "")
                if yard == nil {
                    try moveMount(root.descriptor, onto: top, subject: "")
                } else {
                    // Names of descriptors were in the host's procfs.
                    try mount(".", onto: "/", flags: .move)
                }
                try changeRoot(to: ".")
            case .chroot:
                try changeDirectory(to: root.descriptor, subject: "")
                try changeRoot(to: ".")
            }
        }
        try changeDirectory("/")
    }

    /// Takes the host's procfs and sysfs, which no mask covers, out of the tree that `--no-pivot` leaves reachable below the root.
    private func hideKernelMounts() throws(SyscallError) {
        let inside = rootPath.hasSuffix("/") ? rootPath : "\(rootPath)/"
        for mount in try mountTable().reversed() where mount.type == "proc" || mount.type == "sysfs" {
            if mount.mountPoint.hasPrefix(inside) { continue }
            try unmount(FilePath(mount.mountPoint), .detach)
        }
    }
}

/// A mount or directory kept open between steps.
final class HeldMount {
    let descriptor: OwnedFD
    /// Whether it is a procfs that settings can be written through.
    let isWritableProcfs: Bool

    init(_ descriptor: consuming OwnedFD, isWritableProcfs: Bool = false) {
        self.descriptor = descriptor
        self.isWritableProcfs = isWritableProcfs
    }
}

/// A procfs kept open between steps.
private final class HeldProcfs {
    let procfs: DetachedProcfs

    init(_ procfs: consuming DetachedProcfs) { self.procfs = procfs }
}

extension RootfsStep {
    /// Whether it shows the hierarchies as seen from the process's own cgroup.
    fileprivate var mountsCgroups: Bool {
        if case .mount(let mount) = self, case .cgroups = mount.kind { true } else { false }
    }
}
