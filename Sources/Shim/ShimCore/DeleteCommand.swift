internal import LinuxSyscalls
package import ShimProtocol
internal import SystemPackage

/// `apus-shim delete`: takes away what a shim that is gone left. Its answer says that the container was killed,
/// because how it ended nobody saw.
package enum DeleteCommand {
    private static let recordByteCount = 1 << 20
    private static let shimEndMilliseconds: Int32 = 5000
    private static let killedStatus: UInt32 = 137

    /// Ends the shim if it still runs, deletes the container, unmounts its root, removes the shim's directory.
    package static func run(_ invocation: ShimInvocation) throws(ShimError) -> DeleteResponse {
        var configuration = invocation.configuration
        do throws(SyscallError) {
            let bundle = invocation.bundle.isEmpty ? try workingDirectory().string : invocation.bundle
            if configuration.directory.isEmpty { configuration.directory = directory(inBundle: bundle) }
            if !configuration.directory.isEmpty {
                try endShim(configuration.layout)
                try deleteContainer(configuration)
            }
            try unmountRoot(bundle)
            if !configuration.directory.isEmpty {
                do throws(SyscallError) { try removeTree(FilePath(configuration.directory)) } catch  where error.isMissing {}
            }
        } catch { throw ShimError("delete \(configuration.id)", error) }
        return DeleteResponse(
            pid: 0, exitStatus: killedStatus, exitedAt: ProtobufTimestamp(unixNanoseconds: unixNanoseconds()))
    }

    /// Where the shim of a containerd bundle had its socket; empty when it never got so far.
    private static func directory(inBundle bundle: String) -> String {
        guard let bytes = try? readFile(FilePath(bundle).appending("address"), limitBytes: 4096) else { return "" }
        let address = String(decoding: bytes, as: UTF8.self)
        let suffix = "/\(ShimLayout.socketName)"
        guard address.hasPrefix("unix://\(StartCommand.containerdParent)/"), address.hasSuffix(suffix) else { return "" }
        return String(address.dropFirst("unix://".count).dropLast(suffix.count))
    }

    private static func endShim(_ layout: ShimLayout) throws(SyscallError) {
        guard let bytes = try? readFile(FilePath(layout.pidPath), limitBytes: 64),
            let identity = try? ShimProcessIdentity(decoding: bytes)
        else { return }
        do throws(SyscallError) {
            let process = try openProcess(identity.pid)
            // Looked at after the pidfd was opened: it is that very process, or it is not.
            guard try startTimeTicks(of: identity.pid) == identity.startTimeTicks else { return }
            try sendSignal(9, toProcessOf: process, subject: "shim \(identity.pid)")
            _ = try waitUntilReadable([process.number], timeoutMilliseconds: shimEndMilliseconds)
        } catch  where error.isMissing {}
    }

    private static func deleteContainer(_ configuration: ShimConfiguration) throws(SyscallError) {
        let layout = configuration.layout
        var options = ProtobufAny?.none
        if let bytes = try? readFile(FilePath(layout.optionsPath), limitBytes: recordByteCount),
            let record = try? ShimRecord(decoding: bytes)
        {
            options = record.options
        }
        guard let task = try? TaskOptions(options, namespace: configuration.namespace),
            let executable = try? RuntimeLocator.find(task.runtime, configuration: configuration)
        else { return }
        let command = RuntimeCommand(
            executable: executable, root: task.runtimeRoot.isEmpty ? "\(layout.directory)/runtime" : task.runtimeRoot,
            systemdCgroup: task.systemdCgroup, containerID: configuration.id)
        let null = try openFile("/dev/null", .readWrite)
        let process = try spawnProcess(
            FilePath(executable), arguments: command.arguments(.delete(force: true), logPath: "/dev/null"),
            environment: configuration.environment, input: null.number, output: null.number, error: null.number)
        // A container that the runtime does not know is deleted already: the exit status says nothing more.
        _ = try waitForExit(.process(process))
    }

    private static func unmountRoot(_ bundle: String) throws(SyscallError) {
        do throws(SyscallError) {
            try unmount(RootMounts.root(bundle), [.detach, .noFollow])
        } catch  where error.isMissing || error.isNotMounted {}
    }
}
