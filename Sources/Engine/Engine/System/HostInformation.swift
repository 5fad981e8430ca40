internal import LinuxSyscalls
internal import SystemPackage

/// What is read of the host once, at the engine's start. Blocks.
struct HostInformation: Sendable {
    private static let limitBytes = 65_536

    let facts: HostFacts
    let kernelRelease: String
    let operatingSystem: String
    let operatingSystemVersion: String
    let memoryBytes: Int64
    /// Whether all controllers are in the one hierarchy of cgroup v2.
    let isUnifiedCgroup: Bool

    /// - Parameter isRootless: whether the engine is root of a user namespace alone, and makes no cgroups.
    init(isRootless: Bool) throws(EngineError) {
        let hasCgroups = !isRootless
        kernelRelease = try Self.text("/proc/sys/kernel/osrelease")
        let processors = try Self.text("/sys/devices/system/cpu/online")
        guard let set = ProcessorSet(parsing: processors), let version = KernelVersion(kernelRelease),
            let highest = Int(try Self.text("/proc/sys/kernel/cap_last_cap"))
        else {
            throw EngineError(.system, "the kernel's own description cannot be read: release \(kernelRelease), processors \(processors)")
        }
        isUnifiedCgroup = Self.exists("/sys/fs/cgroup/cgroup.controllers")
        let countsSwap = !hasCgroups || isUnifiedCgroup || Self.exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
        let hasAppArmor = (try? Self.text("/sys/module/apparmor/parameters/enabled")) == "Y"
        facts = HostFacts(
            hostName: try Self.text("/proc/sys/kernel/hostname"), processors: set, highestCapability: highest, countsSwap: countsSwap,
            kernelVersion: version, limits: try KernelLimits(isUnified: hasCgroups ? isUnifiedCgroup : nil), hasCgroups: hasCgroups,
            isRootless: isRootless, hasAppArmor: hasAppArmor,
            hasAppArmorProfile: !isRootless && AppArmorProfile(kernelHasAppArmor: hasAppArmor) != nil,
            hasSELinux: Self.exists("/sys/fs/selinux/enforce"))
        let release = Self.assignments((try? Self.text("/etc/os-release")) ?? "")
        operatingSystem = release["PRETTY_NAME"] ?? "Linux"
        operatingSystemVersion = release["VERSION_ID"] ?? ""
        memoryBytes = Self.memory(try Self.text("/proc/meminfo"))
    }

    /// Whether the host passes packets of IPv4 on, now.
    var forwardsIPv4: Bool { (try? Self.text("/proc/sys/net/ipv4/ip_forward")) == "1" }

    static func text(_ path: FilePath) throws(EngineError) -> String {
        do throws(SyscallError) {
            let bytes = try readFile(path, limitBytes: limitBytes)
            return String(decoding: bytes, as: UTF8.self).trimmed
        } catch { throw .system("look at the host", error) }
    }

    static func exists(_ path: FilePath) -> Bool { (try? fileStatus(path, followingLinks: true)) != nil }

    /// `NAME="value"` lines. - Source: os-release(5).
    static func assignments(_ text: String) -> [String: String] {
        var result: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let value = line[line.index(after: equals)...]
            let isQuoted = value.count >= 2 && value.first == value.last && (value.first == "\"" || value.first == "'")
            result[String(line[..<equals])] = String(isQuoted ? value.dropFirst().dropLast() : value)
        }
        return result
    }

    /// `MemTotal: N kB`. - Source: proc_meminfo(5).
    static func memory(_ text: String) -> Int64 {
        let line = text.split(separator: "\n").first { $0.hasPrefix("MemTotal:") }
        let kibibytes = line?.split(separator: " ").compactMap { Int64($0) }.first ?? 0
        return kibibytes * 1024
    }
}

extension String {
    /// Without white space at its ends.
    var trimmed: String {
        var text = self[...]
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
