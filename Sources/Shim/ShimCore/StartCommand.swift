internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// `apus-shim start`: makes the socket, leaves a process that serves it, and says where it is.
package enum StartCommand {
    /// Where shims of containerd's containers keep their sockets and state.
    static let containerdParent = "/run/apus-shim"
    private static let backlog: Int32 = 128

    /// Begins the shim.
    /// - Returns: the address to print, and nothing else may be printed.
    package static func run(_ invocation: ShimInvocation) throws(ShimError) -> String {
        var configuration = invocation.configuration
        let isForContainerd = configuration.directory.isEmpty
        if isForContainerd { configuration.directory = "\(containerdParent)/\(randomName())" }
        let layout = configuration.layout
        do throws(SyscallError) {
            try makeDirectory(layout)
            do throws(SyscallError) {
                let process = try serve(configuration, invocation, layout)
                let identity = ShimProcessIdentity(pid: process, startTimeTicks: try startTimeTicks(of: process))
                try writeAll(identity.encoded(), toFile: FilePath(layout.pidPath))
                // containerd finds the shim by this file when it comes back.
                let address = "unix://\(layout.socketPath)"
                if isForContainerd { try writeAll(Array(address.utf8), toFile: "address") }
                return address
            } catch {
                // Best effort: the first error is the one to tell.
                try? removeTree(FilePath(layout.directory))
                throw error
            }
        } catch { throw ShimError("start a shim for \(configuration.id)", error) }
    }

    /// The address of a directory's socket for a process that listens or connects: sun_path holds 107 bytes, so
    /// a longer one is reached through the open directory.
    static func socketPath(_ layout: ShimLayout, through directory: borrowing OwnedFD) -> FilePath {
        layout.socketPath.utf8.count <= 107
            ? FilePath(layout.socketPath) : FilePath("/proc/self/fd/\(directory.number)/\(ShimLayout.socketName)")
    }

    private static func makeDirectory(_ layout: ShimLayout) throws(SyscallError) {
        let path = FilePath(layout.directory)
        try makeDirectories(path.removingLastComponent(), mode: ShimLayout.directoryMode)
        do throws(SyscallError) {
            try LinuxSyscalls.makeDirectory(path, mode: ShimLayout.directoryMode)
        } catch  where error.isExisting {
            // Left by a shim that was killed; one that lives keeps its place, but may be on its way out.
            if isAlive(layout, afterMilliseconds: leaveMilliseconds) { throw error }
            do throws(SyscallError) { try removeTree(path) } catch  where error.isMissing {}
            try LinuxSyscalls.makeDirectory(path, mode: ShimLayout.directoryMode)
        }
    }

    private static func serve(
        _ configuration: ShimConfiguration, _ invocation: ShimInvocation, _ layout: ShimLayout
    ) throws(SyscallError) -> Int32 {
        let directory = try openFile(FilePath(layout.directory), [.path, .directory])
        let previousMask = setFileCreationMask(0o177)
        let listener = try listenUnixSocket(socketPath(layout, through: directory), backlog: backlog)
        setFileCreationMask(previousMask)
        let null = try openFile("/dev/null", .readWrite)
        let log = try openLog()
        // The one descriptor beyond the standard ones that the child shall have: this process ends right after.
        try setCloseOnExec(false, of: listener.number)
        var arguments = [configuration.executable, "-namespace", configuration.namespace, "-id", configuration.id]
        arguments += ["-directory", configuration.directory, "-events", configuration.eventsAddress]
        arguments += ["-listener", "\(listener.number)", "serve"]
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

    /// Whether the shim that wrote the pid file runs; one that is dead and not reaped does not.
    /// How long a shim that was told to end may take to take its directory away.
    private static let leaveMilliseconds: Int32 = 2_000

    private static func isAlive(_ layout: ShimLayout, afterMilliseconds timeout: Int32) -> Bool {
        guard let bytes = try? readFile(FilePath(layout.pidPath), limitBytes: 64),
            let identity = try? ShimProcessIdentity(decoding: bytes), let process = try? openProcess(identity.pid),
            (try? startTimeTicks(of: identity.pid)) == identity.startTimeTicks
        else { return false }
        return (try? waitUntilReadable([process.number], timeoutMilliseconds: timeout)) == []
    }

    private static func randomName() -> String {
        (0..<2).map { _ in
            let digits = String(UInt64.random(in: .min ... .max), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
