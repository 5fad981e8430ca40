internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

extension RootfsPlan {
    /// Opens the sources that are to be opened before the process is the container's root, where mounts cannot be made by others for it: in its
    /// mount namespace, and still with the host's user. - Returns: the descriptors, owned by the caller, in the order of their steps.
    package func openSources() throws(RootfsError) -> [Int32] {
        var opened: [Int32] = []
        for (index, step) in preparation.enumerated() {
            guard case .mount(let mount) = step, mount.hasPreparedSource, case .bind(let source, _) = mount.kind else { continue }
            do throws(SyscallError) {
                opened.append(try openFile(FilePath(source), mount.followsSource ? .path : [.path, .noFollow]).release())
            } catch { throw RootfsError(fieldPrefix(of: step, at: index, refusedWith: error) + step.description, error) }
        }
        return opened
    }
}

// The calls that a root is mounted with, each in two ways: on detached mounts (Linux 5.2 to 5.12), and by mount(2), where those are missing or denied,
// with a yard for what has no place yet. Both take places by descriptors alone.
extension RootfsBuilder {
    /// A mount of a new file system that has no place yet.
    func makeMount(
        type: String, source: String, parameters: [FileSystemParameter], attributes: MountAttributes
    ) throws(SyscallError) -> OwnedFD {
        if let yard = try openedYard() {
            let mount = try ClassicMount(type: type, parameters, reason: "without fsconfig(2)")
            return try yard.makeMount(type: type, source: source, mount, attributes)
        }
        if isTooLong(source: source, parameters) {
            return try makeLongMount(type: type, source: source, parameters: parameters, attributes: attributes)
        }
        let context = try openFileSystem(type: type)
        try configureFileSystem(context, "source", source)
        for parameter in parameters {
            do throws(SyscallError) { try configureFileSystem(context, parameter.key, parameter.value) } catch {
                guard let field = parameter.field else { throw error }
                throw SyscallError(error.call, "\(field) \(parameter.value ?? "")", errno: error.errno)
            }
        }
        try createFileSystem(context, subject: "")
        return try mountFileSystem(context, attributes, subject: "")
    }

    /// A mount of what lies at a path of the host, that has no place yet; with `recursive`, of what is mounted below it as well.
    func copyMount(
        at path: String, recursive: Bool = false, followingLast: Bool = true
    ) throws(SyscallError) -> OwnedFD {
        if let yard {
            // Over the container's root it may lie over what is asked for.
            try yard.close()
            let source = try openFile(FilePath(path), followingLast ? .path : [.path, .noFollow])
            _ = try openedYard()
            return try yard.copyMount(of: source.number, recursive: recursive, subject: path)
        }
        var flags: OpenTreeFlags = recursive ? [.clone, .recursive] : .clone
        if !followingLast { flags.insert(.noFollow) }
        return try openTree(FilePath(path), flags)
    }

    /// The same of what a descriptor refers to.
    func copyMount(of descriptor: Int32, recursive: Bool, subject: String) throws(SyscallError) -> OwnedFD {
        if let yard = try openedYard() {
            return try yard.copyMount(of: descriptor, recursive: recursive, subject: subject)
        }
        return try cloneTree(of: descriptor, recursive: recursive, subject: subject)
    }

    /// Puts a mount in its place; `mount` refers to it there afterwards.
    func put(_ mount: borrowing OwnedFD, onto place: borrowing OwnedFD, subject: String) throws(SyscallError) {
        if yard == nil { return try moveMount(mount, onto: place, subject: subject) }
        try moveClassicMount(mount.number, onto: place.number, subject: subject)
    }

    /// Changes attributes of a mount; with `recursive`, of all below it too, for which there is one way only.
    func changeAttributes(
        of mount: Int32, set: MountAttributes = [], clear: MountAttributes = [], recursive: Bool = false
    ) throws(SyscallError) {
        if yard == nil { return try changeMountAttributes(of: mount, set: set, clear: clear, recursive: recursive, subject: "") }
        if recursive { throw SyscallError("mount_setattr", "recursively", errno: ENOSYS) }
        try changeClassicAttributes(of: mount, set: set, clear: clear, subject: "")
    }

    /// Changes the propagation of a mount; with `recursive`, of all below it too.
    func changePropagation(of mount: Int32, to propagation: MountPropagation, recursive: Bool) throws(SyscallError) {
        if yard == nil { return try changeMountAttributes(of: mount, propagation: propagation, recursive: recursive, subject: "") }
        // Once the root is changed, procfs is the container's, if it has one; and there is only the root left to change.
        let path: FilePath = isInside ? "/" : procfsName(of: mount)
        try changeClassicPropagation(at: path, to: propagation, recursive: recursive, subject: "")
    }

    /// Makes the root directory a mount of its own, with all that is mounted below it.
    mutating func bindRoot(_ path: String) throws(SyscallError) {
        let place = try openFile(FilePath(path), [.path, .directory])
        rootPath = path
        if yard == nil {
            let tree = try cloneTree(of: place.number, recursive: true, subject: "")
            try moveMount(tree, onto: place, subject: "")
            root = RootDirectory(tree)
        } else {
            try MountYard.verifyProcfs()
            try bindMount(place.number, onto: place.number, recursive: true, subject: "")
            // The new mount has no descriptor yet; its place has the host's name only, which no container can change.
            let opened = try openFile(FilePath(path), [.path, .directory])
            let (old, new) = (try fileStatus(of: place.number, subject: path), try fileStatus(of: opened.number, subject: path))
            let isMounted = try mountNumber(of: place.number) != mountNumber(of: opened.number)
            guard isMounted, old.inode == new.inode, old.fileSystem == new.fileSystem else {
                throw SyscallError("verify:", "another directory was mounted at \(path) meanwhile", errno: EBUSY)
            }
            root = RootDirectory(opened)
        }
    }

    /// nil where mounts are made on descriptors.
    private func openedYard() throws(SyscallError) -> MountYard? {
        guard let yard else { return nil }
        try openedRoot { root throws(SyscallError) in try yard.open(over: root.descriptor.number, at: rootPath) }
        return yard
    }
}
