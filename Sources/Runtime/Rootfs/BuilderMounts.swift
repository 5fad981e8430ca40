internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

extension RootfsBuilder {
    /// Mounts a file system, a bind or the cgroup hierarchies.
    mutating func perform(_ step: MountStep) throws(SyscallError) {
        switch step.kind {
        case .fileSystem(let type, let source, let parameters):
            // Nothing of an image stands between the kernel's own file systems and their names (CVE-2019-19921).
            let isKernels = type == "proc" || type == "sysfs"
            let place = try openMountPoint(step, creating: .directory, followingLinks: !isKernels)
            var parameters = parameters
            if type == "tmpfs" && !place.wasMade && !parameters.contains(where: { $0.key == "mode" }) {
                let mode = try fileStatus(of: place.descriptor.number).mode
                parameters.append(FileSystemParameter(key: "mode", value: "0" + String(mode, radix: 8)))
            }
            let mount: OwnedFD
            do throws(SyscallError) {
                mount = try makeMount(type: type, source: source, parameters: parameters, attributes: step.attributes.set)
            } catch  where type == "cgroup2" && (error.errno == EPERM || error.errno == EBUSY) {
                // A user namespace that does not own its cgroup namespace: the container's own subtree is what it may see.
                mount = try ownCgroup2Subtree(step.attributes)
            }
            if let label = step.directoryLabel { try setLabel(label, ofDirectory: mount) }
            if step.copiesUp && !place.wasMade { try copyTree(from: place.descriptor.number, to: mount.number, subject: step.destination) }
            try attach(mount, at: place.take(), step, isWritableProcfs: type == "proc" && !step.attributes.set.contains(.readOnly))
        case .bind(let source, let recursive): try bind(source, recursive: recursive, step)
        case .cgroups(let inOwnNamespace): try mountCgroups(step, inOwnNamespace: inOwnNamespace)
        case .remount: try remount(step)
        }
    }

    /// Changes the mount that lies at the end of the way; the kernel refuses what is no mount's root.
    private func remount(_ step: MountStep) throws(SyscallError) {
        let mount = try openedRoot { root throws(SyscallError) in try root.open(step.destination) }
        try apply(step.attributes, step.recursiveAttributes, to: mount.number)
        try change(propagation: step.propagation, of: mount.number)
    }

    private mutating func bind(_ source: String, recursive: Bool, _ step: MountStep) throws(SyscallError) {
        if step.copiesLink, try fileStatus(FilePath(source)).type == .symbolicLink {
            // The next step's is the one after it.
            if step.ownerMapping != nil || step.hasPreparedSource { _ = try takeMappedTree() }
            return try copyLink(source, step)
        }
        let tree: OwnedFD
        if step.ownerMapping != nil || step.hasPreparedSource {
            let prepared = try takeMappedTree()
            tree = try yard == nil ? prepared : copyMount(of: prepared.number, recursive: recursive, subject: source)
        } else {
            tree = try copyMount(at: source, recursive: recursive, followingLast: step.followsSource)
        }
        try verifyProcBind(tree.number, step.destination)
        let isDirectory = try fileStatus(of: tree.number, subject: source).type == .directory
        try apply(step.attributes, step.recursiveAttributes, to: tree.number)
        let place = try openMountPoint(step, creating: isDirectory ? .directory : .file)
        // What move_mount(2) says of it is EINVAL, which may be anything.
        let isOntoDirectory = try fileStatus(of: place.descriptor.number).type == .directory
        guard isOntoDirectory == isDirectory else { throw SyscallError("move_mount", errno: ENOTDIR) }
        try attach(tree, at: place.take(), step, attributesApplied: true)
    }

    /// A link that is there already, and says the same, is left.
    private mutating func copyLink(_ source: String, _ step: MountStep) throws(SyscallError) {
        let target = try symbolicLinkText(FilePath(source))
        let path = FilePath(step.destination)
        guard let name = path.lastComponent else { throw SyscallError("symlink", step.destination, errno: EINVAL) }
        let directory = try openedRoot { root throws(SyscallError) in
            try root.openMountPoint(path.removingLastComponent().string, creating: .directory)
        }
        let parent = directory.take()
        do throws(SyscallError) { try makeSymbolicLink(FilePath(name.string), saying: target, at: parent.number) } catch {
            guard error.errno == EEXIST, (try? symbolicLinkText(FilePath(name.string), at: parent.number)) == target else { throw error }
        }
    }

    /// Opens where a step mounts. Files of procfs stay as they are, by whatever way they are reached (CVE-2019-16884).
    func openMountPoint(
        _ step: MountStep, creating missing: RootDirectory.Missing, followingLinks: Bool = true
    ) throws(SyscallError) -> RootDirectory.Place {
        let place = try openedRoot { root throws(SyscallError) in
            try root.openMountPoint(
                step.destination, creating: missing, followingLinks: followingLinks, followingLast: step.followsDestination)
        }
        if !mayLieOnProc(step.destination), try fileSystemKind(of: place.descriptor.number, subject: step.destination) == .proc {
            throw SyscallError("verify:", "the way leads into procfs", errno: EPERM)
        }
        return place
    }

    private func setLabel(_ label: String, ofDirectory mount: borrowing OwnedFD) throws(SyscallError) {
        let directory = try openFile(".", [.readOnly, .directory], at: mount.number)
        do throws(SyscallError) { try setExtendedAttribute("security.selinux", to: Array(label.utf8), of: directory.number) } catch {
            throw SyscallError(error.call, "linux.mountLabel \(label)", errno: error.errno)
        }
    }

    /// Puts a detached mount in its place, and changes what a step wants changed there.
    mutating func attach(
        _ mount: consuming OwnedFD, at place: consuming OwnedFD, _ step: MountStep, attributesApplied: Bool = false,
        isWritableProcfs: Bool = false
    ) throws(SyscallError) {
        try leavePeers(at: place.number)
        try put(mount, onto: place, subject: "")
        if !attributesApplied { try apply(AttributeChange(), step.recursiveAttributes, to: mount.number) }
        try change(propagation: step.propagation, of: mount.number)
        let held = HeldMount(mount, isWritableProcfs: isWritableProcfs)
        if step.staysPeer { try remember(peer: held, step.propagation) }
        hold(held, at: step.destination)
        if step.destination == "/dev" { deviceDirectory = nil }
    }

    /// Changes attributes, the recursive ones first, so that those of the mount itself win.
    func apply(_ attributes: AttributeChange, _ recursive: AttributeChange, to mount: Int32) throws(SyscallError) {
        if !recursive.isEmpty {
            try changeAttributes(of: mount, set: recursive.set, clear: recursive.clear, recursive: true)
        }
        if !attributes.isEmpty { try changeAttributes(of: mount, set: attributes.set, clear: attributes.clear) }
    }

    /// What is bound onto /proc itself must be a whole procfs.
    private func verifyProcBind(_ tree: Int32, _ destination: String) throws(SyscallError) {
        guard destination == "/proc" else { return }
        try verifyKind(of: tree, is: .proc, "only a procfs may be bound onto /proc")
        // The inode number of procfs's root: linux/proc_ns.h, PROC_ROOT_INO.
        if try fileStatus(of: tree).inode != 1 {
            throw SyscallError("verify:", "only the root of a procfs may be bound onto /proc", errno: EPERM)
        }
    }

    /// Puts a read-only copy of what lies at a path over it.
    mutating func makeReadOnly(_ path: String) throws(SyscallError) {
        guard let place = try openIfPresent(path) else { return }
        if try isRoot(place) { return try changeAttributes(of: place.number, set: .readOnly) }
        try leavePeers(at: place.number)
        let tree = try copyMount(of: place.number, recursive: true, subject: "")
        try changeAttributes(of: tree.number, set: .readOnly)
        try put(tree, onto: place, subject: "")
    }

    /// Covers a file with /dev/null, a directory with an empty one.
    mutating func cover(_ path: String) throws(SyscallError) {
        guard let place = try openIfPresent(path) else { return }
        if try isRoot(place) { throw SyscallError("verify:", "the root itself cannot be hidden from who is in it", errno: EINVAL) }
        let isDirectory = try fileStatus(of: place.number).type == .directory
        let cover = isDirectory ? try emptyDirectoryCopy() : try nullDeviceCopy()
        try leavePeers(at: place.number)
        try put(cover.descriptor, onto: place, subject: "")
    }

    /// Whether a place is the container's root itself, over which nothing is seen that is put there: every way inside begins below.
    private func isRoot(_ place: borrowing OwnedFD) throws(SyscallError) -> Bool {
        let root = try rootDescriptorNumber()
        guard try fileStatus(of: place.number).inode == fileStatus(of: root).inode else { return false }
        return try mountNumber(of: place.number) == mountNumber(of: root)
    }

    /// What exists at a path of the container; nil where nothing does. What lies in the kernel's own file systems is found through the
    /// mounts that were made of them: whoever shares the root can have renamed those meanwhile (CVE-2025-52881).
    private func openIfPresent(_ path: String) throws(SyscallError) -> OwnedFD? {
        do throws(SyscallError) {
            if let (mount, rest) = try kernelsMount(above: path) { return try RootDirectory(mount.descriptor.duplicate()).open(rest) }
            return try openedRoot { root throws(SyscallError) in try root.open(path) }
        } catch  where error.errno == ENOENT || error.errno == ENOTDIR { return nil }
    }

    /// The mount of procfs or sysfs that a path leads into, and the rest of the way.
    private func kernelsMount(above path: String) throws(SyscallError) -> (mount: HeldMount, rest: String)? {
        guard let (destination, mount) = lastMount(above: path) else { return nil }
        let kind = try fileSystemKind(of: mount.descriptor.number, subject: destination)
        return kind == .proc || kind == .sysfs ? (mount, String(path.dropFirst(destination.count))) : nil
    }

    /// A detached empty read-only directory. The first is a tmpfs of its own; the others are copies of it once it has its place,
    /// because kernels before 6.15 copy no detached mount.
    private mutating func emptyDirectoryCopy() throws(SyscallError) -> HeldMount {
        if let emptyDirectory {
            return HeldMount(try copyMount(of: emptyDirectory.descriptor.number, recursive: false, subject: "tmpfs"))
        }
        let parameters = [("mode", "0555"), ("nr_inodes", "1"), ("ro", nil)].map { FileSystemParameter(key: $0.0, value: $0.1) }
        let mount = HeldMount(
            try makeMount(
                type: "tmpfs", source: "tmpfs", parameters: parameters, attributes: [.readOnly, .noSetUserID, .noDevices, .noExecute]))
        emptyDirectory = mount
        return mount
    }

    /// A detached copy of the host's /dev/null, which is the null device and nothing that was put in its place (CVE-2025-31133).
    private mutating func nullDeviceCopy() throws(SyscallError) -> HeldMount {
        let device: HeldMount
        if let nullDevice {
            device = nullDevice
        } else {
            device = HeldMount(try openFile("/dev/null", [.path, .noFollow]))
            let status = try fileStatus(of: device.descriptor.number)
            guard status.type == .characterDevice, status.device == DeviceNumber(major: 1, minor: 3) else {
                throw SyscallError("verify:", "the host's /dev/null is not the null device", errno: EPERM)
            }
            nullDevice = device
        }
        return HeldMount(try copyMount(of: device.descriptor.number, recursive: false, subject: "/dev/null"))
    }
}
