internal import CoreTypes
internal import Glibc
internal import LinuxSyscalls
package import OCISpec
internal import SystemPackage

// The systemd driver: a unit of systemd's is the container's cgroup, whose files are then written as the file driver's.
extension Cgroup {
    /// Whether systemd runs this machine. - Source: sd_booted(3).
    package static func hasSystemd() -> Bool { (try? fileStatus("/run/systemd/system"))?.type == .directory }

    /// Where the cgroup of a unit will be: what to write down before, so that a creation that is cut off can be undone.
    /// - Throws: `unavailable` where systemd does not answer.
    package static func plannedRecord(_ unit: SystemdUnit, layout: CgroupLayout) throws(CgroupError) -> CgroupRecord {
        let manager = try SystemdConversation(at: unit.runtimeDirectory)
        let above = try manager.controlGroup().split(separator: "/").map(String.init)
        // The machine's manager itself lies in init.scope.
        let components = try above.filter { $0 != "init.scope" } + unit.components()
        let places = layout.hierarchies.map { hierarchy in
            CgroupRecord.Place(
                version: hierarchy.version, names: hierarchy.names, mountPoint: hierarchy.root.path.string,
                path: relativePath(of: components), foundDepth: components.count - 1)
        }
        return CgroupRecord(mode: layout.mode, places: places, unit: unit)
    }

    /// Has systemd make the planned cgroup with a container's first process in it, and sets the container's limits. When it fails the unit
    /// may stand: it ends with the process, and `stopUnit` of the planned cgroup forgets it. Not so with `notEmpty`: a unit of that name is another's.
    /// - Parameter annotations: the container's; some are properties of the unit.
    package static func create(
        planned: CgroupRecord, layout: CgroupLayout, resources: LinuxResources?, process: Int32, annotations: [String: String],
        controllingDevices: Bool
    ) throws(CgroupError) -> Cgroup {
        guard let unit = planned.unit else { throw CgroupError(.unavailable, doing: "create a cgroup", reason: "no unit was planned") }
        let planner = CgroupPlanner(layout: layout)
        let resources = resources ?? LinuxResources()
        let steps = controllingDevices ? try planner.plan(creating: resources) : try planner.plan(updating: resources)
        let properties = try SystemdProperties(version: layout.mode == .unified ? .v2 : .v1, deviceGroups: deviceGroups())
            .creating(unit, process: process, resources: resources, annotations: annotations)
        let manager = try SystemdConversation(at: unit.runtimeDirectory)
        try manager.start(unit.name, properties)
        var branches: [Branch] = []
        for (hierarchy, place) in zip(layout.hierarchies, planned.places) {
            if hierarchy.version == .v1 {
                branches.append(try CgroupMaker(hierarchy: hierarchy, components: place.components).make(for: steps, mode: layout.mode))
            } else {
                let leaf = try doing("open cgroup \(place.directory)") { () throws(SyscallError) in try hierarchy.root.open(place.path) }
                branches.append(Branch(place: place, root: hierarchy.root, leaf: leaf))
            }
        }
        let cgroup = Cgroup(mode: layout.mode, branches: branches, unit: unit)
        try cgroup.perform(steps)
        return cgroup
    }

    /// Tells systemd of changed limits, which are written as well.
    /// - Returns: whether the cgroup is a systemd's.
    func tellSystemd(_ resources: LinuxResources) throws(CgroupError) -> Bool {
        guard let unit = record.unit else { return false }
        let manager = try SystemdConversation(at: unit.runtimeDirectory)
        try manager.change(unit.name, SystemdProperties(version: record.mode == .unified ? .v2 : .v1).updating(resources))
        return true
    }

    /// Has systemd stop the unit, whose processes have been killed.
    package func stopUnit() throws(CgroupError) {
        guard let unit = record.unit else { return }
        let manager = try SystemdConversation(at: unit.runtimeDirectory)
        try manager.stop(unit.name)
    }

    /// The way into the unit for who may not write to its files: an ordinary user, whose systemd may. Connected at once, for systemd
    /// believes who we are now.
    /// - Parameter neighbour: the container's first process, beside which there is room where the unit's own cgroup has none.
    package func attachment(beside neighbour: Int32?) throws(CgroupError) -> SystemdAttachment? {
        guard let unit = record.unit else { return nil }
        let place = record.places.first { $0.version == .v2 }
        return SystemdAttachment(
            manager: try SystemdConversation(at: unit.runtimeDirectory), unit: unit, place: place, neighbour: neighbour)
    }

    private static func deviceGroups() throws(CgroupError) -> [SystemdProperties.DeviceGroup] {
        let text = try doing("look for groups of devices") { () throws(SyscallError) in
            try readFile("/proc/devices", limitBytes: CgroupDirectory.maximumFileBytes)
        }
        return SystemdProperties.DeviceGroup.parse(String(decoding: text, as: UTF8.self))
    }
}

/// A connection to the systemd of a unit, to put processes into it.
package struct SystemdAttachment {
    let manager: SystemdConversation
    let unit: SystemdUnit
    let place: CgroupRecord.Place?
    let neighbour: Int32?

    /// Moves a process, which runs as whoever connected. Where the unit hands controllers down, it takes in none itself: then to where the
    /// container's first process is by now.
    package func attach(_ process: Int32) throws(CgroupError) {
        do throws(CgroupError) { try manager.attach(process, to: unit.name) } catch {
            guard let place, let neighbour, let below = try place.below(of: neighbour) else { throw error }
            let path = "/" + below.components.dropFirst(place.components.count).joined(separator: "/")
            do throws(CgroupError) { try manager.attach(process, to: unit.name, below: path) } catch let second {
                throw error.followed { () throws(CgroupError) in throw second }
            }
        }
    }
}
