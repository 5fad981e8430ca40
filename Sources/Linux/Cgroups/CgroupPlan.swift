internal import Glibc
package import OCISpec

/// One value for one control file.
package struct CgroupWrite: Equatable, Sendable {
    /// A name of the kernel's; v2 may have controllers that nobody here knows.
    package let controllerName: String
    package let version: CgroupVersion
    package let file: String
    /// Written one after the other, each in a call of its own.
    package let values: [String]
    /// The member of the configuration that asks for it, for errors.
    package let field: String

    package init(_ controller: CgroupController, _ version: CgroupVersion, _ file: String, _ values: [String], field: String) {
        controllerName = controller.rawValue
        self.version = version
        self.file = file
        self.values = values
        self.field = field
    }

    /// A file of v2 as the configuration names it, `CONTROLLER.PARAMETER`; nil for what has no such form.
    init?(unified file: String, _ value: String, field: String) {
        guard let dot = file.firstIndex(of: "."), dot != file.startIndex, !file.contains("/") else { return nil }
        controllerName = String(file[..<dot])
        version = .v2
        self.file = file
        values = [value]
        self.field = field
    }
}

/// One step of setting limits, in the order in which the kernel takes them.
package enum CgroupStep: Equatable, Sendable {
    case write(CgroupWrite)
    /// Nothing but the file's absence is tolerated: asking for "no limit" where there is none to set.
    case writeIfThere(CgroupWrite)
    /// The first of these whose file exists: kernels disagree on the name.
    case writeFirstThere([CgroupWrite])
    /// Two values that limit each other: where the kernel refuses the first for the sake of the second's old value
    /// (EINVAL), the second goes first.
    case writePair(CgroupWrite, CgroupWrite)
    /// The same of several values: those that the kernel refuses for the sake of another's old value go after it.
    case writeTogether([CgroupWrite])
    /// v2: let a program decide about devices.
    case attachDeviceProgram([DeviceRule])
    /// Refuse a memory limit below what is in use.
    case requireMemoryUsage(atMost: Int64)

    var needsUnifiedController: Bool {
        switch self {
        case .write(let write), .writeIfThere(let write), .writePair(let write, _): write.version == .v2
        case .writeFirstThere(let writes), .writeTogether(let writes): writes.contains { $0.version == .v2 }
        case .attachDeviceProgram, .requireMemoryUsage: false
        }
    }
}

/// Turns limits into steps: pure, so that tests read what would be written.
package struct CgroupPlanner: Sendable {
    private let legacyControllers: Set<CgroupController>
    private let mode: CgroupLayout.Mode

    package init(layout: CgroupLayout) {
        self.init(mode: layout.mode, legacyControllers: Set(CgroupController.allCases.filter { layout.legacy($0) != nil }))
    }

    /// - Parameter legacyControllers: those that a v1 hierarchy has.
    package init(mode: CgroupLayout.Mode, legacyControllers: Set<CgroupController>) {
        self.mode = mode
        self.legacyControllers = legacyControllers
    }

    /// The steps for a new container: its limits, and which devices it may use.
    /// - Throws: `unsupported` for what the controller's version here cannot do.
    package func plan(creating resources: LinuxResources) throws(CgroupError) -> [CgroupStep] {
        let rules = resources.devices + DeviceAccess.containerDefaults
        let devices: [CgroupStep] =
            version(of: .devices) == .v1 ? try DeviceAccess.legacyPlan(rules).map { .write($0) } : [.attachDeviceProgram(rules)]
        return try devices + plan(updating: resources)
    }

    /// The steps that change a running container's limits. Rules for devices are not among them.
    /// - Throws: `unsupported` for what the controller's version here cannot do.
    package func plan(updating resources: LinuxResources) throws(CgroupError) -> [CgroupStep] {
        var steps: [CgroupStep] = []
        if let memory = resources.memory {
            steps += version(of: .memory) == .v1 ? LegacyPlan.memory(memory) : try UnifiedPlan.memory(memory)
        }
        if let cpu = resources.cpu {
            steps += version(of: .cpu) == .v1 ? try LegacyPlan.cpu(cpu) : try UnifiedPlan.cpu(cpu)
            steps += cpuset(cpu)
        }
        if let limit = resources.pids?.limit {
            steps.append(
                .write(
                    CgroupWrite(
                        .pids, version(of: .pids), "pids.max", [limit < 0 ? "max" : "\(limit)"], field: "linux.resources.pids.limit")))
        }
        if let blockIO = resources.blockIO {
            steps += version(of: .blkio) == .v1 ? LegacyPlan.blockIO(blockIO) : try UnifiedPlan.blockIO(blockIO)
        }
        for (index, limit) in resources.hugepageLimits.enumerated() {
            steps += hugepages(limit, field: "linux.resources.hugepageLimits[\(index)]")
        }
        if let network = resources.network { steps += try self.network(network) }
        for (device, limit) in resources.rdma.sorted(by: { $0.key < $1.key }) { steps.append(rdma(device, limit)) }
        steps += try unified(resources.unified)
        return steps
    }

    /// Where v1 has no such controller v2 is asked, except on machines without v2.
    private func version(of controller: CgroupController) -> CgroupVersion {
        mode == .legacy || legacyControllers.contains(controller) ? .v1 : .v2
    }

    private func cpuset(_ cpu: CPULimits) -> [CgroupStep] {
        let lists = [("cpuset.cpus", cpu.cpus, "cpus"), ("cpuset.mems", cpu.mems, "mems")]
        return lists.compactMap { file, value, name in
            guard let value, !value.isEmpty else { return nil }
            return .write(CgroupWrite(.cpuset, version(of: .cpuset), file, [value], field: "linux.resources.cpu.\(name)"))
        }
    }

    private func hugepages(_ limit: HugepageLimit, field: String) -> [CgroupStep] {
        let version = version(of: .hugetlb)
        let size = "hugetlb.\(limit.pageSize)"
        let names = version == .v1 ? ["limit_in_bytes", "rsvd.limit_in_bytes"] : ["max", "rsvd.max"]
        return [
            .write(CgroupWrite(.hugetlb, version, "\(size).\(names[0])", ["\(limit.limitBytes)"], field: field)),
            // Reservations are counted since Linux 5.7.
            .writeIfThere(CgroupWrite(.hugetlb, version, "\(size).\(names[1])", ["\(limit.limitBytes)"], field: field)),
        ]
    }

    private func network(_ network: NetworkLimits) throws(CgroupError) -> [CgroupStep] {
        var steps: [CgroupStep] = []
        let field = "linux.resources.network"
        if let classID = network.classID, classID != 0 {
            if version(of: .networkClass) == .v2 { throw unsupported(field + ".classID", "cgroup v2 has no net_cls controller") }
            steps.append(.write(CgroupWrite(.networkClass, .v1, "net_cls.classid", ["\(classID)"], field: field + ".classID")))
        }
        if !network.priorities.isEmpty {
            if version(of: .networkPriority) == .v2 { throw unsupported(field + ".priorities", "cgroup v2 has no net_prio controller") }
            let values = network.priorities.map { "\($0.name) \($0.priority)" }
            steps.append(.write(CgroupWrite(.networkPriority, .v1, "net_prio.ifpriomap", values, field: field + ".priorities")))
        }
        return steps
    }

    private func rdma(_ device: String, _ limit: RDMALimit) -> CgroupStep {
        let parts = [limit.hcaHandles.map { "hca_handle=\($0)" }, limit.hcaObjects.map { "hca_object=\($0)" }].compactMap { $0 }
        let value = ([device] + parts).joined(separator: " ")
        return .write(CgroupWrite(.rdma, version(of: .rdma), "rdma.max", [value], field: "linux.resources.rdma"))
    }

    /// Files of v2, as they are, after all else.
    private func unified(_ files: [String: String]) throws(CgroupError) -> [CgroupStep] {
        if !files.isEmpty && mode == .legacy { throw unsupported("linux.resources.unified", "there is no cgroup v2 here") }
        return try files.sorted { $0.key < $1.key }.map { file, value throws(CgroupError) in
            let field = "linux.resources.unified[\(file.debugDescription)]"
            // cgroup.procs would move processes, cgroup.kill end them: neither is a limit.
            let isLimit = !file.hasPrefix("cgroup.") || file.hasPrefix("cgroup.max.") || file == "cgroup.pressure"
            guard isLimit, let write = CgroupWrite(unified: file, value, field: field) else {
                throw unsupported(field, "it is no limit of a controller")
            }
            return .write(write)
        }
    }
}

func unsupported(_ field: String, _ reason: String) -> CgroupError { CgroupError(.unsupported, doing: "set \(field)", reason: reason) }
