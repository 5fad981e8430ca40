internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import Rootfs
internal import Seccomp
internal import SystemPackage

/// The last part of a process's way to the payload, the same for a container's first process and for one that `exec` adds: from
/// inside the container's namespaces and root to execve.
struct PayloadStage {
    var plan: ProcessPlan
    let filter: SeccompProgram?
    private let hasFilter: Bool
    /// Whether the process sets its own limits here, still with the host's rights; where a user namespace took those, it has been done.
    let setsLimits: Bool
    private let inherited: InheritedSettings
    /// What the runtime has raised for itself, as its caller had it; nil where the configuration sets it, too.
    let descriptorLimit: DescriptorLimit?
    private var granted: CapabilityPlan?
    /// Where labels are asked for, opened while the process may; nil without labels.
    private var labelling: Labelling?

    private final class Labelling {
        let procfs: DetachedProcfs

        init(_ procfs: consuming DetachedProcfs) { self.procfs = procfs }
    }

    init(plan: ProcessPlan, inherited: InheritedSettings, filter: SeccompProgram?, setsLimits: Bool, descriptorLimit: DescriptorLimit?) {
        self.plan = plan
        self.inherited = inherited
        self.setsLimits = setsLimits
        self.descriptorLimit = plan.limits.contains { $0.resource == DescriptorLimit.resource } ? nil : descriptorLimit
        self.filter = filter
        hasFilter = filter != nil
    }

    /// Becomes the payload's user and finds the program, and tells the runtime that only the last steps are left.
    /// - Returns: the program's path, empty where the configuration has no process.
    mutating func prepare(_ channel: StageChannel) throws(RuntimeError) -> String {
        if !plan.environment.contains(where: { $0.hasPrefix("HOME=") }) {
            plan.environment.append("HOME=" + (UserDatabase.home(of: plan.user.uid) ?? "/"))
        }
        try inherited.apply()
        if setsLimits { try plan.setLimits(of: 0) }
        if !plan.labels.isEmpty {
            labelling = Labelling(try during("opening procfs") { () throws(SyscallError) in try DetachedProcfs() })
        }
        if plan.noNewPrivileges {
            try during("setting no_new_privs") { () throws(SyscallError) in try setNoNewPrivileges() }
        }
        let (granted, missing) = try identity.assume()
        self.granted = granted
        if !missing.isEmpty { try channel.send(.remark("the machine cannot give \(missing.names): not in the bounding set, dropped")) }
        let program = try plan.arguments.first.map { (name) throws(RuntimeError) in
            try PayloadFile.find(name, environment: plan.environment)
        }
        // From here on the end of the channel, not of the runtime, is what tells that the runtime has failed: `create` ends before us.
        try during("preparing") { () throws(SyscallError) in try setParentDeathSignal(0) }
        try channel.send(.prepared)
        try channel.await(.proceed)
        return program ?? ""
    }

    /// Loads the filter and executes the program. Returns only to say why not.
    /// - Parameter channel: to whoever takes a listener over.
    func execute(_ program: String, _ channel: StageChannel) -> RuntimeError {
        do throws(RuntimeError) {
            if let labelling { try plan.labels.request(through: labelling.procfs) }
            // Not later: the filter may refuse prlimit.
            try descriptorLimit?.giveBack()
            try loadFilter(channel)
        } catch { return error }
        let failure = LinuxSyscalls.execute(FilePath(program), arguments: plan.arguments, environment: plan.environment)
        return PayloadFile.explain(failure, path: program)
    }

    private var identity: Identity { Identity(plan: plan, filterNeedsPrivilege: hasFilter && !plan.noNewPrivileges) }

    /// As late as can be: what follows is capset, where the filter needed a privilege, and execve.
    private func loadFilter(_ channel: StageChannel) throws(RuntimeError) {
        guard hasFilter, let filter else { return }
        try identity.regainPrivilege()
        let listener: Int32?
        do { listener = try filter.load() } catch { throw RuntimeError(.refused, doing: "loading the seccomp filter", "\(error)") }
        if let listener { try channel.handOver(listener: listener) }
        if let granted { try identity.renouncePrivilege(granted: granted) }
    }
}
