package import LinuxSyscalls
package import OCISpec
package import SystemPackage

/// The most instructions that the kernel takes in one program. - Source: linux/bpf_common.h, BPF_MAXINSNS.
let programLimitBytes = 4096 * filterInstructionBytes

/// A compiled system call filter, ready to be loaded.
package struct SeccompProgram: Equatable, Sendable {
    /// Classic BPF in the machine's byte order.
    package let instructions: [UInt8]
    /// What the profile asks of seccomp(2).
    package let flags: SeccompFilterFlags
    /// Whether it was compiled by an earlier run.
    package let wasCached: Bool
    /// Why the cache could not be used or written, which delays but does not weaken anything; worth a line at debug level.
    package let cacheProblem: SyscallError?

    /// Filters the calling thread and its children, for good: the last thing before execve(2), after no_new_privs, or with
    /// CAP_SYS_ADMIN. - Throws: `refused`.
    /// - Returns: the listener's descriptor where calls are handed to one; close-on-exec.
    package func load() throws(SeccompError) -> Int32? {
        do throws(SyscallError) {
            let value = try installSeccompFilter(instructions, flags: flags)
            return flags.contains(.newListener) ? value : nil
        } catch {
            throw SeccompError("load seccomp filter", error)
        }
    }
}

/// Compiles a profile, or takes what an earlier run compiled of it.
/// - Parameters:
///   - cache: a directory of the effective user's alone, made with mode 0700 where it is missing; nil compiles every time.
///   - isApart: compiles in a process of its own, which may crash or be stopped; for callers with one thread.
/// - Throws: `invalidProfile`, `unsupported`, `compilationFailed`.
/// - Spec: runtime-spec v1.3.0, config-linux.md, "Seccomp".
package func seccompProgram(
    for profile: SeccompConfiguration, cache: FilePath? = nil, isApart: Bool = false
) throws(SeccompError) -> SeccompProgram {
    let compiled = isApart ? compileApart : compile
    let machine = AuditArchitecture.machine
    let flags = try filterFlags(of: profile)
    if flags.contains(.newListener) && profile.listenerPath?.isEmpty != false {
        throw SeccompError(.invalidProfile, "linux.seccomp.listenerPath", "is required with SCMP_ACT_NOTIFY")
    }
    let plan = try filterPlan(for: profile, on: machine)
    guard let cache else {
        return SeccompProgram(instructions: try compiled(plan, machine), flags: flags, wasCached: false, cacheProblem: nil)
    }
    let key = cacheKey(of: plan)
    var problem: SyscallError?
    do throws(SyscallError) {
        if let cached = try cachedProgram(for: key, in: cache) {
            return SeccompProgram(instructions: cached, flags: flags, wasCached: true, cacheProblem: nil)
        }
    } catch { problem = error }
    let instructions = try compiled(plan, machine)
    if problem == nil {
        do throws(SyscallError) { try storeProgram(instructions, for: key, in: cache) } catch { problem = error }
    }
    return SeccompProgram(instructions: instructions, flags: flags, wasCached: false, cacheProblem: problem)
}

/// The whole program of a plan: the stub for new calls, then libseccomp's.
func compile(_ plan: FilterPlan, for machine: AuditArchitecture) throws(SeccompError) -> [UInt8] {
    let stub = plan.answersNewCalls ? newCallStub(newestCalls(of: plan)) : []
    let program = stub.flatMap(\.bytes) + (try compileWithLibrary(plan, for: machine))
    if program.count > programLimitBytes {
        throw SeccompError(.compilationFailed, "compile seccomp filter", "more than 4096 instructions")
    }
    return program
}

/// The newest call that a profile names, in each convention.
private func newestCalls(of plan: FilterPlan) -> [NewestCall] {
    plan.architectures.compactMap { architecture in
        var newest: Int32 = -1
        for names in plan.rules.map(\.names) + [plan.namesOfDefault] {
            for name in names { newest = max(newest, callNumber(name, in: architecture) ?? -1) }
        }
        return newest < 0 ? nil : NewestCall(architecture: architecture, number: UInt32(newest))
    }
}
