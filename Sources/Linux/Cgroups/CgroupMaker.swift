internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// Makes a cgroup's directory in one hierarchy, with those above it.
struct CgroupMaker {
    let hierarchy: CgroupHierarchy
    let components: [String]
    /// How long a parent that others remove meanwhile, each with its last container, is made again.
    private static let timeoutNanoseconds: Int64 = 1_000_000_000

    init(hierarchy: CgroupHierarchy, components: [String]) {
        self.hierarchy = hierarchy
        self.components = components
    }

    /// Makes the directory and readies it for processes and for the limits of `steps`.
    func make(for steps: [CgroupStep], mode: CgroupLayout.Mode) throws(CgroupError) -> Cgroup.Branch {
        let path = relativePath(of: components)
        let what = "create cgroup \(hierarchy.root.path.string)/\(path)"
        let depth = try doing(what) { () throws(SyscallError) in try makeDirectories() }
        let place = CgroupRecord.Place(
            version: hierarchy.version, names: hierarchy.names, mountPoint: hierarchy.root.path.string, path: path, foundDepth: depth)
        do throws(CgroupError) {
            let branch = try doing(what) { () throws(SyscallError) in
                let leaf = try hierarchy.root.open(path)
                if hierarchy.has(.cpuset) { try fillCpuset(from: depth) }
                return Cgroup.Branch(place: place, root: hierarchy.root, leaf: leaf)
            }
            return try branch.enablingControllers(for: steps, mode: mode)
        } catch { throw error.followed { () throws(CgroupError) in try removeDirectories(above: depth) } }
    }

    /// Takes away what `makeDirectories` made; a parent that others have come to use stays.
    private func removeDirectories(above depth: Int) throws(CgroupError) {
        for end in stride(from: components.count, to: depth, by: -1) {
            let path = relativePath(of: components[..<end])
            do throws(SyscallError) { try removeDirectory(FilePath(path), at: hierarchy.root.number) } catch {
                if [EBUSY, ENOTEMPTY].contains(error.errno) && end < components.count { return }
                if error.errno != ENOENT { throw CgroupError(doing: "delete cgroup \(hierarchy.root.path.string)/\(path)", cause: error) }
            }
        }
    }

    /// - Returns: how many components existed.
    private func makeDirectories() throws(SyscallError) -> Int {
        var wait = BackOff(nanoseconds: Self.timeoutNanoseconds)
        while true {
            do throws(SyscallError) { return try makeFrom(components.count - 1) } catch {
                // ENODEV: below a directory that is just being removed.
                if ![ENOENT, ENODEV].contains(error.errno) || !wait.rest() { throw error }
            }
        }
    }

    /// Makes the directory at this depth, and first those above it where they are missing.
    private func makeFrom(_ depth: Int) throws(SyscallError) -> Int {
        let path = FilePath(relativePath(of: components[0...depth]))
        do throws(SyscallError) {
            try makeDirectory(path, at: hierarchy.root.number)
            return depth
        } catch {
            if error.errno == EEXIST { return depth + 1 }
            if error.errno != ENOENT || depth == 0 { throw error }
        }
        let found = try makeFrom(depth - 1)
        do throws(SyscallError) { try makeDirectory(path, at: hierarchy.root.number) } catch {
            if error.errno != EEXIST { throw error }
        }
        return found
    }

    /// A new cpuset of v1 is empty, and no process can be in an empty one: gives every empty one on the path what
    /// the one above it has. - Source: cpusets(7).
    private func fillCpuset(from found: Int) throws(SyscallError) {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            // Those that were there may still be empty, if their maker has not come so far.
            var depth = min(found, components.count - 1)
            var value = try read(file, above: depth)
            while value.isEmpty && depth > 0 {
                depth -= 1
                value = try read(file, above: depth)
            }
            while depth < components.count {
                let path = relativePath(of: components[0...depth]) + "/" + file
                if depth >= found { try hierarchy.root.write(value, to: path) } else { try writeIfEmpty(value, path) }
                depth += 1
            }
        }
    }

    private func writeIfEmpty(_ value: String, _ path: String) throws(SyscallError) {
        if try hierarchy.root.read(path).isEmpty { try hierarchy.root.write(value, to: path) }
    }

    /// The value in the cgroup that holds the one at `depth`.
    private func read(_ file: String, above depth: Int) throws(SyscallError) -> String {
        try hierarchy.root.read(relativePath(of: components[..<depth] + [file]))
    }
}

extension Cgroup {
    /// Where `create` makes a cgroup: what to write down before, so that a creation that is cut off can be undone.
    package static func plannedRecord(_ path: CgroupPath, layout: CgroupLayout) throws(CgroupError) -> CgroupRecord {
        let own = path.isAbsolute ? nil : try OwnCgroups.ofCaller()
        var places: [CgroupRecord.Place] = []
        for hierarchy in layout.hierarchies {
            let components = try (own?.base(in: hierarchy) ?? []) + path.components
            let path = relativePath(of: components)
            let depth = try doing("look for cgroup \(hierarchy.root.path)/\(path)") { () throws(SyscallError) in
                try foundDepth(of: components, in: hierarchy.root)
            }
            places.append(
                CgroupRecord.Place(
                    version: hierarchy.version, names: hierarchy.names, mountPoint: hierarchy.root.path.string, path: path,
                    foundDepth: depth))
        }
        return CgroupRecord(mode: layout.mode, places: places)
    }

    /// - Throws: `notEmpty` where a cgroup that is planned is there already and others are in it, who would end with the container, or it is frozen.
    /// - Spec: config-linux.md, "Control groups": "check if the container cgroup is fit for purpose".
    package static func requireFitness(of planned: CgroupRecord) throws(CgroupError) {
        guard planned.places.contains(where: { $0.foundDepth == $0.components.count }) else { return }
        try Cgroup(opening: planned).requireFitness()
    }

    private func requireFitness() throws(CgroupError) {
        func unfit(_ place: String, _ reason: String) -> CgroupError {
            CgroupError(.notEmpty, doing: "create cgroup \(place)", reason: "it exists and \(reason)")
        }
        for branch in branches {
            guard let leaf = branch.leaf else { continue }
            var found: Set<Int32> = []
            try doing("list the processes of cgroup \(leaf.path)") { () throws(SyscallError) in
                try leaf.collectProcesses(into: &found)
            }
            if let process = found.min() { throw unfit(branch.place.directory, "has processes (\(process))") }
        }
        if try isFrozen() { throw unfit(record.places.first?.path ?? "", "is frozen") }
    }

    /// How many of the components exist.
    private static func foundDepth(of components: [String], in root: CgroupDirectory) throws(SyscallError) -> Int {
        var prefix = ""
        for (depth, component) in components.enumerated() {
            prefix += prefix.isEmpty ? component : "/\(component)"
            do throws(SyscallError) { _ = try fileStatus(FilePath(prefix), at: root.number) } catch {
                if error.errno == ENOENT { return depth }
                throw error
            }
        }
        return components.count
    }
}

extension Cgroup.Branch {
    /// Lets the cgroups above hand their controllers down. - Source: cgroups(7), cgroup.subtree_control.
    fileprivate func enablingControllers(for steps: [CgroupStep], mode: CgroupLayout.Mode) throws(CgroupError) -> Cgroup.Branch {
        guard place.version == .v2, mode == .unified || steps.contains(where: \.needsUnifiedController) else { return self }
        try doing("hand controllers down to cgroup \(place.directory)") { () throws(SyscallError) in
            let wanted = try root.read("cgroup.controllers").split { $0 == " " || $0 == "\n" }.map(String.init)
            var level = ""
            for component in place.path.split(separator: "/") {
                try enable(wanted, at: level)
                level += component + "/"
            }
        }
        return self
    }

    private func enable(_ controllers: [String], at level: String) throws(SyscallError) {
        let file = level + "cgroup.subtree_control"
        if controllers.isEmpty { return }
        do throws(SyscallError) { try root.write(controllers.map { "+\($0)" }.joined(separator: " "), to: file) } catch {
            // One of them cannot be had here (a processes-only parent, realtime tasks). A limit that needs it is
            // refused when its file turns out to be missing; the others must not suffer.
            for controller in controllers {
                do throws(SyscallError) { try root.write("+\(controller)", to: file) } catch {
                    guard [EBUSY, EINVAL, ENOENT, EOPNOTSUPP, EACCES, EPERM, EROFS].contains(error.errno) else { throw error }
                }
            }
        }
    }
}
