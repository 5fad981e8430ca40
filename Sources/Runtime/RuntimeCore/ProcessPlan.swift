package import LinuxSyscalls
package import OCISpec

/// The five sets of capabilities that the payload gets.
package struct CapabilityPlan: Equatable, Sendable {
    package var bounding: CapabilitySet = []
    package var effective: CapabilitySet = []
    package var permitted: CapabilitySet = []
    package var inheritable: CapabilitySet = []
    package var ambient: CapabilitySet = []

    /// No configuration means no capability at all.
    package init(_ sets: CapabilitySets?) throws(RuntimeError) {
        guard let sets else { return }
        bounding = try CapabilitySet(names: sets.bounding, of: "bounding")
        effective = try CapabilitySet(names: sets.effective, of: "effective")
        permitted = try CapabilitySet(names: sets.permitted, of: "permitted")
        inheritable = try CapabilitySet(names: sets.inheritable, of: "inheritable")
        ambient = try CapabilitySet(names: sets.ambient, of: "ambient")
    }

    /// Keeps of each set what `machine`, the bounding set that the process has, can give, and returns what that took away.
    package mutating func restrict(to machine: CapabilitySet) -> CapabilitySet {
        let wanted = bounding.union(effective).union(permitted).union(inheritable).union(ambient)
        bounding.formIntersection(machine)
        effective.formIntersection(machine)
        permitted.formIntersection(machine)
        inheritable.formIntersection(machine)
        ambient.formIntersection(machine)
        return wanted.subtracting(machine)
    }

    /// What the kernel lets into the ambient set: it must be permitted and inheritable, or raising it is EPERM.
    package var raisableAmbient: CapabilitySet { ambient.intersection(permitted).intersection(inheritable) }
}

/// One limit to set, with its name for messages.
package struct LimitPlan: Equatable, Sendable {
    package let name: String
    package let resource: LimitedResource
    package let soft: UInt64
    package let hard: UInt64
}

/// RLIMIT_NOFILE as the caller of the runtime has it.
package struct DescriptorLimit: Equatable, Sendable {
    package let soft: UInt64
    package let hard: UInt64

    package init(soft: UInt64, hard: UInt64) {
        self.soft = soft
        self.hard = hard
    }

    static let resource = LimitedResource(rawValue: 7)

    /// Makes it the calling process's.
    package func giveBack() throws(RuntimeError) {
        try during("giving the caller's limit back") { () throws(SyscallError) in
            try setLimit(of: Self.resource, soft: soft, hard: hard, subject: "RLIMIT_NOFILE")
        }
    }
}

/// What the process that becomes the payload does to itself, from the `process` object of config.json or of `exec`.
package struct ProcessPlan: Equatable, Sendable {
    package var arguments: [String]
    /// Each name once.
    package var environment: [String]
    var workingDirectory: String
    var user: UserConfiguration
    /// The user namespace forbids to change the supplementary groups: they stay those of whoever runs the runtime.
    var keepsGroups = false
    package var capabilities: CapabilityPlan
    package var limits: [LimitPlan]
    var noNewPrivileges: Bool
    var oomScoreAdjustment: Int32?
    var terminal: Bool
    var windowSize: WindowSize?

    var scheduling: SchedulingPlan
    var labels: SecurityLabels

    /// - Throws: `invalidConfiguration` for names that mean nothing, `unsupported` for what this kernel does not do, by its field.
    package init(_ process: ProcessConfiguration, addedEnvironment: [String] = []) throws(RuntimeError) {
        arguments = process.arguments
        environment = (process.environment + addedEnvironment).lastOfEachName
        workingDirectory = process.workingDirectory
        user = process.user
        capabilities = try CapabilityPlan(process.capabilities)
        limits = try Self.limits(process.resourceLimits)
        noNewPrivileges = process.noNewPrivileges
        oomScoreAdjustment = process.oomScoreAdjustment
        terminal = process.terminal
        scheduling = try SchedulingPlan(process)
        labels = try SecurityLabels(process)
        windowSize = process.terminal ? process.consoleSize.map(WindowSize.init(clamping:)) : nil
    }

    private static func limits(_ configured: [ResourceLimit]) throws(RuntimeError) -> [LimitPlan] {
        var limits: [LimitPlan] = []
        for limit in configured {
            guard let number = limitNames.firstIndex(of: limit.type) else {
                throw RuntimeError(.invalidConfiguration, doing: "process.rlimits", "\(limit.type.debugDescription) is no limit")
            }
            limits.append(
                LimitPlan(name: limit.type, resource: LimitedResource(rawValue: Int32(number)), soft: limit.soft, hard: limit.hard))
        }
        return limits
    }
}

/// Limits by their numbers, the same on x86-64 and arm64. - Source: asm-generic/resource.h.
private let limitNames = [
    "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
]

extension WindowSize {
    /// A size as the specification gives it, in the 16 bits that the kernel has for each.
    init(clamping size: ConsoleSize) {
        self.init(rows: UInt16(clamping: size.height), columns: UInt16(clamping: size.width))
    }
}
