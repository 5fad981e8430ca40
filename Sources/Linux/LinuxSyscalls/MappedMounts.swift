internal import SystemPackage

/// Mounts that show the owners of files as a user namespace maps them: `uidmap=` and `gidmap=` among their options. A bind is mapped itself; an
/// overlay cannot be, so its layers are, and what is written into it lies on the disk with the ids of the inside.
extension FstabMount {
    func performMapped(_ options: FstabOptions, onto target: FilePath) throws(SyscallError) {
        let namespace = try makeUserNamespace(users: options.users, groups: options.groups)
        guard type == "overlay" else { return try bindMapped(options, namespace, onto: target) }
        let made = try MappedLayers(options, namespace).mount(source, onto: target)
        try moveMount(made, onto: try openFile(target, [.path, .directory, .noFollow]), subject: target.string)
        if let propagation = options.propagation { try LinuxSyscalls.mount("", onto: target, flags: propagation) }
    }

    private func bindMapped(_ options: FstabOptions, _ namespace: borrowing OwnedFD, onto target: FilePath) throws(SyscallError) {
        let isRecursive = options.flags.contains(.recursive) || type == "rbind"
        let tree = try openTree(FilePath(source), isRecursive ? [.clone, .recursive] : .clone)
        try mapOwners(of: tree, as: namespace.number, recursive: isRecursive, subject: MappedLayers.refusal(source))
        try changeMountAttributes(
            of: tree.number, set: options.attributes, propagation: .isPrivate, recursive: isRecursive, subject: source)
        try moveMount(tree, onto: try openFile(target, [.path, .noFollow]), subject: target.string)
    }
}

/// An overlay's layers, each a mount with other owners.
private struct MappedLayers {
    private let options: FstabOptions
    private let namespace: Int32
    private var lower: [String] = []
    /// The directory that holds the upper and the work directory: both must be of one mount.
    private var writable: FilePath?
    private var upperName = ""
    private var workName = ""
    private var others: [String] = []

    init(_ options: FstabOptions, _ namespace: borrowing OwnedFD) throws(SyscallError) {
        self.options = options
        self.namespace = namespace.number
        var (upper, work): (FilePath?, FilePath?)
        for option in options.data.split(separator: ",") {
            let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
            switch parts[0] {
            case "lowerdir" where parts.count == 2: lower = parts[1].split(separator: ":").map(String.init)
            case "upperdir" where parts.count == 2: upper = FilePath(parts[1])
            case "workdir" where parts.count == 2: work = FilePath(parts[1])
            default: others.append(String(option))
            }
        }
        guard let upper, let work else { return }
        guard upper.removingLastComponent() == work.removingLastComponent(), let first = upper.lastComponent,
            let second = work.lastComponent
        else {
            // EXDEV
            throw SyscallError("mount", "\(upper) and \(work) are not side by side", errno: 18)
        }
        (writable, upperName, workName) = (upper.removingLastComponent(), first.string, second.string)
    }

    /// A detached mount of the overlay. Its layers are attached at the target meanwhile: before Linux 6.15 an overlay is not made of detached
    /// ones.
    func mount(_ source: String, onto target: FilePath) throws(SyscallError) -> OwnedFD {
        var pile = MountPile(at: target)
        do throws(SyscallError) {
            var trees: [String] = []
            for layer in lower { trees.append(try pile.add(try mapped(FilePath(layer)))) }
            var words = others + ["lowerdir=\(trees.joined(separator: ":"))"]
            if let writable {
                let tree = try pile.add(try mapped(writable))
                words += ["upperdir=\(tree)/\(upperName)", "workdir=\(tree)/\(workName)"]
            }
            let made = try make(source, onto: target, words.joined(separator: ","))
            try pile.remove()
            return made
        } catch {
            // What is left is told by the first failure.
            try? pile.remove()
            throw error
        }
    }

    /// As the root of the inside: what overlayfs makes in the work directory is theirs.
    private func make(_ source: String, onto target: FilePath, _ data: String) throws(SyscallError) -> OwnedFD {
        let identity = try FileSystemIdentity(user: root(options.users), group: root(options.groups))
        do throws(SyscallError) { try LinuxSyscalls.mount(source, onto: target, type: "overlay", flags: options.flags, data: data) } catch {
            identity.end()
            throw error
        }
        identity.end()
        defer { try? unmount(target, [.detach, .noFollow]) }
        return try openTree(target, .clone)
    }

    private func root(_ ranges: [IDRange]) -> UInt32 { ranges.lazy.compactMap { $0.outside(of: 0) }.first ?? 0 }

    private func mapped(_ path: FilePath) throws(SyscallError) -> OwnedFD {
        let tree = try openTree(path, .clone)
        try mapOwners(of: tree, as: namespace, recursive: false, subject: Self.refusal(path.string))
        return tree
    }

    /// What stands before EINVAL, the word for a file system that has no mapped mounts.
    static func refusal(_ path: String) -> String {
        "\(path), whose file system must show files as another's for a user namespace (ext4, xfs, btrfs, or tmpfs from Linux 6.3, can; "
            + "without one: --userns=host)"
    }
}

/// Mounts one upon the other at one place, of which none but their owner knows.
private struct MountPile: ~Copyable {
    private let target: FilePath
    private var trees: [Int32] = []

    init(at target: FilePath) { self.target = target }

    /// - Returns: a path that leads to the mount, whatever lies over it.
    mutating func add(_ tree: consuming OwnedFD) throws(SyscallError) -> String {
        try moveMount(tree, onto: try openFile(target, [.path, .directory, .noFollow]), subject: target.string)
        let number = tree.release()
        trees.append(number)
        // What lies in a shared mount is shared; the next ones must not spread.
        try changeMountAttributes(of: number, propagation: .isPrivate, subject: target.string)
        return "/proc/self/fd/\(number)"
    }

    mutating func remove() throws(SyscallError) {
        while let number = trees.popLast() {
            _ = OwnedFD(owning: number)
            try unmount(target, [.detach, .noFollow])
        }
    }

    deinit { for number in trees { _ = OwnedFD(owning: number) } }
}
