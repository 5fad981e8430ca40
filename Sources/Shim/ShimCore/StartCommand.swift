internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// `apus-shim start`: makes the socket, leaves a process that serves it, and says where it is.
package enum StartCommand {
    private static let backlog: Int32 = 128

    /// Begins the shim, or finds the one that containerd wants the container served by.
    /// - Returns: what to print, and nothing else may be printed.
    package static func run(_ invocation: ShimInvocation) throws(ShimError) -> [UInt8] {
        let configuration = invocation.configuration
        if configuration.directory.isEmpty { return try ContainerdStart.run(invocation) }
        try begin(configuration)
        return Array("unix://\(configuration.layout.socketPath)".utf8)
    }

    /// Makes the directory and leaves a process that serves there.
    static func begin(_ configuration: ShimConfiguration) throws(ShimError) {
        let layout = configuration.layout
        do throws(SyscallError) {
            try ShimDirectory.make(layout)
            do throws(SyscallError) {
                if configuration.isOfGroup {
                    try writeAll(Array(configuration.group.utf8), toFile: FilePath(layout.groupPath))
                    try makeDirectory(FilePath(layout.tasksPath), mode: ShimLayout.directoryMode)
                }
                let process = try serve(configuration, layout)
                let identity = ShimProcessIdentity(pid: process, startTimeTicks: try startTimeTicks(of: process))
                try writeAll(identity.encoded(), toFile: FilePath(layout.pidPath))
            } catch {
                // Best effort: the first error is the one to tell.
                try? ShimDirectory.remove(layout)
                throw error
            }
        } catch { throw ShimError("start a shim for \(configuration.id)", error) }
    }

    /// Begins a shim in place of one that was killed.
    /// - Returns: the address to print.
    /// - Throws: `ShimError.notFound` where nothing had been started; `wrongState` while the former one lives.
    package static func adopt(_ invocation: ShimInvocation) throws(ShimError) -> String {
        let configuration = invocation.configuration
        let layout = configuration.layout
        _ = try ShimResumption.read(layout)
        do throws(SyscallError) {
            // A daemon that was killed may have begun the same.
            let lock = try openFile(FilePath(layout.directory), [.readOnly, .directory])
            guard try tryLockFile(lock, subject: layout.directory), try ShimDirectory.empty(layout) else {
                throw SyscallError("adopt", layout.directory, errno: 16)
            }
            let process = try serve(configuration, layout, action: .resume)
            do throws(SyscallError) {
                let identity = ShimProcessIdentity(pid: process, startTimeTicks: try startTimeTicks(of: process))
                try writeAll(identity.encoded(), toFile: FilePath(layout.pidPath))
            } catch {
                // Nobody could tell that it lives: it gives way to one that is begun when that can be written. The first error is the one to tell.
                try? sendSignal(9, toProcess: process)
                throw error
            }
            return "unix://\(layout.socketPath)"
        } catch { throw ShimError("take the place of the shim of \(configuration.id)", error) }
    }

    private static func serve(
        _ configuration: ShimConfiguration, _ layout: ShimLayout, action: ShimInvocation.Action = .serve
    ) throws(SyscallError) -> Int32 {
        let directory = try openFile(FilePath(layout.directory), [.path, .directory])
        let previousMask = setFileCreationMask(0o177)
        defer { setFileCreationMask(previousMask) }
        let listener = try listenUnixSocket(ShimDirectory.socketPath(layout, through: directory), backlog: backlog)
        let null = try openFile("/dev/null", .readWrite)
        let log = try openLog()
        // What the child shall have beyond the standard ones: this process ends right after.
        for number in [listener.number, directory.number] { try setCloseOnExec(false, of: number) }
        var arguments = [configuration.executable, "-namespace", configuration.namespace, "-id", configuration.id]
        arguments += ["-directory", configuration.directory, "-events", configuration.eventsAddress]
        if configuration.isOfGroup { arguments += ["-group", configuration.group] }
        arguments += ["-listener", "\(listener.number)", "-place", "\(directory.number)", action.rawValue]
        return try spawnProcess(
            "/proc/self/exe", arguments: arguments, environment: configuration.environment, input: null.number,
            output: null.number, error: log.number, newSession: true)
    }

    /// containerd's pipe for what its shims say, in the bundle; opened both ways, so that it never waits.
    private static func openLog() throws(SyscallError) -> OwnedFD {
        do throws(SyscallError) {
            return try openFile("log", [.readWrite, .nonBlocking, .noFollow])
        } catch  where error.isMissing { return try openFile("/dev/null", .readWrite) }
    }
}
