internal import EngineAPI
internal import LinuxSyscalls
internal import OCISpec
internal import Synchronization
internal import SystemPackage

/// The AppArmor profile of containers that name none. The host's `apparmor_parser` compiles it, as for dockerd, whose name for its own it has:
/// one that is loaded already by that name is the host's choice.
struct AppArmorProfile: Sendable {
    static let name = "docker-default"
    /// What a container is called that none confines.
    static let unconfined = "unconfined"
    /// The profiles that the kernel has.
    private static let loaded: FilePath = "/sys/kernel/security/apparmor/profiles"
    private static let loadedLimitBytes = 4 << 20
    private static let parsers: [FilePath] = ["/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"]
    private static let timeoutMilliseconds: Int32 = 30_000
    private static let wordsLimitBytes = 16_384

    /// One load at a time. Whoever asked before it began has its result, a refusal, too: many at once do not wait for as many programs.
    private static let turn = Mutex<(began: Int64, result: Result<Void, EngineError>)>((0, .success(())))

    private let parser: FilePath

    /// nil where the kernel has no AppArmor, where its files are not to be seen, or where nothing compiles profiles. Blocks.
    init?(kernelHasAppArmor: Bool) {
        guard kernelHasAppArmor, HostInformation.exists(Self.loaded), let parser = Self.parsers.first(where: HostInformation.exists)
        else { return nil }
        self.parser = parser
    }

    /// What confines a container: nil is nothing.
    static func name(for host: HostConfig, _ security: SecurityOptions, _ facts: HostFacts) -> String? {
        if let asked = security.appArmor { return asked }
        if host.privileged { return facts.hasAppArmor ? unconfined : nil }
        return facts.hasAppArmorProfile ? name : nil
    }

    /// Sees to it that the kernel has what a process is to be confined by, where that is ours. Blocks.
    static func prepare(for process: ProcessConfiguration?, _ facts: HostFacts) throws(EngineError) {
        guard facts.hasAppArmorProfile, process?.appArmorProfile == name else { return }
        try AppArmorProfile(kernelHasAppArmor: true)?.load()
    }

    /// Loads the profile where it is not: also where something else on the host has taken it away since. Blocks.
    func load() throws(EngineError) {
        let asked = monotonicNanoseconds()
        let result: Result<Void, EngineError> = Self.turn.withLock { last in
            if last.began > asked { return last.result }
            let began = monotonicNanoseconds()
            do throws(EngineError) {
                if try !Self.isLoaded() { try compile() }
                last = (began, .success(()))
            } catch { last = (began, .failure(error)) }
            return last.result
        }
        try result.get()
    }

    private static func isLoaded() throws(EngineError) -> Bool {
        do throws(SyscallError) {
            let text = String(decoding: try readFile(loaded, limitBytes: loadedLimitBytes), as: UTF8.self)
            return text.split(separator: "\n").contains { $0.hasPrefix("\(name) (") }
        } catch { throw .system("look for AppArmor profile \(name)", error) }
    }

    private func compile() throws(EngineError) {
        let outcome: (exit: ProcessExit?, words: String)
        do throws(SyscallError) {
            let own = String(decoding: try readFile("/proc/self/attr/current", limitBytes: 4096), as: UTF8.self)
            let text = try makeMemoryFile(named: Self.name)
            try writeAll(Array(Self.text(ofDaemon: own).utf8), to: text.number)
            try rewindFile(text.number)
            let words = try makeMemoryFile(named: "apparmor_parser")
            let process = try spawnProcess(
                parser, arguments: [parser.string, "--replace", "--skip-cache"], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                input: text.number, output: words.number, error: words.number)
            let exit = try waitForExit(ofChild: process, orKillAfterMilliseconds: Self.timeoutMilliseconds)
            try rewindFile(words.number)
            outcome = (exit, String(decoding: try readChunk(words.number, limitBytes: Self.wordsLimitBytes), as: UTF8.self).trimmed)
        } catch { throw .system("load AppArmor profile \(Self.name)", error) }
        guard outcome.exit != .exited(0) else { return }
        let end = outcome.exit.map { "status \($0.shellStatus)" } ?? "no end in time"
        throw EngineError(.system, "load AppArmor profile \(Self.name): \(parser): \(end): \(outcome.words)")
    }

    /// The profile: what it says nothing of is allowed. What a container's root could do to the host by its kernel's files is not, nor mounts.
    /// - Parameter label: the daemon's own, as the kernel tells it: it may send signals, also where it is confined itself.
    static func text(ofDaemon label: String) -> String {
        let own = label.trimmed.prefix { $0 != " " && $0 != "\"" && $0 != "\n" && $0 != "\0" }
        let daemon = own.isEmpty || own == unconfined ? "" : "  signal (receive) peer=\"\(own)\",\n"
        return """
            profile \(name) flags=(attach_disconnected,mediate_deleted) {
              file,
              capability,
              network,
              unix,
              # The filter of system calls sees no family of a socket that 32-bit programs ask for.
              deny network alg,
              deny network vsock,
              umount,
              signal (receive) peer=unconfined,
              signal (receive) peer={runc,crun,apus-runtime},
            \(daemon)  signal (send,receive) peer=\(name),
              ptrace (read,readby,trace,tracedby) peer=\(name),

              deny mount,
              # Of /proc: processes' own files, and of /proc/sys what belongs to a namespace of messages.
              deny /proc/* w,
              deny /proc/[^1-9s]*/** w,
              deny /proc/s[^y]*/** w,
              deny /proc/sys/[^k]*/** w,
              deny /proc/sys/kernel/[^ms]** w,
              deny /proc/sys/kernel/m[^s]** w,
              deny /proc/sys/kernel/s[^he]** w,
              deny /proc/sys/kernel/se[^m]** w,
              deny /proc/sys/kernel/sh[^m]** w,
              deny /proc/sysrq-trigger rwklx,
              deny /proc/kcore rwklx,
              deny /proc/kmem rwklx,
              # Of /sys: cgroups alone.
              deny /sys/[^f]*/** wklx,
              deny /sys/f[^s]*/** wklx,
              deny /sys/fs/[^c]*/** wklx,
              deny /sys/fs/c[^g]*/** wklx,
              deny /sys/fs/cg[^r]*/** wklx,
              deny /sys/firmware/** rwklx,
              deny /sys/devices/virtual/powercap/** rwklx,
              deny /sys/kernel/security/** rwklx,
            }

            """
    }
}
