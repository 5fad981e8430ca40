package import OCISpec

/// The system call filter that a container gets when it asks for none: what Docker's default allows, for the container's
/// capabilities; everything else is refused with EPERM. - See: DefaultSeccompCalls.swift for its source.
/// - Parameters:
///   - level: strict leaves out `strictlyRefusedCalls` and most families of sockets.
///   - capabilities: those of the container's bounding set: `CAP_SYS_ADMIN`.
///   - architecture: that of the machine.
package func defaultSeccompProfile(
    _ level: SecurityProfile = .standard, capabilities: Set<String>, architecture: SeccompConfiguration.Architecture = .machine
) -> SeccompConfiguration {
    let refused: Set<String> = level == .strict ? Set(strictlyRefusedCalls) : []
    var profile = SeccompConfiguration(defaultAction: .errno)
    profile.defaultErrnoReturn = permissionDenied
    profile.architectures = [architecture] + architecture.compatible
    profile.rules = [allow(freeCalls, besides: refused)]
    profile.rules += personalityRules
    switch level {
    case .standard: profile.rules += socketRules + [allow(["socketpair"])]
    case .strict: profile.rules += strictSocketRules(capabilities)
    }
    switch architecture {
    case .x86_64, .x86, .x32: profile.rules.append(allow(x86Calls, besides: refused))
    case .aarch64, .arm: profile.rules.append(SeccompConfiguration.Rule(names: armCalls, action: .allow))
    default: break
    }
    if !capabilities.contains("CAP_SYS_ADMIN") { profile.rules += processRules(architecture) }
    for (capability, calls) in capabilityCalls where capabilities.contains(capability) {
        profile.rules.append(allow(calls))
    }
    if level == .strict && capabilities.contains("CAP_SYS_PTRACE") { profile.rules.append(allow(tracingCalls)) }
    return profile
}

private let permissionDenied: UInt32 = 1
private let callNotImplemented: UInt32 = 38

/// socket(2) of every family below 64 but AF_ALG (38) and AF_VSOCK (40). Each rule compares bits, because the kernel reads the low
/// half of the argument only, and a comparison of all of it would let 38 with a bit of the upper half pass.
private let socketRules: [SeccompConfiguration.Rule] = {
    let families: [(mask: UInt64, value: UInt64)] = [
        (0xffff_ffe0, 0),  // 0 to 31
        (0xffff_fffc, 32),  // 32 to 35
        (0xffff_fffe, 36),  // 36, 37
        (0xffff_ffff, 39),
        (0xffff_ffff, 41),
        (0xffff_fffe, 42),  // 42, 43
        (0xffff_fffc, 44),  // 44 to 47
        (0xffff_fff0, 48),  // 48 to 63
    ]
    return families.map {
        allow("socket", SeccompConfiguration.Argument(index: 0, value: $0.mask, valueTwo: $0.value, comparison: .maskedEqual))
    }
}()

/// socket(2) of the families that programs speak to each other and to the kernel by: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK; and of
/// those that a capability asked for is of no use without. The others have been full of holes, and their modules are loaded by asking.
private func strictSocketRules(_ capabilities: Set<String>) -> [SeccompConfiguration.Rule] {
    var families: [UInt64] = [1, 2, 10, 16]
    if capabilities.contains("CAP_NET_RAW") { families += [17, 44] }  // AF_PACKET, AF_XDP
    if capabilities.contains("CAP_NET_ADMIN") { families.append(15) }  // AF_KEY
    // libseccomp allows socketcall whatever of it the other rules allow, but for an answer of its own.
    let multiplexed = SeccompConfiguration.Rule(names: ["socketcall"], action: .errno, errnoReturn: callNotImplemented)
    return families.map { allow("socket", family($0)) } + [allow("socketpair", family(1)), multiplexed]
}

/// Compares the half of the argument that the kernel reads.
private func family(_ number: UInt64) -> SeccompConfiguration.Argument {
    SeccompConfiguration.Argument(index: 0, value: 0xffff_ffff, valueTwo: number, comparison: .maskedEqual)
}

/// personality(2) for what does not weaken the address space's layout: Linux, Linux on 32 bits, with UNAME26 or without, and asking.
private let personalityRules: [SeccompConfiguration.Rule] = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff].map {
    allow("personality", SeccompConfiguration.Argument(index: 0, value: $0, comparison: .equal))
}

/// New processes, but no new namespaces. clone3(2) has its flags in memory, where no filter sees them: ENOSYS makes the C library
/// fall back to clone(2).
private func processRules(_ architecture: SeccompConfiguration.Architecture) -> [SeccompConfiguration.Rule] {
    // CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
    let namespaces: UInt64 = 0x7e02_0000
    let flagsIndex: UInt32 = architecture == .s390x || architecture == .s390 ? 1 : 0
    return [
        allow("clone", SeccompConfiguration.Argument(index: flagsIndex, value: namespaces, valueTwo: 0, comparison: .maskedEqual)),
        SeccompConfiguration.Rule(names: ["clone3"], action: .errno, errnoReturn: callNotImplemented),
    ]
}

private func allow(_ names: [String], besides refused: Set<String> = []) -> SeccompConfiguration.Rule {
    SeccompConfiguration.Rule(names: names.filter { !refused.contains($0) }, action: .allow)
}

private func allow(_ name: String, _ argument: SeccompConfiguration.Argument) -> SeccompConfiguration.Rule {
    SeccompConfiguration.Rule(names: [name], action: .allow, arguments: [argument])
}
