internal import CoreTypes
internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// Starts shims, and cleans up after those that were killed. Every function blocks.
struct ShimLauncher: Sendable {
    /// containerd's word for who a container belongs to.
    static let namespace = "apus"
    /// How long the executable may take to put a shim into the background, or to clean up.
    private static let startTimeoutMilliseconds: Int32 = 30_000
    /// The most that is read of what the executable prints.
    private static let outputLimitBytes = 65_536
    /// The C library's own search path is not ours to inherit.
    private static let environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

    let shimPath: FilePath
    let execRoot: FilePath

    func layout(of id: ContainerID) -> ShimLayout { ShimLayout(execRoot: execRoot.string, containerID: id.text) }

    /// Starts a shim; its socket is there when this returns.
    func start(_ id: ContainerID, bundle: String) throws(ShimError) {
        let directory = layout(of: id).directory
        try run(["-namespace", Self.namespace, "-id", id.text, "-directory", directory, "-bundle", bundle, "start"], doing: "start a shim")
    }

    /// Starts a shim in place of one that was killed; it has the container, and its socket is there, when this returns.
    /// - Throws: `.notStarted` where nothing of the container had been started, or the former shim lives.
    func adopt(_ id: ContainerID, bundle: String) throws(ShimError) {
        let directory = layout(of: id).directory
        try run(
            ["-namespace", Self.namespace, "-id", id.text, "-directory", directory, "-bundle", bundle, "adopt"],
            doing: "take the place of a shim")
    }

    /// Takes away what a shim that is gone has left: processes, cgroup, mounts, its directory.
    func delete(_ id: ContainerID, bundle: String) throws(ShimError) {
        let directory = layout(of: id).directory
        try run(
            ["-namespace", Self.namespace, "-id", id.text, "-directory", directory, "-bundle", bundle, "delete"],
            doing: "clean up after a shim")
    }

    /// Runs the executable to its end.
    /// - Throws: `.notStarted` with its own words when it fails or does not end in time.
    private func run(_ arguments: [String], doing: String) throws(ShimError) {
        let outcome: (exit: ProcessExit?, words: String)
        do throws(SyscallError) {
            let input = try openFile("/dev/null", .readWrite)
            // A file, not a pipe: what inherits it may live on and hold nobody up.
            let errors = try makeMemoryFile(named: "shim-errors")
            let process = try spawnProcess(
                shimPath, arguments: [shimPath.string] + arguments, environment: Self.environment, input: input.number,
                output: input.number, error: errors.number)
            let exit = try waitForExit(ofChild: process, orKillAfterMilliseconds: Self.startTimeoutMilliseconds)
            try rewindFile(errors.number)
            outcome = (exit, String(decoding: try readChunk(errors.number, limitBytes: Self.outputLimitBytes), as: UTF8.self))
        } catch { throw ShimError(.notStarted, "\(doing): \(error)") }
        guard outcome.exit != .exited(0) else { return }
        let end = outcome.exit.map { "status \($0.shellStatus)" } ?? "no end in time"
        throw ShimError(.notStarted, "\(doing): \(end): \(outcome.words)")
    }
}
