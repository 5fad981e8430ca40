internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// `apus-shim start`: makes the socket, leaves a process that serves it, and says where it is.
package enum StartCommand {
    private static let backlog: Int32 = 128

    /// Begins the shim.
    /// - Returns: the address to print, and nothing else may be printed.
    package static func run(_ invocation: ShimInvocation) throws(ShimError) -> String {
        var configuration = invocation.configuration
        let isForContainerd = configuration.directory.isEmpty
        if isForContainerd { configuration.directory = "\(ShimDirectory.containerdParent)/\(randomName())" }
        let layout = configuration.layout
        do throws(SyscallError) {
            try ShimDirectory.make(layout)
            do throws(SyscallError) {
                let process = try serve(configuration, layout)
                let identity = ShimProcessIdentity(pid: process, startTimeTicks: try startTimeTicks(of: process))
                try writeAll(identity.encoded(), toFile: FilePath(layout.pidPath))
                // containerd finds the shim by this file when it comes back.
                let address = "unix://\(layout.socketPath)"
                if isForContainerd { try writeAll(Array(address.utf8), toFile: "address") }
                return address
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
            let identity = ShimProcessIdentity(pid: process, startTimeTicks: try startTimeTicks(of: process))
            try writeAll(identity.encoded(), toFile: FilePath(layout.pidPath))
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
        // The one descriptor beyond the standard ones that the child shall have: this process ends right after.
        try setCloseOnExec(false, of: listener.number)
        var arguments = [configuration.executable, "-namespace", configuration.namespace, "-id", configuration.id]
        arguments += ["-directory", configuration.directory, "-events", configuration.eventsAddress]
        arguments += ["-listener", "\(listener.number)", action.rawValue]
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

    private static func randomName() -> String {
        (0..<2).map { _ in
            let digits = String(UInt64.random(in: .min ... .max), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
