internal import Cgroups
internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import Rootfs
internal import SystemPackage

/// The cgroup of a container, from the plan that is written down first to its removal.
final class ContainerCgroup {
    /// Where it is, or will be.
    private(set) var record: CgroupRecord
    private var cgroup: Cgroup?
    /// Of a new container, until it stands.
    private var construction: CgroupConstruction?
    private let layout: CgroupLayout?
    private let resources: LinuxResources?
    /// Whether processes are cloned into v2's directory rather than moved there.
    private let bornInUnified: Bool
    /// What of a new container's annotations may be properties of its unit.
    private let annotations: [String: String]
    /// The user of the host to whom a new container's cgroup is handed over; nil leaves it the caller's.
    private let owner: UInt32?
    /// How many processes the kernel had killed for want of memory before this container's: a cgroup that was there counts on.
    private var formerOutOfMemoryKills: UInt64 = 0

    /// For a new container: looks where the cgroup will be, and makes nothing yet.
    /// - Parameter systemdDirectory: where the systemd is that makes the cgroup; nil makes it by files.
    private init(for configuration: RuntimeConfiguration, id: String, systemdDirectory: String?) throws(RuntimeError) {
        do throws(CgroupError) {
            let layout = try CgroupLayout.detect()
            let (path, id) = (configuration.linux?.cgroupsPath, try Self.checked(id))
            if let systemdDirectory {
                record = try Cgroup.plannedRecord(try SystemdUnit(path, container: id, runtimeDirectory: systemdDirectory), layout: layout)
            } else {
                record = try Cgroup.plannedRecord(CgroupPath(path, container: id), layout: layout)
                try Cgroup.requireFitness(of: record)
            }
            self.layout = layout
            resources = configuration.linux?.resources
            annotations = configuration.annotations
            owner = configuration.cgroupOwner
        } catch { throw RuntimeError(error) }
        // Nothing is born where no process may be added; moved there it may be.
        bornInUnified =
            systemdDirectory == nil && record.hasUnified && resources?.pids?.limit != 0 && canCloneIntoCgroup()
    }

    /// For a container that is asked for: of a cgroup that is taken, a name that is taken is the better reason.
    static func planned(for configuration: RuntimeConfiguration, _ request: CreateRequest) throws(RuntimeError) -> ContainerCgroup {
        do throws(RuntimeError) {
            return try ContainerCgroup(for: configuration, id: request.id, systemdDirectory: request.systemdDirectory)
        } catch {
            try StateDirectory.requireUnused(request.id, in: request.stateRoot)
            throw error
        }
    }

    /// For a container on record.
    init(recorded record: CgroupRecord) throws(RuntimeError) {
        self.record = record
        layout = nil
        resources = nil
        annotations = [:]
        owner = nil
        bornInUnified = record.hasUnified && canCloneIntoCgroup()
        do throws(CgroupError) { cgroup = try Cgroup(opening: record) } catch { throw RuntimeError(error) }
    }

    private static func checked(_ id: String) throws(CgroupError) -> ContainerID {
        do { return try ContainerID(id) } catch { throw CgroupError(.invalidPath, doing: "name the cgroup", reason: error.description) }
    }

    /// Makes as much of a new container's cgroup as its first process needs for its birth; all of it for a caller who may have no right to it.
    /// - Returns: why there is none, where the caller has no right to one and the container can do without: it has no limits.
    private func begin(_ rootless: RootlessPolicy) throws(RuntimeError) -> String? {
        // Systemd takes in a process that exists.
        guard let layout, record.unit == nil else { return nil }
        do throws(CgroupError) {
            formerOutOfMemoryKills = try countedOutOfMemoryKills()
            if rootless.applies() { return try makeOrDoWithout(layout) }
            construction = try CgroupConstruction(record, layout: layout, resources: resources)
            if bornInUnified { try construction?.makeUnified() }
            if !admission.hasMoreToEnter { try complete() }
            return nil
        } catch { throw RuntimeError(error) }
    }

    /// Those of a cgroup that is there already, where they will be asked for.
    private func countedOutOfMemoryKills() throws(CgroupError) -> UInt64 {
        guard resources?.memory?.limitBytes != nil else { return 0 }
        let places = record.places.filter { $0.version == .v2 || $0.names.contains("memory") }
        return try Cgroup(opening: CgroupRecord(mode: record.mode, places: places)).outOfMemoryKills()
    }

    /// Writes a new container down, for this is the first effect that outlives a runtime that is killed, and begins.
    func begin(
        for container: inout ContainerRecord, _ configuration: [UInt8], in directory: borrowing StateDirectory, _ rootless: RootlessPolicy,
        _ journal: Journal
    ) throws(RuntimeError) {
        try directory.write(configuration, to: StateDirectory.configurationName)
        try directory.write(container.encoded, to: ContainerRecord.fileName)
        if let problem = try begin(rootless) {
            journal.warn("the container has no cgroup of its own: \(problem)")
            container.cgroup = record
            try directory.replace(ContainerRecord.fileName, by: container.encoded)
        }
    }

    /// Writes down where the cgroup is, unless that is on record: a runtime that is killed on its way out leaves what is on record to `delete`,
    /// which must not find a unit of somebody else's there.
    func writeDown(in container: inout ContainerRecord, _ directory: borrowing StateDirectory) throws(RuntimeError) {
        guard container.cgroup != record else { return }
        container.cgroup = record
        try directory.replace(ContainerRecord.fileName, by: container.encoded)
    }

    /// Makes the rest, and sets the limits. Where it fails, `record` has what is left of the cgroup to write down.
    /// - Parameter process: the container's first.
    func finish(around process: Int32) throws(RuntimeError) {
        do throws(CgroupError) {
            if let layout, record.unit != nil {
                do throws(CgroupError) {
                    cgroup = try Cgroup.create(
                        planned: record, layout: layout, resources: resources, process: process, annotations: annotations,
                        controllingDevices: effectiveUserID() == 0)
                } catch  where error.code == .notEmpty {
                    // Whoever's the unit is, this container's end is not its own.
                    record = CgroupRecord(mode: record.mode, places: [])
                    throw error
                }
                try handOver()
            } else {
                try complete()
            }
        } catch { throw RuntimeError(error) }
    }

    /// How a new container's first process gets in, once `begin` has been called.
    var admission: CgroupAdmission {
        CgroupAdmission(record: record, birthplace: bornInUnified ? cgroup?.directoryForClone ?? construction?.directoryForClone : nil)
    }

    private func makeOrDoWithout(_ layout: CgroupLayout) throws(CgroupError) -> String? {
        var refusal: CgroupError?
        // Root of a user namespace can have a cgroup, but no rules for devices, which such a root cannot make either.
        for controllingDevices in effectiveUserID() == 0 ? [true, false] : [false] {
            do throws(CgroupError) {
                construction = try CgroupConstruction(
                    record, layout: layout, resources: resources, controllingDevices: controllingDevices)
                try complete()
                return nil
            } catch {
                guard error.lacksRights else { throw error }
                refusal = error
            }
        }
        guard let refusal else { return nil }
        if try Cgroup.hasLimits(resources, layout: layout) { throw refusal }
        record = CgroupRecord(mode: record.mode, places: [])
        cgroup = try Cgroup(opening: record)
        return refusal.description
    }

    private func complete() throws(CgroupError) {
        guard let made = try construction?.finish() else { return }
        construction = nil
        cgroup = made
        record = made.record
        try handOver()
    }

    /// An ordinary user has what is theirs already, and can give nothing away.
    private func handOver() throws(CgroupError) {
        guard let owner, effectiveUserID() == 0 else { return }
        try cgroup?.handOver(to: owner)
    }

    /// What a process needs to enter the cgroup of a container on record by itself; nil where something of it is not there.
    /// - Parameter first: the container's first process.
    static func entry(into record: CgroupRecord, beside first: Int32?) throws(RuntimeError) -> CgroupEntry? {
        do throws(CgroupError) {
            return try CgroupEntry(into: record, neighbour: first, bornInUnified: record.hasUnified && canCloneIntoCgroup())
        } catch { throw RuntimeError(error) }
    }

    /// What a process needs to enter it by itself, or a cgroup below it: `[<controllers>:]<path>` each, as `exec --cgroup` has it.
    func entry(below paths: [String] = []) throws(RuntimeError) -> CgroupEntry {
        guard var target = cgroup else { throw RuntimeError(.lost, doing: "entering the cgroup", "it was not made") }
        do throws(CgroupError) {
            if !paths.isEmpty { target = try target.descendant(try SubordinatePaths(paths)) }
            return try CgroupEntry(into: target, bornInUnified: bornInUnified)
        } catch { throw RuntimeError(error) }
    }

    /// The way in for an ordinary user where systemd made the cgroup.
    /// - Parameter first: the container's first process.
    func attachment(beside first: Int32?) throws(RuntimeError) -> SystemdAttachment? {
        try perform { cgroup throws(CgroupError) in try cgroup.attachment(beside: first) } ?? nil
    }

    func isFrozen() throws(RuntimeError) -> Bool { try perform { cgroup throws(CgroupError) in try cgroup.isFrozen() } ?? false }

    func freeze() throws(RuntimeError) { _ = try perform { cgroup throws(CgroupError) in try cgroup.freeze() } }

    func thaw() throws(RuntimeError) { _ = try perform { cgroup throws(CgroupError) in try cgroup.thaw() } }

    /// The same of all below it, for what has been killed to die.
    func thawAll() throws(RuntimeError) { _ = try perform { cgroup throws(CgroupError) in try cgroup.thawAll() } }

    func processes() throws(RuntimeError) -> [Int32] {
        try perform { cgroup throws(CgroupError) in try cgroup.processes() } ?? []
    }

    /// Sends a signal to every process; those that end meanwhile have had theirs.
    func signalAll(_ signal: Int32) throws(RuntimeError) {
        if signal == SIGKILL { return try killAll() }
        _ = try perform { cgroup throws(CgroupError) in try cgroup.signalAll(signal) }
    }

    /// Changes the limits of a container that exists.
    func update(_ resources: LinuxResources) throws(RuntimeError) {
        _ = try perform { cgroup throws(CgroupError) in try cgroup.apply(resources) }
    }

    /// - Parameter group: of resctrl, where the container has one.
    func usage(with group: ResourceControlGroup?) throws(RuntimeError) -> ContainerUsage {
        var usage =
            try perform { cgroup throws(CgroupError) in
                ContainerUsage(report: try cgroup.usageReport(), pressure: try cgroup.pressureReport())
            } ?? ContainerUsage()
        do throws(CgroupError) { usage.resourceControl = try group?.usage() } catch { throw RuntimeError(error) }
        return usage
    }

    /// nil without a memory controller.
    func memoryEvents() throws(RuntimeError) -> MemoryEvents? {
        guard let cgroup else { return nil }
        do throws(CgroupError) { return try cgroup.memoryEvents() } catch {
            if error.code == .unavailable { return nil }
            throw RuntimeError(error)
        }
    }

    /// How many processes of this container the kernel has killed because memory ran out.
    func outOfMemoryKills() throws(RuntimeError) -> UInt64 {
        let all = try perform { cgroup throws(CgroupError) in try cgroup.outOfMemoryKills() } ?? 0
        return all - min(all, formerOutOfMemoryKills)
    }

    func killAll() throws(RuntimeError) { _ = try perform { cgroup throws(CgroupError) in try cgroup.killAll() } }

    /// Removes it; processes that were killed may take their time to leave, but not forever.
    func remove() throws(RuntimeError) {
        if cgroup == nil {
            // Planned and perhaps made in part.
            do throws(CgroupError) { cgroup = try Cgroup(opening: record) } catch { throw RuntimeError(error) }
        }
        do throws(RuntimeError) {
            _ = try perform { cgroup throws(CgroupError) in try cgroup.stopUnit() }
        } catch {
            throw error.followed { () throws(RuntimeError) in try deleteDirectories() }
        }
        try deleteDirectories()
    }

    private func deleteDirectories() throws(RuntimeError) {
        _ = try perform { cgroup throws(CgroupError) in try cgroup.delete() }
    }

    private func perform<Result>(_ body: (Cgroup) throws(CgroupError) -> Result) throws(RuntimeError) -> Result? {
        guard let cgroup else { return nil }
        do throws(CgroupError) { return try body(cgroup) } catch { throw RuntimeError(error) }
    }
}

/// How a container's first process comes into its cgroup.
struct CgroupAdmission {
    /// Where it is, or will be.
    let record: CgroupRecord
    /// v2's directory, to be born in; nil where the process enters everything by itself.
    let birthplace: Int32?

    /// Whether there is anything to enter after birth, once the runtime says that it stands.
    var hasMoreToEnter: Bool { record.places.contains { birthplace == nil || $0.version == .v1 } }
}

extension RuntimeConfiguration {
    /// Who the container's program is on the host, where it sees a cgroup namespace of its own and may write there.
    /// - Spec: config-linux.md, "Cgroup ownership".
    fileprivate var cgroupOwner: UInt32? {
        guard let own = linux?.namespace(.cgroup), own.path == nil, mounts.contains(where: \.isWritableCgroup) else { return nil }
        let userID = process?.user.uid ?? 0
        guard let users = linux?.namespace(.user) else { return userID }
        guard users.path == nil else { return nil }
        return linux?.uidMappings.lazy.compactMap { $0.hostID(of: userID) }.first
    }
}

extension MountConfiguration {
    fileprivate var isWritableCgroup: Bool {
        guard type == "cgroup", FilePath(destination).lexicallyNormalized() == "/sys/fs/cgroup" else { return false }
        return options.last { ["ro", "rw"].contains($0) } != "ro" && !options.contains("rro")
    }
}

extension IDMapping {
    /// What an id of the container is on the host; nil where this does not map it.
    func hostID(of id: UInt32) -> UInt32? {
        guard id >= containerID, id - containerID < size else { return nil }
        return hostID + (id - containerID)
    }
}

extension CgroupRecord {
    fileprivate var hasUnified: Bool { places.contains { $0.version == .v2 } }
}

extension CgroupPlace {
    /// What the container's own cgroup mounts show of one place on record.
    init(_ place: CgroupRecord.Place) {
        let mountPoint = fields(of: place.mountPoint[...], separatedBy: UInt8(ascii: "/"))
        self.init(
            hierarchy: place.version == .v1 ? mountPoint.last.map { String($0) } : nil, controllers: place.names, path: place.directory)
    }
}

/// Where the group of `linux.intelRdt` is or will be; nil without one.
/// - Throws: `unsupported` where the machine has no resctrl, `invalidConfiguration` for what is no line of schemata.
func plannedResourceControl(_ asked: IntelRdt?, id: String) throws(RuntimeError) -> ResourceControlGroup? {
    guard let asked else { return nil }
    if let problem = asked.bandwidthProblem {
        throw RuntimeError(.invalidConfiguration, doing: "linux.intelRdt.memBwSchema", problem)
    }
    for (index, line) in asked.schemata.enumerated() where line.utf8.contains(UInt8(ascii: "\n")) {
        throw RuntimeError(.invalidConfiguration, doing: "linux.intelRdt.schemata[\(index)]", "\(line.debugDescription) is not one line")
    }
    do throws(CgroupError) {
        guard let root = try ResourceControlGroup.mountPoint() else {
            throw CgroupError(
                .unsupported, doing: "linux.intelRdt",
                reason: "no resctrl file system is mounted: mount one, if the processor and the kernel have it")
        }
        return try ResourceControlGroup(asked, container: id, root: root)
    } catch { throw RuntimeError(error) }
}

extension IntelRdt {
    /// Why `memBwSchema` cannot be written.
    var bandwidthProblem: String? {
        guard let memBwSchema, !memBwSchema.hasPrefix("MB:") || memBwSchema.utf8.contains(UInt8(ascii: "\n")) else { return nil }
        return "\(memBwSchema.debugDescription) is no one line MB:…"
    }
}

extension RuntimeError {
    init(_ error: CgroupError) {
        let code: Code =
            switch error.code {
            case .invalidPath: .invalidConfiguration
            case .unsupported: .unsupported
            case .unavailable, .notEmpty, .refused, .timedOut: .refused
            }
        self.init(code, error.description)
    }
}
