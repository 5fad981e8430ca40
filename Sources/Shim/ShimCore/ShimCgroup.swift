internal import Cgroups
internal import CoreTypes
internal import LinuxSyscalls
internal import SystemPackage

/// The cgroup that containerd's option `shim_cgroup` wants the shim in, beside those of its containers.
enum ShimCgroup {
    /// Moves this process there, and with it what it begins from now on.
    /// - Parameter path: below the root of each hierarchy, with v1 of those that have it; empty for no move.
    /// - Throws: `notFound` where no hierarchy has it: it is made by whoever names it, as for runc's shim.
    static func enter(_ path: String, of id: String) throws(ShimError) {
        if path.isEmpty { return }
        let doing = "option shim_cgroup \(path)"
        do throws(CgroupError) {
            guard let container = try? ContainerID(id) else { throw CgroupError(.invalidPath, doing: doing, reason: "of no container") }
            let planned = try Cgroup.plannedRecord(CgroupPath("/\(path)", container: container), layout: .detect())
            let there = planned.places.filter { place in
                (try? fileStatus(FilePath(place.mountPoint).appending(place.path)))?.type == .directory
            }
            guard !there.isEmpty else { throw CgroupError(.unavailable, doing: doing, reason: "there is no such cgroup") }
            try Cgroup(opening: CgroupRecord(mode: planned.mode, places: there)).add(processID())
        } catch { throw ShimError(.notFound, doing, cause: "\(error)") }
    }
}
