internal import Glibc
internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// Runs the programs of a hook list, in order, in the calling process's namespaces.
struct HookRunner {
    /// As config.json calls the list, for messages.
    let list: String
    let hooks: [Hook]
    /// What each hook reads from its standard input.
    let state: ContainerState
    /// The caller's, of which each hook is born with the soft one; nil where the runtime has not raised it for itself.
    let descriptorLimit: DescriptorLimit?

    /// How much of what a hook says is repeated in the error.
    private static let outputLimitBytes = 4096

    /// - Throws: `hook` at the first that cannot be run, fails or takes longer than it may.
    func run() throws(RuntimeError) {
        for (index, hook) in hooks.enumerated() { try run(hook, name: "\(list) hook #\(index) \(hook.path)") }
    }

    /// Runs every hook whatever the others do, and returns what went wrong.
    func runAll() -> [RuntimeError] {
        var failures: [RuntimeError] = []
        for (index, hook) in hooks.enumerated() {
            do { try run(hook, name: "\(list) hook #\(index) \(hook.path)") } catch { failures.append(error) }
        }
        return failures
    }

    /// Runs `poststart` hooks as the version of the specification wants it that the bundle was written for: from 1.3 on a failure is an
    /// error, and the container's end; before that it is a warning, and the others run.
    func runAfterStart(_ journal: Journal) throws(RuntimeError) {
        let version = state.ociVersion.split(separator: ".").prefix(2).map { Int($0) ?? 0 }
        if version.lexicographicallyPrecedes([1, 3]) {
            for failure in runAll() { journal.warn(failure.description) }
        } else {
            try run()
        }
    }

    private func run(_ hook: Hook, name: String) throws(RuntimeError) {
        let end = try during("running \(name)") { () throws(SyscallError) in
            let output = try Pipe()
            let process = try spawn(hook, output: output.writeEnd.number)
            return try HookProcess(handle: try ProcessHandle(child: process)).finish(
                reading: output.takeReadEnd(), timeoutSeconds: hook.timeoutSeconds, outputLimitBytes: Self.outputLimitBytes)
        }
        switch end.exit {
        case .exited(0) where !end.timedOut: return
        case _ where end.timedOut: throw failure(name, "did not end within \(hook.timeoutSeconds ?? 0) s and was killed", end.output)
        case .exited(let status): throw failure(name, "exit status \(status)", end.output)
        case .signalled(let signal): throw failure(name, "killed by signal \(signal)", end.output)
        }
    }

    private func failure(_ name: String, _ reason: String, _ output: [UInt8]) -> RuntimeError {
        let text = String(decoding: output, as: UTF8.self).split(whereSeparator: \.isNewline).joined(separator: " | ")
        return RuntimeError(.hook, doing: "running \(name)", text.isEmpty ? reason : "\(reason), output: \(text)")
    }

    /// The state comes from a file in memory, not a pipe: a hook that does not read it costs nothing. Nothing but its standard files
    /// reaches a hook, be it left open by the caller or meant for the program.
    private func spawn(_ hook: Hook, output: Int32) throws(SyscallError) -> Int32 {
        try closeOnExec(from: 3)
        let input = try makeMemoryFile(named: "container-state")
        try writeAll(state.encode(), to: input.number, subject: "container state")
        try rewindFile(input.number)
        return try spawnProcess(
            FilePath(hook.path), arguments: hook.arguments.isEmpty ? [hook.path] : hook.arguments,
            environment: hook.environment.lastOfEachName, input: input.number, output: output, error: output,
            descriptorLimit: descriptorLimit?.soft)
    }
}

/// A hook, or another program of the host's, while it runs.
struct HookProcess: ~Copyable {
    let handle: ProcessHandle

    struct End {
        var exit: ProcessExit
        var timedOut = false
        var output: [UInt8] = []
    }

    /// Reads what the hook says until it ends; what a child of it that stays behind says later is not waited for.
    consuming func finish(reading output: consuming OwnedFD, timeoutSeconds: Int64?, outputLimitBytes: Int) throws(SyscallError) -> End {
        let deadline = timeoutSeconds.map {
            let (nanoseconds, isBeyond) = $0.multipliedReportingOverflow(by: 1_000_000_000)
            return moment(nanoseconds: isBeyond ? .max : nanoseconds)
        }
        var end = End(exit: .exited(0))
        var chunk = [UInt8](repeating: 0, count: 4096)
        var outputs = [output.number]
        while true {
            let remaining = deadline.map { millisecondsUntil($0) }
            let ready = try handle.waitForEnd(orReadable: outputs, timeoutMilliseconds: remaining)
            // Also for one that never stops talking. A far deadline is waited for in several turns.
            if remaining == 0 && !ready.contains(0) {
                end.timedOut = true
                try handle.signal(SIGKILL, subject: "hook")
                break
            }
            if ready.contains(1) {
                let count = try readBytes(output.number, into: &chunk)
                if count == 0 { outputs.removeLast() }
                end.output.append(contentsOf: chunk[..<min(count, outputLimitBytes - end.output.count)])
            }
            if ready.contains(0) && (!ready.contains(1) || end.output.count == outputLimitBytes) { break }
        }
        if let ended = try waitForExit(.process(handle.process)) { end.exit = ended.exit }
        return end
    }
}
