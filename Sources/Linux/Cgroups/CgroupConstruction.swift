internal import CoreTypes
internal import LinuxSyscalls
package import OCISpec

/// A cgroup in the making. v2's directory can be made first: a process may be born there while those of v1 are still to come.
package struct CgroupConstruction {
    private let planned: CgroupRecord
    private let layout: CgroupLayout
    private let steps: [CgroupStep]
    private var unified: Cgroup.Branch?

    /// - Parameters:
    ///   - planned: where, as `plannedRecord` foresaw it for this layout; an existing cgroup is taken when it has no processes.
    ///   - resources: the container's limits; nil sets none but those on devices.
    ///   - controllingDevices: false leaves every device to those whom its mode lets use it: for callers without the right.
    /// - Throws: `unsupported` for limits that cannot be set here.
    package init(
        _ planned: CgroupRecord, layout: CgroupLayout, resources: LinuxResources?, controllingDevices: Bool = true
    ) throws(CgroupError) {
        self.planned = planned
        self.layout = layout
        let planner = CgroupPlanner(layout: layout)
        let resources = resources ?? LinuxResources()
        steps = try controllingDevices ? planner.plan(creating: resources) : planner.plan(updating: resources)
    }

    /// Makes v2's directory alone; to be removed by the planned record should `finish` not be reached.
    package mutating func makeUnified() throws(CgroupError) {
        guard let (hierarchy, place) = zip(layout.hierarchies, planned.places).first(where: { $1.version == .v2 }) else { return }
        unified = try make(place, in: hierarchy)
    }

    /// The v2 directory for CLONE_INTO_CGROUP, valid as long as this value; nil where it is not made.
    package var directoryForClone: Int32? { unified?.leaf?.number }

    /// Makes what is still missing and sets the limits. What this made is removed again when that fails; where `makeUnified` was called, a
    /// process may have been born, and its end comes first.
    package func finish() throws(CgroupError) -> Cgroup {
        var branches: [Cgroup.Branch] = []
        do throws(CgroupError) {
            for (hierarchy, place) in zip(layout.hierarchies, planned.places) {
                if let unified, place.version == .v2 { branches.append(unified) } else { branches.append(try make(place, in: hierarchy)) }
            }
            let cgroup = Cgroup(mode: layout.mode, branches: branches)
            try cgroup.perform(steps)
            return cgroup
        } catch {
            let empty = unified == nil ? branches : branches.filter { $0.place.version != .v2 }
            throw error.followed { () throws(CgroupError) in try Cgroup(mode: layout.mode, branches: empty).removeWhatWasMade() }
        }
    }

    private func make(_ place: CgroupRecord.Place, in hierarchy: CgroupHierarchy) throws(CgroupError) -> Cgroup.Branch {
        let branch = try CgroupMaker(hierarchy: hierarchy, components: place.components).make(for: steps, mode: layout.mode)
        // One that was there before, and may be taken only while it is empty.
        guard branch.place.foundDepth == branch.depth else { return branch }
        let text = try doing("read cgroup \(place.directory)") { () throws(SyscallError) in try branch.leaf?.read("cgroup.procs") ?? "" }
        if let process = text.split(separator: "\n").first {
            throw CgroupError(.notEmpty, doing: "create cgroup \(place.directory)", reason: "it exists and has processes (\(process))")
        }
        return branch
    }
}
