internal import CSeccomp
internal import Glibc
internal import LinuxSyscalls
internal import OCISpec

// The binding of libseccomp: the only file of this module with unsafe code.

/// The library's version: `2.5.4`. Another version may compile the same profile to another program.
func libseccompVersion() -> String {
    guard let version = unsafe seccomp_version() else { return "unknown" }
    return unsafe "\(version.pointee.major).\(version.pointee.minor).\(version.pointee.micro)"
}

/// The number of a call in a calling convention; negative for one that exists in another convention only; nil for one that the
/// library does not know.
func callNumber(_ name: String, in architecture: AuditArchitecture) -> Int32? {
    let number = unsafe seccomp_syscall_resolve_name_arch(architecture.token, name)
    return number == -1 ? nil : number
}

/// More rules than this are laid out as a binary tree: eight comparisons a call instead of hundreds, for the kernel's precomputation
/// of constant answers too. Below it libseccomp's tree gains nothing.
private let treeRuleCount = 32

/// libseccomp's program for a plan, in the machine's byte order.
/// - Throws: `compilationFailed`, naming the rule.
func compileWithLibrary(_ plan: FilterPlan, for machine: AuditArchitecture) throws(SeccompError) -> [UInt8] {
    let filter = try LibraryFilter(defaultAction: plan.defaultAction)
    for architecture in plan.architectures { try filter.add(architecture) }
    if plan.rules.reduce(0, { $0 + $1.names.count }) > treeRuleCount { try filter.useTree() }
    for rule in plan.rules {
        for name in rule.names {
            // A name that the library does not know cannot be called by number either: the default action or the stub answers.
            if let number = callNumber(name, in: machine) { try filter.add(rule, for: number, name) }
        }
    }
    return try filter.export()
}

/// A filter that libseccomp builds.
@safe private struct LibraryFilter: ~Copyable {
    private let context: scmp_filter_ctx

    init(defaultAction: FilterAction) throws(SeccompError) {
        guard let context = unsafe seccomp_init(defaultAction.rawValue) else {
            throw SeccompError(.compilationFailed, "start seccomp filter", "libseccomp refuses the default action")
        }
        unsafe self.context = context
    }

    deinit { unsafe seccomp_release(context) }

    func add(_ architecture: AuditArchitecture) throws(SeccompError) {
        let result = unsafe seccomp_arch_add(context, architecture.token)
        if result != -EEXIST { try check(result, "add \(architecture.name.rawValue)") }
    }

    func useTree() throws(SeccompError) {
        try check(unsafe seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2), "set the optimization")
    }

    func add(_ rule: FilterRule, for number: Int32, _ name: String) throws(SeccompError) {
        let conditions = rule.conditions.map { condition in
            scmp_arg_cmp(
                arg: condition.index, op: comparison(condition.comparison), datum_a: condition.value, datum_b: condition.valueTwo)
        }
        let result = unsafe seccomp_rule_add_array(context, rule.action.rawValue, number, UInt32(conditions.count), conditions)
        if result != -EEXIST { try check(result, "add a rule for \(name)") }
    }

    /// Writes the program to memory and reads it back.
    func export() throws(SeccompError) -> [UInt8] {
        do throws(SyscallError) {
            let file = try makeMemoryFile(named: "seccomp")
            let result = unsafe seccomp_export_bpf(context, file.number)
            if result < 0 { throw SyscallError("seccomp_export_bpf", errno: -result) }
            try seek(file.number, to: 0)
            return try readAll(file.number, limitBytes: programLimitBytes, subject: "compiled filter")
        } catch {
            throw SeccompError("compile seccomp filter", error)
        }
    }

    private func check(_ result: Int32, _ what: String) throws(SeccompError) {
        if result < 0 { throw SeccompError(.compilationFailed, "compile seccomp filter", "\(what): \(errnoName(-result)) (\(-result))") }
    }

    private func comparison(_ comparison: SeccompConfiguration.Comparison) -> scmp_compare {
        switch comparison {
        case .notEqual: SCMP_CMP_NE
        case .less: SCMP_CMP_LT
        case .lessOrEqual: SCMP_CMP_LE
        case .equal: SCMP_CMP_EQ
        case .greaterOrEqual: SCMP_CMP_GE
        case .greater: SCMP_CMP_GT
        case .maskedEqual: SCMP_CMP_MASKED_EQ
        }
    }
}
