internal import LinuxSyscalls
package import SystemPackage

/// The two interfaces of cgroups(7).
package enum CgroupVersion: String, Sendable {
    case v1, v2
}

/// A controller, by its name in v1 or v2.
package enum CgroupController: String, Sendable, CaseIterable {
    case blkio, cpu, cpuacct, cpuset, devices, freezer, hugetlb, io, memory, misc, pids, rdma
    case networkClass = "net_cls"
    case networkPriority = "net_prio"
    case perfEvent = "perf_event"
}

/// An open directory of a cgroup file system, closed with the last value that shares it.
package final class CgroupDirectory: Sendable {
    let descriptor: OwnedFD
    let path: FilePath

    init(descriptor: consuming OwnedFD, path: FilePath) {
        self.descriptor = descriptor
        self.path = path
    }

    init(opening path: FilePath) throws(SyscallError) {
        descriptor = try openFile(path, [.path, .directory])
        self.path = path
    }

    package var number: Int32 { descriptor.number }

    func open(_ relative: String) throws(SyscallError) -> CgroupDirectory {
        CgroupDirectory(
            descriptor: try openFile(FilePath(relative), [.path, .directory, .noFollow], at: number), path: path.appending(relative))
    }
}

/// A mounted hierarchy.
struct CgroupHierarchy: Sendable {
    let version: CgroupVersion
    /// The controllers of v1, or the name of a v1 hierarchy that has none (`systemd`); empty for v2.
    let names: [String]
    /// Where it is mounted.
    let root: CgroupDirectory

    func has(_ controller: CgroupController) -> Bool { names.contains(controller.rawValue) }
}

/// How cgroups are mounted here.
package struct CgroupLayout: Sendable {
    /// Which versions there are.
    package enum Mode: String, Sendable {
        /// v1 hierarchies only.
        case legacy
        /// v1 hierarchies with the controllers, and v2 beside them.
        case hybrid
        /// v2 only.
        case unified
    }

    /// Where distributions mount cgroups.
    package static let usualRoot: FilePath = "/sys/fs/cgroup"

    package let mode: Mode
    let hierarchies: [CgroupHierarchy]

    var unified: CgroupHierarchy? { hierarchies.first { $0.version == .v2 } }

    func legacy(_ controller: CgroupController) -> CgroupHierarchy? { hierarchies.first { $0.has(controller) } }

    /// Whether there is cgroup v2 alone, told without looking any further.
    package static func isUnified(at root: FilePath = usualRoot) throws(CgroupError) -> Bool {
        try doing("find the cgroup file systems at \(root)") { () throws(SyscallError) in
            let top = try openFile(root, [.path, .directory])
            return try fileSystemKind(of: top.number, subject: root.string) == .cgroup2
        }
    }

    /// Looks at what is mounted in this mount namespace: /proc/self/cgroup would also list hierarchies that are not.
    /// - Throws: `unavailable` where nothing is.
    package static func detect(at root: FilePath = usualRoot) throws(CgroupError) -> CgroupLayout {
        let doingText = "find the cgroup file systems at \(root)"
        let top = try doing(doingText) { () throws(SyscallError) in
            CgroupDirectory(descriptor: try openFile(root, [.readOnly, .directory]), path: root)
        }
        let found = try doing(doingText) { () throws(SyscallError) in try hierarchies(in: top) }
        let hasLegacy = found.contains { $0.version == .v1 }
        let hasUnified = found.contains { $0.version == .v2 }
        switch (hasLegacy, hasUnified) {
        case (true, true): return CgroupLayout(mode: .hybrid, hierarchies: found)
        case (true, false): return CgroupLayout(mode: .legacy, hierarchies: found)
        case (false, true): return CgroupLayout(mode: .unified, hierarchies: found)
        case (false, false): throw CgroupError(.unavailable, doing: doingText, reason: "none is mounted there")
        }
    }

    private static func hierarchies(in top: CgroupDirectory) throws(SyscallError) -> [CgroupHierarchy] {
        if try fileSystemKind(of: top.number, subject: top.path.string) == .cgroup2 {
            return [CgroupHierarchy(version: .v2, names: [], root: top)]
        }
        var found: [CgroupHierarchy] = []
        // Co-mounted controllers have one directory (cpu,cpuacct) and symbolic links to it.
        for entry in try directoryEntries(of: top.descriptor, subject: top.path.string) where entry.type == .directory {
            let directory: CgroupDirectory
            do throws(SyscallError) { directory = try top.open(entry.name.string) } catch { continue }  // unmounted since, or not for us
            switch try fileSystemKind(of: directory.number, subject: directory.path.string) {
            case .cgroup:
                let names = entry.name.string.split(separator: ",").map(String.init)
                found.append(CgroupHierarchy(version: .v1, names: names, root: directory))
            case .cgroup2 where !found.contains { $0.version == .v2 }:
                found.append(CgroupHierarchy(version: .v2, names: [], root: directory))
            default: break
            }
        }
        return found
    }
}
