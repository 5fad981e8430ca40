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
        var attributes = step.attributes.set
        attributes.remove(.readOnly)
        let top = try makeMount(
            type: "tmpfs", source: "tmpfs", parameters: [FileSystemParameter(key: "mode", value: "755")], attributes: attributes)
        let directory = top.number
        let place = try openMountPoint(step, creating: .directory)
        // Attached first: kernels before 6.15 mount nothing on a detached mount.
        try attach(top, at: place.take(), step)
        if inOwnNamespace {
            try mountHierarchies(in: directory, step.attributes)
        } else {
            try bindOwnCgroups(in: directory, step.attributes)
        }
        if step.attributes.set.contains(.readOnly) { try changeAttributes(of: directory, set: .readOnly) }
    }

    /// Mounts every v1 hierarchy anew, which shows it from the root of the cgroup namespace on.
    private func mountHierarchies(in directory: Int32, _ attributes: AttributeChange) throws(SyscallError) {
        for mounted in try mountTable() where mounted.type == "cgroup" {
            guard let name = FilePath(mounted.mountPoint).lastComponent else { continue }
            let options = mounted.superOptions.filter { $0.hasPrefix("name=") || cgroupControllers.contains($0) }
            let mount = try makeMount(
                type: "cgroup", source: "cgroup", parameters: options.map(fileSystemParameter), attributes: attributes.set)
            try put(mount, in: directory, hierarchy: name.string, controllers: options.filter { !$0.hasPrefix("name=") })
        }
    }

    /// Binds what the container may see of every v1 hierarchy.
    private func bindOwnCgroups(in directory: Int32, _ attributes: AttributeChange) throws(SyscallError) {
        for place in cgroup {
            guard let hierarchy = place.hierarchy else { continue }
            let mount = try copyMount(at: place.path)
            try apply(attributes, AttributeChange(), to: mount.number)
            try put(mount, in: directory, hierarchy: hierarchy, controllers: place.controllers)
        }
    }

    /// Attaches a hierarchy under the name that it has on the host, with links for the controllers that share it.
    private func put(
        _ mount: consuming OwnedFD, in directory: Int32, hierarchy: String, controllers: [String]
    ) throws(SyscallError) {
        let name = FilePath(hierarchy)
        try makeDirectory(name, at: directory)
        let place = try openFile(name, [.path, .directory, .noFollow], at: directory)
        try put(mount, onto: place, subject: hierarchy)
        for controller in controllers where controller != hierarchy {
            try makeSymbolicLink(FilePath(controller), to: name, at: directory)
        }
    }

    /// A detached copy of the host's cgroup2 mount from the container's own cgroup on; of the whole, read-only, where it has none.
    func ownCgroup2Subtree(_ attributes: AttributeChange) throws(SyscallError) -> OwnedFD {
        let own = cgroup.first { $0.hierarchy == nil }
        let tree = try copyMount(at: own?.path ?? "/sys/fs/cgroup")
        var attributes = attributes
        if own == nil { attributes.apply(AttributeChange(set: .readOnly)) }
        try apply(attributes, AttributeChange(), to: tree.number)
        return tree
    }
}

private func fileSystemParameter(_ option: String) -> FileSystemParameter {
    let parts = option.split(separator: "=", maxSplits: 1)
    return FileSystemParameter(key: String(parts[0]), value: parts.count > 1 ? String(parts[1]) : nil)
}
