internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// The names that a v1 hierarchy's mount options may contain as controllers. - Source: cgroups(7).
private let cgroupControllers: Set<String> = [
    "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "net_cls", "net_prio", "perf_event", "hugetlb", "rdma",
    "misc", "debug",
]

extension RootfsBuilder {
    /// Mounts what the host has: cgroup2 on a unified host, else a tmpfs with each v1 hierarchy in a directory of the host's name.
    /// The process is in its cgroup already, and in its cgroup namespace if it has one of its own.
    mutating func mountCgroups(_ step: MountStep, inOwnNamespace: Bool) throws(SyscallError) {
        let host = try openFile("/sys/fs/cgroup", [.path, .directory])
        if try fileSystemKind(of: host.number, subject: "/sys/fs/cgroup") == .cgroup2 {
            let unified = MountStep(
                destination: step.destination, kind: .fileSystem(type: "cgroup2", source: "cgroup", parameters: []),
                attributes: step.attributes, recursiveAttributes: step.recursiveAttributes, propagation: step.propagation)
            return try perform(unified)
        }
        let hierarchies = try mountTable().filter { $0.type == "cgroup" }
        var attributes = step.attributes.set
        attributes.remove(.readOnly)
        let top = try makeMount(
            type: "tmpfs", source: "tmpfs", parameters: [FileSystemParameter(key: "mode", value: "755")], attributes: attributes)
        let directory = top.number
        let place = try openMountPoint(step, creating: .directory)
        // Attached first: kernels before 6.15 mount nothing on a detached mount.
        try attach(top, at: place.take(), step)
        let ownPaths = inOwnNamespace ? nil : try ownCgroupPaths()
        for hierarchy in hierarchies {
            try mountHierarchy(hierarchy, in: directory, step.attributes, ownPaths: ownPaths)
        }
        if step.attributes.set.contains(.readOnly) { try changeMountAttributes(of: directory, set: .readOnly, subject: "") }
    }

    /// Mounts one v1 hierarchy, with links for the controllers that share it.
    private func mountHierarchy(
        _ hierarchy: MountTableEntry, in directory: Int32, _ attributes: AttributeChange, ownPaths: [String: String]?
    ) throws(SyscallError) {
        guard let name = FilePath(hierarchy.mountPoint).lastComponent else { return }
        let parameters = hierarchy.superOptions.filter { $0.hasPrefix("name=") || cgroupControllers.contains($0) }
        try makeDirectory(FilePath(name.string), at: directory)
        let place = try openFile(FilePath(name.string), [.path, .directory, .noFollow], at: directory)
        let mount: OwnedFD
        if let ownPaths {
            let controllers = parameters.joined(separator: ",")
            guard let own = ownPaths[controllers] else { throw SyscallError("open", "the cgroup of \(controllers)", errno: ENOENT) }
            mount = try openTree(FilePath(hierarchy.mountPoint + suffix(of: own, below: hierarchy.root)), .clone)
            try apply(attributes, AttributeChange(), to: mount.number)
        } else {
            mount = try makeMount(
                type: "cgroup", source: "cgroup", parameters: parameters.map(fileSystemParameter), attributes: attributes.set)
        }
        try moveMount(mount, onto: place, subject: name.string)
        for controller in parameters where controller != name.string && !controller.hasPrefix("name=") {
            try makeSymbolicLink(FilePath(controller), to: FilePath(name.string), at: directory)
        }
    }

    /// The process's cgroup of each v1 hierarchy, by the hierarchy's controllers; the unified one's under an empty name.
    private func ownCgroupPaths() throws(SyscallError) -> [String: String] {
        let text = String(decoding: try readFile("/proc/self/cgroup", limitBytes: 1 << 20), as: UTF8.self)
        var paths: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            if fields.count == 3 { paths[String(fields[1])] = String(fields[2]) }
        }
        return paths
    }

    /// A detached copy of the host's cgroup2 mount from the process's own cgroup on.
    func ownCgroup2Subtree(_ attributes: AttributeChange) throws(SyscallError) -> OwnedFD {
        let own = try ownCgroupPaths()[""] ?? "/"
        let tree = try openTree(FilePath("/sys/fs/cgroup" + (own == "/" ? "" : own)), .clone)
        try apply(attributes, AttributeChange(), to: tree.number)
        return tree
    }
}

private func fileSystemParameter(_ option: String) -> FileSystemParameter {
    let parts = option.split(separator: "=", maxSplits: 1)
    return FileSystemParameter(key: String(parts[0]), value: parts.count > 1 ? String(parts[1]) : nil)
}

/// The part of a cgroup's path that lies below a mount's root, with a leading slash, or empty.
private func suffix(of path: String, below root: String) -> String {
    if root == "/" { return path == "/" ? "" : path }
    return path.hasPrefix(root + "/") ? String(path.dropFirst(root.count)) : ""
}
