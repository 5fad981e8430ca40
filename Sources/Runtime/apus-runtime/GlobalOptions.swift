internal import Cgroups
internal import LinuxSyscalls
internal import RuntimeCore
internal import SystemPackage

/// The flags before the verb.
struct GlobalOptions {
    static let flags: [Flag] = [
        .toggle("debug", help: "log debugging messages"),
        .value("log", help: "file that messages are appended to (default: standard error)"),
        .value("log-format", help: "'text' (default) or 'json'"),
        .value("root", help: "directory of the containers' state"),
        .value("criu", help: "criu's path, or its name in PATH (default: criu)"),
        .toggle("systemd-cgroup", help: "let systemd make the container's cgroup; cgroupsPath is slice:prefix:name then"),
        .value("rootless", help: "whether a container may lack a cgroup for want of rights: 'true', 'false' or 'auto' (default)"),
        .toggle("help", "h", help: "show help"),
        .toggle("version", "v", help: "print the version"),
    ]

    /// nil where nobody said, and there is no place that is the user's own.
    private let knownStateRoot: StateRoot?
    /// The variable by which a caller that keeps its files elsewhere, as a daemon with a run directory of its own does, gives compiled seccomp
    /// programs a place. Not a flag: shims call other runtimes by the same command line.
    private static let filterCacheVariable = "APUS_SECCOMP_CACHE"

    /// The variable by which a caller that reads the log wants the last words of a verb that fails there alone: what it gave for standard error is the
    /// payload's, and no place for them. A caller that does not say so has them there as well, as from runc. Not a flag, for the same reason.
    private static let errorsVariable = "APUS_ERRORS"

    /// Where compiled seccomp programs are kept; nil where there is no place that is ours alone.
    let filterCache: FilePath?
    let logFile: FilePath?
    let logFormat: Log.Format
    /// Whether the last words of a verb that fails go to standard error besides the log.
    let repeatsErrors: Bool
    let isDebug: Bool
    private let usesSystemd: Bool
    private let userRuntimeDirectory: String?
    let rootless: RootlessPolicy
    /// Where criu is, or by what name it is looked for.
    let criu: String

    init(_ flags: ParsedFlags, _ surroundings: Surroundings) throws(RuntimeError) {
        switch flags.value("log-format") ?? "text" {
        case "text": logFormat = .text
        case "json": logFormat = .json
        case let other: throw RuntimeError(.invalidArgument, "invalid log-format: \(other)")
        }
        guard let rootless = RootlessPolicy(flags.value("rootless") ?? "auto") else {
            throw RuntimeError(.invalidArgument, "invalid --rootless: true, false or auto is expected")
        }
        self.rootless = rootless
        let runtimeDirectory: FilePath? =
            effectiveUserID() == 0 ? "/run/apus" : surroundings.variable("XDG_RUNTIME_DIR").map { FilePath($0).appending("apus") }
        let root = flags.value("root").map { FilePath($0) } ?? runtimeDirectory?.appending("runtime")
        knownStateRoot = try root.map { (path) throws(RuntimeError) in StateRoot(try Self.absolute(path)) }
        let wantedCache = surroundings.variable(Self.filterCacheVariable).flatMap { $0.isEmpty ? nil : FilePath($0) }
        filterCache =
            try wantedCache.map { (path) throws(RuntimeError) in try Self.absolute(path) } ?? runtimeDirectory?.appending("seccomp")
        logFile = try flags.value("log").map { (path) throws(RuntimeError) in try Self.absolute(FilePath(path)) }
        let criu = flags.value("criu") ?? "criu"
        self.criu = try criu.contains("/") ? Self.absolute(FilePath(criu)).string : criu
        repeatsErrors = surroundings.variable(Self.errorsVariable) != "log"
        isDebug = flags.isSet("debug")
        usesSystemd = flags.isSet("systemd-cgroup")
        userRuntimeDirectory = surroundings.variable("XDG_RUNTIME_DIR")
    }

    /// Where containers are, or will be.
    /// - Throws: `invalidArgument` where there is no such place.
    var stateRoot: StateRoot {
        get throws(RuntimeError) {
            if let knownStateRoot { return knownStateRoot }
            throw RuntimeError(.invalidArgument, "--root is needed where XDG_RUNTIME_DIR is not set")
        }
    }

    /// None where there is no place for them.
    func containerNames() throws(RuntimeError) -> [String] { try knownStateRoot?.containerNames() ?? [] }

    /// A path as the caller meant it, before the working directory becomes the bundle.
    private static func absolute(_ path: FilePath) throws(RuntimeError) -> FilePath {
        if path.isAbsolute { return path }
        return try during("looking for \(path)") { () throws(SyscallError) in try workingDirectory() }.pushing(path)
    }

    /// Where the sockets of the systemd are that makes cgroups: the machine's, or the user's own; nil where none is asked for.
    /// - Throws: `unsupported` where none runs.
    func systemdDirectory() throws(RuntimeError) -> String? {
        guard usesSystemd else { return nil }
        guard Cgroup.hasSystemd() else {
            throw RuntimeError(
                .unsupported, "--systemd-cgroup: systemd does not run here (there is no /run/systemd/system): leave the flag out")
        }
        if !rootless.applies() { return "/run" }
        guard let userRuntimeDirectory else {
            throw RuntimeError(.invalidArgument, "--systemd-cgroup: a user's systemd is found by XDG_RUNTIME_DIR, which is not set")
        }
        return userRuntimeDirectory
    }
}
