internal import LinuxSyscalls
internal import SystemPackage

/// Who goes first when the machine has no memory left: payloads, then shims, and the daemon last.
enum MemoryPressure {
    /// What the daemon's unit says as well. Shims raise their own by one, and payloads have what their configuration says.
    private static let score = -999
    private static let scorePath: FilePath = "/proc/self/oom_score_adj"

    /// Has the kernel spare the daemon, unless somebody has it spared already, in a measure of their own. Where that needs a privilege that it lacks, or there is
    /// no procfs, it stays as it is.
    static func spareDaemon() {
        guard let text = try? readFile(scorePath, limitBytes: 16),
            let own = Int(String(decoding: text.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)), own >= 0
        else { return }
        try? writeAll(Array("\(score)".utf8), toFile: scorePath)
    }
}
