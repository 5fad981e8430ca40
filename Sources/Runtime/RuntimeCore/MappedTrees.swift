internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import Rootfs
internal import SystemPackage

/// The id-mapped mounts of a container: prepared by the runtime, because mapping takes rights over the source's file system that a
/// process in the container's user namespace lacks, and put in their places by init.
struct MappedTrees {
    private static let helperLifetimeNanoseconds: Int64 = 30_000_000_000
    /// In the order of their steps.
    let descriptors: [HeldDescriptor]

    /// - Throws: `refused` where the file system, or the caller's rights, do not allow it.
    init(_ plan: RootfsPlan, rootfsPropagation: RootfsPropagation?) throws(RuntimeError) {
        var descriptors: [HeldDescriptor] = []
        for step in plan.preparation {
            guard case .mount(let mount) = step, mount.ownerMapping != nil || mount.hasPreparedSource,
                case .bind(let source, let recursive) = mount.kind
            else { continue }
            let namespace = try mount.ownerMapping.map { (mapping) throws(RuntimeError) in
                HeldDescriptor(try Self.userNamespace(for: mapping))
            }
            let doing = namespace == nil ? "opening \(source)" : "mapping the owners of \(source)"
            let tree = try during(doing) { () throws(SyscallError) in
                var flags: OpenTreeFlags = recursive ? [.clone, .recursive] : .clone
                if !mount.followsSource { flags.insert(.noFollow) }
                let tree = try openTree(FilePath(source), flags)
                // As the container's other mounts: what is mounted inside must not reach the host.
                try changeMountAttributes(
                    of: tree.number, propagation: rootfsPropagation == .private ? .isPrivate : .slave, recursive: true, subject: source)
                if let namespace, let mapping = mount.ownerMapping {
                    try mapOwners(of: tree, as: namespace.number, recursive: mapping.recursive, subject: source)
                }
                return tree
            }
            descriptors.append(HeldDescriptor(tree))
        }
        self.descriptors = descriptors
    }

    /// For the builder, which owns what it is given.
    func duplicates() throws(RuntimeError) -> [Int32] {
        if descriptors.isEmpty { return [] }
        return try during("taking the id-mapped mounts") { () throws(SyscallError) in
            try descriptors.map { (tree) throws(SyscallError) in try tree.duplicate() }
        }
    }

    private static func userNamespace(for mapping: OwnerMapping) throws(RuntimeError) -> OwnedFD {
        if let path = mapping.namespacePath {
            return try during("opening the user namespace \(path)") { () throws(SyscallError) in try openFile(FilePath(path), .readOnly) }
        }
        return try during("making a user namespace for an id-mapped mount") { () throws(SyscallError) in
            try makeUserNamespace(users: mapping.users, groups: mapping.groups)
        }
    }

    /// A user namespace that lives as long as its descriptor: its only process ends here.
    private static func makeUserNamespace(users: [IDMapping], groups: [IDMapping]) throws(SyscallError) -> OwnedFD {
        switch try cloneProcess(CloneFlags(namespaces: .user)) {
        case .child:
            // Long enough, and no longer should the runtime be killed before it kills this one.
            rest(nanoseconds: Self.helperLifetimeNanoseconds)
            exitAtOnce(0)
        case .parent(let process, let pidfd):
            let outcome = Result<Int32, SyscallError> { () throws(SyscallError) in
                for (name, mappings) in [("uid_map", users), ("gid_map", groups)] {
                    let file = try openFile(FilePath("/proc/\(process)/\(name)"), .writeOnly)
                    try writeAll(Array(mappings.map(\.line).joined().utf8), to: file.number, subject: name)
                }
                return try openFile(FilePath("/proc/\(process)/ns/user"), .readOnly).release()
            }
            try sendSignal(SIGKILL, toProcessOf: pidfd, subject: "process \(process)")
            _ = try waitForExit(.process(process))
            return OwnedFD(owning: try outcome.get())
        }
    }
}

extension IDMapping {
    /// A line of /proc/PID/uid_map. - Source: user_namespaces(7).
    var line: String { "\(containerID) \(hostID) \(size)\n" }
}
