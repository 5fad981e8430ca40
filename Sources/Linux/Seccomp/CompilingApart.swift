internal import Glibc
internal import LinuxSyscalls

/// How long the library may compute. Docker's profile takes it 15 ms.
private let processorSecondsLimit: UInt64 = 5
/// How long that may take where others want the processor, too; time of the processor alone does not pass for a process that was stopped.
private let timeoutSeconds: Int32 = 240
/// RLIMIT_CPU and RLIMIT_CORE. - Source: getrlimit(2).
private let (processorTime, coreSize) = (LimitedResource(rawValue: 0), LimitedResource(rawValue: 4))

/// Compiles a plan in a process of its own, which the caller, who must have one thread, waits for: over two rules of one call with conditions on
/// the same arguments libseccomp 2.5.4 goes round in a circle of its own making (`_db_tree_put`), and nobody knows what else it does to its memory.
/// - Throws: `compilationFailed`, also where the library came to no end or to a bad one.
func compileApart(_ plan: FilterPlan, for machine: AuditArchitecture) throws(SeccompError) -> [UInt8] {
    let doing = "compile seccomp filter"
    let (end, output): (ProcessExit?, [UInt8])
    do throws(SyscallError) {
        let file = try makeMemoryFile(named: "seccomp")
        switch try cloneProcess() {
        case .child: compileAndExit(plan, for: machine, writingTo: file.number)
        case .parent(let compiler):
            end = try compiler.awaitEnd(orKillAfterMilliseconds: timeoutSeconds * 1_000)
        }
        try seek(file.number, to: 0)
        output = try readAll(file.number, limitBytes: programLimitBytes, subject: "compiled filter")
    } catch { throw SeccompError(doing, error) }
    switch end {
    case nil: throw SeccompError(.compilationFailed, doing, "libseccomp came to no end with this profile in \(timeoutSeconds) s")
    case .exited(0): return output
    case .exited: throw SeccompError(.compilationFailed, doing, String(decoding: output, as: UTF8.self))
    case .signalled(SIGKILL):
        throw SeccompError(
            .compilationFailed, doing,
            "libseccomp came to no end with this profile in \(processorSecondsLimit) s of processor time, or memory ran out")
    case .signalled(let signal): throw SeccompError(.compilationFailed, doing, "libseccomp died of signal \(signal) over this profile")
    }
}

/// Leaves the program, or why there is none, in the file.
private func compileAndExit(_ plan: FilterPlan, for machine: AuditArchitecture, writingTo file: Int32) -> Never {
    do throws(SyscallError) {
        try setParentDeathSignal(SIGKILL)
        // SIGKILL at once: the runtime holds other signals back. A lower limit of the caller's own cannot be raised.
        let seconds = min(processorSecondsLimit, try limit(of: processorTime).hard)
        try setLimit(of: processorTime, soft: seconds, hard: seconds, subject: "cpu")
        try setLimit(of: coreSize, soft: 0, hard: 0, subject: "core")
        let program: [UInt8]
        do throws(SeccompError) { program = try compile(plan, for: machine) } catch {
            try writeAll(Array((error.cause.map { "\($0)" } ?? error.problem).utf8), to: file, subject: "error")
            exitAtOnce(1)
        }
        try writeAll(program, to: file, subject: "compiled filter")
    } catch {
        // Where even this cannot be left in the file, that there is nothing says that it failed.
        try? writeAll(Array("\(error)".utf8), to: file, subject: "error")
        exitAtOnce(1)
    }
    exitAtOnce(0)
}
