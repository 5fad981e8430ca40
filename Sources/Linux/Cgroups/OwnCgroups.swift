internal import LinuxSyscalls
internal import SystemPackage

/// The cgroups of one process, as /proc/PID/cgroup lists them: also of hierarchies that are not mounted here.
struct OwnCgroups {
    struct Line: Equatable {
        /// The controllers, or `name=…`; empty for v2.
        let names: [String]
        /// Absolute, in the view of our cgroup namespace.
        let path: String
    }
    let lines: [Line]

    static func ofCaller() throws(CgroupError) -> OwnCgroups { try of(process: "self") }

    static func of(process: String) throws(CgroupError) -> OwnCgroups {
        let bytes = try doing("find the cgroups of process \(process)") { () throws(SyscallError) in
            try readFile(FilePath("/proc/\(process)/cgroup"), limitBytes: 1 << 20)
        }
        return OwnCgroups(parsing: String(decoding: bytes, as: UTF8.self))
    }

    /// - Source: cgroups(7): `hierarchy-ID:controller-list:cgroup-path`.
    init(parsing text: String) {
        lines = fields(of: text[...], separatedBy: UInt8(ascii: "\n")).compactMap { line in
            // By bytes: this is read each time a container is made.
            let parts = line.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { return nil }
            let names = parts[1].split(separator: UInt8(ascii: ",")).map { String(Substring($0)) }
            return Line(names: names, path: String(Substring(parts[2])))
        }
    }

    /// The path below the hierarchy's mount point.
    /// - Throws: `unavailable` for a cgroup outside our cgroup namespace.
    func components(in hierarchy: CgroupHierarchy) throws(CgroupError) -> [String] {
        let line = lines.first { line in
            hierarchy.names.isEmpty
                ? line.names.isEmpty
                : line.names.contains { name in hierarchy.names.contains { name == $0 || name == "name=\($0)" } }
        }
        let components = fields(of: (line?.path ?? "")[...], separatedBy: UInt8(ascii: "/")).map { String($0) }
        if components.contains("..") {
            throw CgroupError(
                .unavailable, doing: "find the own cgroup in \(hierarchy.root.path)",
                reason: "it lies outside the cgroup namespace (\(line?.path ?? ""))")
        }
        return components
    }

    /// Where relative paths begin: the runtime's own cgroup. In v2 its parent: controllers cannot be handed down
    /// from a cgroup that has processes.
    func base(in hierarchy: CgroupHierarchy) throws(CgroupError) -> [String] {
        let own = try components(in: hierarchy)
        let base = hierarchy.version == .v2 ? Array(own.dropLast()) : own
        // Without a cgroup namespace a container's mount begins at its own cgroup, not at the hierarchy's root.
        guard !base.isEmpty else { return [] }
        let isVisible =
            (try? openFile(FilePath(relativePath(of: base)), [.path, .directory], at: hierarchy.root.number).number) != nil
        return isVisible ? base : []
    }
}
