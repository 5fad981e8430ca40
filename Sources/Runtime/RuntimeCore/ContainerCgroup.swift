internal import Cgroups
internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import Rootfs

/// The cgroup of a container, from the plan that is written down first to its removal.
final class ContainerCgroup {
    /// Where it is, or will be; for a new container without any place until `plan`.
    private(set) var record: CgroupRecord
    /// Whether a process should be cloned into the cgroup. Where v1 has the controllers it moves itself, and need not wait for the
    /// cgroup before that.
    let isBornInto: Bool
    private var cgroup: Cgroup?
    private var layout: CgroupLayout?
    private let path: CgroupPath?

    /// For a new container.
    init(for configuration: RuntimeConfiguration, id: String) throws(RuntimeError) {
        do throws(CgroupError) {
            path = try CgroupPath(configuration.linux?.cgroupsPath, container: Self.checked(id))
            let isUnified = try CgroupLayout.isUnified()
            isBornInto = isUnified && canCloneIntoCgroup()
            record = CgroupRecord(mode: isUnified ? .unified : .hybrid, places: [])
        } catch { throw RuntimeError(error) }
    }

    /// For a container on record.
    init(recorded record: CgroupRecord) throws(RuntimeError) {
        self.record = record
        isBornInto = record.mode == .unified && canCloneIntoCgroup()
        path = nil
        do throws(CgroupError) { cgroup = try Cgroup(opening: record) } catch { throw RuntimeError(error) }
    }

    private static func checked(_ id: String) throws(CgroupError) -> ContainerID {
        do { return try ContainerID(id) } catch { throw CgroupError(.invalidPath, doing: "name the cgroup", reason: error.description) }
    }

    /// Looks where a new container's cgroup will be, and makes nothing yet.
    func plan() throws(RuntimeError) {
        guard let path else { return }
        do throws(CgroupError) {
            let layout = try CgroupLayout.detect()
            record = try Cgroup.plannedRecord(path, layout: layout)
            self.layout = layout
        } catch { throw RuntimeError(error) }
    }

    /// Makes the planned cgroup with the container's limits.
    /// - Returns: why there is none, where the caller has no right to one and the container can do without: it has no limits.
    func create(_ resources: LinuxResources?, _ rootless: RootlessPolicy) throws(RuntimeError) -> String? {
        guard let layout else { return nil }
        let isRoot = effectiveUserID() == 0
        do throws(CgroupError) {
            try make(resources, layout, controllingDevices: isRoot)
            return nil
        } catch {
            guard error.lacksRights, rootless.applies() else { throw RuntimeError(error) }
            do throws(CgroupError) {
                return try createWithoutRights(resources, layout, afterwards: isRoot ? nil : error)
            } catch let second { throw RuntimeError(second) }
        }
    }

    /// Root of a user namespace can have a cgroup, but no rules for devices, which such a root cannot make either.
    private func createWithoutRights(
        _ resources: LinuxResources?, _ layout: CgroupLayout, afterwards refusal: CgroupError?
    ) throws(CgroupError) -> String? {
        var reason = refusal
        if refusal == nil {
            do throws(CgroupError) {
                try make(resources, layout, controllingDevices: false)
                return nil
            } catch { reason = error }
        }
        guard let reason else { return nil }
        guard reason.lacksRights, try !Cgroup.hasLimits(resources, layout: layout) else { throw reason }
        record = CgroupRecord(mode: record.mode, places: [])
        cgroup = try Cgroup(opening: record)
        return reason.description
    }

    private func make(_ resources: LinuxResources?, _ layout: CgroupLayout, controllingDevices: Bool) throws(CgroupError) {
        let made = try Cgroup.create(planned: record, layout: layout, resources: resources, controllingDevices: controllingDevices)
        cgroup = made
        record = made.record
    }

    /// What a process needs to enter it by itself, or a cgroup below it: `[<controllers>:]<path>` each, as `exec --cgroup` has it.
    func entry(below paths: [String] = []) throws(RuntimeError) -> CgroupEntry {
        guard var target = cgroup else { throw RuntimeError(.lost, doing: "entering the cgroup", "it was not made") }
        do throws(CgroupError) {
            if !paths.isEmpty { target = try target.descendant(try SubordinatePaths(paths)) }
            return try CgroupEntry(into: target, bornInUnified: isBornInto)
        } catch { throw RuntimeError(error) }
    }

    func isFrozen() throws(RuntimeError) -> Bool { try perform { cgroup throws(CgroupError) in try cgroup.isFrozen() } ?? false }

    func freeze() throws(RuntimeError) { _ = try perform { cgroup throws(CgroupError) in try cgroup.freeze() } }

    func thaw() throws(RuntimeError) { _ = try perform { cgroup throws(CgroupError) in try cgroup.thaw() } }

    func processes() throws(RuntimeError) -> [Int32] {
        try perform { cgroup throws(CgroupError) in try cgroup.processes() } ?? []
    }

    /// Sends a signal to every process; those that end meanwhile have had theirs.
    func signalAll(_ signal: Int32) throws(RuntimeError) {
        if signal == SIGKILL { return try killAll() }
        for process in try processes() {
            do { try sendSignal(signal, toProcess: process) } catch {
                if error.errno != ESRCH { throw RuntimeError(doing: "signalling the container's processes", error) }
            }
        }
    }

    /// Changes the limits of a container that exists.
    func update(_ resources: LinuxResources) throws(RuntimeError) {
        _ = try perform { cgroup throws(CgroupError) in try cgroup.apply(resources) }
    }

    func usage() throws(RuntimeError) -> UsageReport {
        try perform { cgroup throws(CgroupError) in try cgroup.usageReport() } ?? UsageReport()
    }

    /// nil without a memory controller.
    func memoryEvents() throws(RuntimeError) -> MemoryEvents? {
        guard let cgroup else { return nil }
        do throws(CgroupError) { return try cgroup.memoryEvents() } catch {
            if error.code == .unavailable { return nil }
            throw RuntimeError(error)
        }
    }

    func killAll() throws(RuntimeError) { _ = try perform { cgroup throws(CgroupError) in try cgroup.killAll() } }

    /// Removes it; processes that were killed may take their time to leave, but not forever.
    func remove() throws(RuntimeError) {
        if cgroup == nil {
            // Planned and perhaps made in part.
            do throws(CgroupError) { cgroup = try Cgroup(opening: record) } catch { throw RuntimeError(error) }
        }
        _ = try perform { cgroup throws(CgroupError) in try cgroup.delete() }
    }

    private func perform<Result>(_ body: (Cgroup) throws(CgroupError) -> Result) throws(RuntimeError) -> Result? {
        guard let cgroup else { return nil }
        do throws(CgroupError) { return try body(cgroup) } catch { throw RuntimeError(error) }
    }
}

/// A cgroup that stands, as its container's first process needs it.
struct ReadyCgroup {
    let entry: CgroupEntry
    let record: CgroupRecord
}

extension CgroupPlace {
    /// What the container's own cgroup mounts show of one place on record.
    init(_ place: CgroupRecord.Place) {
        let mountPoint = fields(of: place.mountPoint[...], separatedBy: UInt8(ascii: "/"))
        self.init(
            hierarchy: place.version == .v1 ? mountPoint.last.map { String($0) } : nil, controllers: place.names, path: place.directory)
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
