internal import Glibc
internal import LinuxSyscalls
package import OCISpec
internal import SystemPackage

/// A container's cgroup: one directory in every mounted hierarchy.
///
/// Values share the open directories; all are close-on-exec.
package struct Cgroup: Sendable {
    /// One directory of this cgroup. `leaf` is nil where the hierarchy, or the cgroup in it, is gone.
    struct Branch: Sendable {
        let place: CgroupRecord.Place
        let root: CgroupDirectory
        let leaf: CgroupDirectory?

        func has(_ controller: CgroupController) -> Bool { place.names.contains(controller.rawValue) }
    }

    let branches: [Branch]
    /// What to keep in order to find this cgroup again.
    package let record: CgroupRecord

    init(mode: CgroupLayout.Mode, branches: [Branch], unit: SystemdUnit? = nil) {
        self.branches = branches
        record = CgroupRecord(mode: mode, places: branches.map(\.place), unit: unit)
    }

    /// Makes a container's cgroup and sets its limits; processes are added later. Whatever it made is removed again
    /// when it fails.
    /// - Parameters:
    ///   - path: where; an existing cgroup is taken when it has no processes.
    ///   - resources: the container's limits; nil sets none but those on devices.
    /// - Throws: `notEmpty`, `unavailable`, `unsupported` or `refused`.
    package static func create(
        _ path: CgroupPath, resources: LinuxResources?, layout: CgroupLayout? = nil
    ) throws(CgroupError) -> Cgroup {
        let layout = if let layout { layout } else { try CgroupLayout.detect() }
        let planned = try plannedRecord(path, layout: layout)
        try requireFitness(of: planned)
        return try CgroupConstruction(planned, layout: layout, resources: resources).finish()
    }

    /// Whether resources ask for more than rules for devices.
    package static func hasLimits(_ resources: LinuxResources?, layout: CgroupLayout) throws(CgroupError) -> Bool {
        guard let resources else { return false }
        return try !CgroupPlanner(layout: layout).plan(updating: resources).isEmpty
    }

    /// Finds a cgroup again. Directories that are gone are no error here, but adding a process needs all of them.
    package init(opening record: CgroupRecord) throws(CgroupError) {
        var branches: [Branch] = []
        for place in record.places {
            do throws(SyscallError) {
                let root = try CgroupDirectory(opening: FilePath(place.mountPoint))
                branches.append(Branch(place: place, root: root, leaf: try Self.openIfThere(place.path, in: root)))
            } catch {
                if error.errno != ENOENT { throw CgroupError(doing: "open cgroup \(place.directory)", cause: error) }
            }
        }
        self.branches = branches
        self.record = record
    }

    /// The cgroup that a process is in, such as a container's first: for a shim, which has no state file.
    /// - Throws: `refused` where the process is gone.
    package init(ofProcess process: Int32) throws(CgroupError) {
        let layout = try CgroupLayout.detect()
        let own = try OwnCgroups.of(process: "\(process)")
        var branches: [Branch] = []
        for hierarchy in layout.hierarchies {
            let components = try own.components(in: hierarchy)
            if components.isEmpty { continue }
            let path = relativePath(of: components)
            let place = CgroupRecord.Place(
                version: hierarchy.version, names: hierarchy.names, mountPoint: hierarchy.root.path.string, path: path,
                foundDepth: components.count - 1)
            let leaf = try doing("open cgroup \(place.directory)") { () throws(SyscallError) in
                try Self.openIfThere(path, in: hierarchy.root)
            }
            branches.append(Branch(place: place, root: hierarchy.root, leaf: leaf))
        }
        self.init(mode: layout.mode, branches: branches)
    }

    /// Moves a process into this cgroup, in every hierarchy.
    ///
    /// The kernel may take milliseconds for the first of these writes; the process can run on meanwhile.
    /// - Parameter bornInUnified: whether the process was cloned into `directoryForClone`, so that v2 is done.
    package func add(_ process: Int32, bornInUnified: Bool = false) throws(CgroupError) {
        for branch in branches where !(bornInUnified && branch.place.version == .v2) {
            try doing("add process \(process) to cgroup \(branch.place.directory)") { () throws(SyscallError) in
                guard let leaf = branch.leaf else { throw SyscallError("open", "cgroup.procs", errno: ENOENT) }
                try leaf.write("\(process)", to: "cgroup.procs")
            }
        }
    }

    /// A directory for CLONE_INTO_CGROUP, valid as long as this value; nil without v2.
    package var directoryForClone: Int32? { unifiedLeaf?.number }

    /// A cgroup below this one, for `exec --cgroup`: a path for every hierarchy, or with v1 one for each controller; hierarchies that
    /// none is for stay.
    /// - Throws: `invalidPath` for a path that leaves this cgroup or a controller that is not there, `refused` where it does not exist.
    package func descendant(_ paths: SubordinatePaths) throws(CgroupError) -> Cgroup {
        try paths.check(against: self)
        var below: [Branch] = []
        for branch in branches {
            guard let leaf = branch.leaf else { continue }
            guard let path = paths.path(for: branch.place.names), path != "/" else {
                below.append(branch)
                continue
            }
            let relative = relativePath(of: try CgroupPath.checkedComponents(of: path, field: "cgroup"))
            let place = CgroupRecord.Place(
                version: branch.place.version, names: branch.place.names, mountPoint: branch.place.mountPoint,
                path: "\(branch.place.path)/\(relative)", foundDepth: .max)
            let opened = try doing("open cgroup \(place.directory)") { () throws(SyscallError) in try leaf.open(relative) }
            below.append(Branch(place: place, root: branch.root, leaf: opened))
        }
        return Cgroup(mode: record.mode, branches: below)
    }

    /// Whether any of its directories is still there.
    package var exists: Bool { branches.contains { $0.leaf != nil } }

    var unifiedLeaf: CgroupDirectory? { branches.first { $0.place.version == .v2 }?.leaf }

    func legacyLeaf(_ controller: CgroupController) -> CgroupDirectory? { legacyLeaf(controller.rawValue) }

    func legacyLeaf(_ controllerName: String) -> CgroupDirectory? { branches.first { $0.place.names.contains(controllerName) }?.leaf }

    static func openIfThere(_ path: String, in root: CgroupDirectory) throws(SyscallError) -> CgroupDirectory? {
        do throws(SyscallError) { return try root.open(path) } catch {
            if error.errno == ENOENT { return nil }
            throw error
        }
    }
}

extension CgroupDirectory {
    /// The longest control file that is read.
    static let maximumFileBytes = 4 << 20

    /// Writes a whole value to a control file in one call, which the kernel demands.
    func write(_ value: String, to file: String) throws(SyscallError) {
        let control = try openFile(FilePath(file), .writeOnly, at: number)
        try writeAll(Array(value.utf8), to: control.number, subject: "\(file) \(value)")
    }

    /// Reads a control file without its last line break.
    func read(_ file: String) throws(SyscallError) -> String {
        var text = String(decoding: try readFile(FilePath(file), limitBytes: Self.maximumFileBytes, at: number), as: UTF8.self)
        if text.hasSuffix("\n") { text.removeLast() }
        return text
    }
}
