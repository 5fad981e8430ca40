internal import LinuxSyscalls
internal import OCISpec

/// What a profile means for one machine, as libseccomp is told it.
struct FilterPlan: Equatable {
    var defaultAction: FilterAction
    /// Those of the profile that a process of this machine can be of, the machine's own first.
    var architectures: [AuditArchitecture]
    var rules: [FilterRule]
    /// Calls that the profile names for what its default says anyway.
    var namesOfDefault: [String] = []
    /// Whether numbers above the newest call that the profile knows are answered with ENOSYS, so that a C library falls back
    /// instead of failing.
    var answersNewCalls: Bool
}

/// One action for calls, under conditions that must all hold.
struct FilterRule: Equatable {
    var names: [String]
    var action: FilterAction
    var conditions: [SeccompConfiguration.Argument]
}

/// What happens to a call: a return value of seccomp(2).
struct FilterAction: Equatable {
    let rawValue: UInt32

    static let killProcess = FilterAction(rawValue: 0x8000_0000)
    static let killThread = FilterAction(rawValue: 0)
    static let trap = FilterAction(rawValue: 0x0003_0000)
    static let log = FilterAction(rawValue: 0x7ffc_0000)
    static let notify = FilterAction(rawValue: 0x7fc0_0000)
    static let allow = FilterAction(rawValue: 0x7fff_0000)
    static func errno(_ number: UInt16) -> FilterAction { FilterAction(rawValue: 0x0005_0000 | UInt32(number)) }
    static func trace(_ message: UInt16) -> FilterAction { FilterAction(rawValue: 0x7ff0_0000 | UInt32(message)) }
}

private let permissionDenied: UInt32 = 1
let callNotImplemented: UInt16 = 38

/// Reads a profile for a machine. Pure.
/// - Throws: `invalidProfile`; `unsupported` where the process itself would wait for a listener that it has yet to hand over.
/// - Spec: runtime-spec v1.3.0, config-linux.md, "Seccomp".
func filterPlan(for profile: SeccompConfiguration, on machine: AuditArchitecture) throws(SeccompError) -> FilterPlan {
    if profile.defaultAction == .notify {
        throw SeccompError(.unsupported, "linux.seccomp.defaultAction", "SCMP_ACT_NOTIFY cannot be the default: init could not go on")
    }
    let defaultAction = try action(profile.defaultAction, profile.defaultErrnoReturn, field: "linux.seccomp.defaultAction")
    var rules: [FilterRule] = []
    var namesOfDefault: [String] = []
    for (index, rule) in profile.rules.enumerated() {
        let field = "linux.seccomp.syscalls[\(index)]"
        let action = try action(rule.action, rule.errnoReturn, field: field)
        if action == .notify, let name = rule.names.first(where: unnotifiableCalls.contains) {
            throw SeccompError(.unsupported, field, "SCMP_ACT_NOTIFY cannot be used for \(name): init hands the listener over by it")
        }
        if let argument = rule.arguments.first(where: { $0.index > 5 }) {
            throw SeccompError(.invalidProfile, "\(field).args", "a call has no argument \(argument.index)")
        }
        // libseccomp reads names up to a NUL; such a one is unknown.
        let names = rule.names.filter { !$0.utf8.contains(0) }
        // libseccomp takes no rule that says what the default says, but the profile knows these calls.
        if action == defaultAction {
            namesOfDefault += names
            continue
        }
        for conditions in alternatives(rule.arguments) { rules.append(FilterRule(names: names, action: action, conditions: conditions)) }
    }
    let isPermissive = defaultAction == .allow || defaultAction == .log
    return FilterPlan(
        defaultAction: defaultAction,
        architectures: [machine] + machine.compatible.filter { profile.architectures.contains($0.name) },
        rules: rules, namesOfDefault: namesOfDefault, answersNewCalls: !isPermissive && defaultAction != .errno(callNotImplemented))
}

/// What a process does between loading a filter with a listener and that listener's being there.
private let unnotifiableCalls: Set<String> = ["read", "write"]

/// Whether calls are handed to a listener.
func needsListener(_ profile: SeccompConfiguration) -> Bool { profile.rules.contains { $0.action == .notify } }

/// The flags of seccomp(2) that a profile names or its rules need. - Throws: `invalidProfile` for one that goes with a listener alone.
func filterFlags(of profile: SeccompConfiguration) throws(SeccompError) -> SeccompFilterFlags {
    let hasListener = needsListener(profile)
    var flags: SeccompFilterFlags = hasListener ? .newListener : []
    for flag in profile.flags {
        switch flag {
        // There is one thread, and the kernel does not take both.
        case .synchronizeThreads: if !hasListener { flags.insert(.synchronizeThreads) }
        case .log: flags.insert(.log)
        case .speculationAllow: flags.insert(.speculationAllow)
        case .waitKillableReceive:
            guard hasListener else {
                throw SeccompError(.invalidProfile, "linux.seccomp.flags", "\(flag.rawValue) goes with SCMP_ACT_NOTIFY only")
            }
            flags.insert(.waitKillableReceive)
        }
    }
    return flags
}

private func action(_ action: SeccompConfiguration.Action, _ number: UInt32?, field: String) throws(SeccompError) -> FilterAction {
    if number != nil && action != .errno && action != .trace {
        throw SeccompError(.invalidProfile, field, "an errnoRet goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only")
    }
    guard let value = UInt16(exactly: number ?? permissionDenied), action != .errno || value < 4096 else {
        throw SeccompError(.invalidProfile, field, "errnoRet \(number ?? 0) is out of range")
    }
    switch action {
    case .kill, .killThread: return .killThread
    case .killProcess: return .killProcess
    case .trap: return .trap
    case .errno: return .errno(value)
    case .trace: return .trace(value)
    case .allow: return .allow
    case .log: return .log
    case .notify: return .notify
    }
}

/// Conditions as libseccomp takes them: several on the same argument, which it cannot join, are alternatives, as runc reads them.
private func alternatives(_ arguments: [SeccompConfiguration.Argument]) -> [[SeccompConfiguration.Argument]] {
    Set(arguments.map(\.index)).count == arguments.count ? [arguments] : arguments.map { [$0] }
}
