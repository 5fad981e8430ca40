internal import LinuxSyscalls
internal import OCISpec
internal import Rootfs
internal import SystemPackage

/// Mounts of a container that the runtime prepares and init puts in their places: id-mapped ones, because mapping takes rights over the
/// source's file system that a process in the container's user namespace lacks, and those that stay peers of the host's.
struct MappedTrees {
    /// In the order of their steps.
    let descriptors: [HeldDescriptor]
    /// Whether init opens the sources itself, for want of mounts that could be handed to it.
    let areLeftToInit: Bool

    /// - Parameter locking: the container has a user namespace, whose root must not take restrictions of the host's mounts away.
    /// - Throws: `refused` where the file system, or the caller's rights, do not allow it.
    init(_ plan: RootfsPlan, rootfsPropagation: RootfsPropagation?, locking: Bool) throws(RuntimeError) {
        var descriptors: [HeldDescriptor] = []
        var areLeftToInit = false
        var locked = LockedTrees()
        for (index, step) in plan.preparation.enumerated() {
            guard case .mount(let mount) = step, mount.ownerMapping != nil || mount.hasPreparedSource,
                case .bind(let source, let recursive) = mount.kind
            else { continue }
            if mount.ownerMapping == nil && !mount.staysPeer && (areLeftToInit || !mountsByDescriptor()) {
                areLeftToInit = true
                continue
            }
            let namespace = try mount.ownerMapping.map { (mapping) throws(RuntimeError) in
                HeldDescriptor(try Self.userNamespace(for: mapping, of: plan.fieldOfMount(at: index)))
            }
            do throws(SyscallError) {
                var flags: OpenTreeFlags = recursive ? [.clone, .recursive] : .clone
                if !mount.followsSource { flags.insert(.noFollow) }
                var tree = try openTree(FilePath(source), flags)
                // What stays the host's peer is none of a copy's.
                if locking, !mount.staysPeer, try locked.restrict(tree, recursive: recursive, at: FilePath(source)),
                    let copied = try locked.open(FilePath(source), flags)
                {
                    tree = copied
                }
                // As the container's other mounts: what is mounted inside must not reach the host, unless that was asked for.
                if !mount.staysPeer {
                    try changeMountAttributes(
                        of: tree.number, propagation: rootfsPropagation == .private ? .isPrivate : .slave, recursive: true, subject: source)
                }
                if let namespace, let mapping = mount.ownerMapping {
                    try mapOwners(of: tree, as: namespace.number, recursive: mapping.recursive, subject: source)
                }
                // Init could not put it anywhere, and would take it for one of those that it opened.
                try requireMountsByDescriptor(subject: source)
                descriptors.append(HeldDescriptor(tree))
            } catch {
                let doing = mount.ownerMapping == nil ? "opening \(source)" : "mapping the owners of \(source)"
                var refusal = RuntimeError(doing: "\(plan.fieldOfMount(at: index, refusedWith: error)): \(doing)", error)
                refusal.aftermath = locked.aftermath
                throw refusal
            }
        }
        self.descriptors = descriptors
        self.areLeftToInit = areLeftToInit
    }

    /// For the builder, which owns what it is given.
    func duplicates() throws(RuntimeError) -> [Int32] {
        if descriptors.isEmpty { return [] }
        return try during("taking the id-mapped mounts") { () throws(SyscallError) in
            try descriptors.map { (tree) throws(SyscallError) in try tree.duplicate() }
        }
    }

    /// - Parameter mount: its field.
    private static func userNamespace(for mapping: OwnerMapping, of mount: String) throws(RuntimeError) -> OwnedFD {
        if let path = mapping.namespacePath {
            return try during("linux.namespaces: opening the user namespace \(path)") { () throws(SyscallError) in
                try openFile(FilePath(path), .readOnly)
            }
        }
        return try during("\(mount): making a user namespace for an id-mapped mount") { () throws(SyscallError) in
            try makeUserNamespace(users: mapping.users.map(\.range), groups: mapping.groups.map(\.range))
        }
    }
}

extension IDMapping {
    /// A line of /proc/PID/uid_map. - Source: user_namespaces(7).
    var line: String { range.line }

    fileprivate var range: IDRange { IDRange(inside: containerID, outside: hostID, count: size) }
}
