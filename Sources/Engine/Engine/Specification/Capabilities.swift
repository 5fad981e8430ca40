internal import EngineAPI

/// Which capabilities a container's process may hold.
enum Capabilities {
    /// All that Linux 5.9 and newer have, in the order of their numbers. - Source: capabilities(7).
    static let all = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
        "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
        "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
        "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
        "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
        "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
        "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    ]

    /// Docker's default set.
    static let defaults = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
    ]

    /// What of Docker's set services need: they change owners and users, listen, and end others. No devices, packets of their own
    /// making, other roots, rights of files and words to the kernel's audit.
    static let strict = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
        "CAP_KILL",
    ]

    /// The set that a request asks for, without those that this kernel does not know.
    /// - Parameter highest: the number of the newest capability of the kernel.
    /// - Throws: `.invalidParameter` for a name that is no capability.
    static func requested(_ host: HostConfig, highest: Int) throws(EngineError) -> [String] {
        let added = try normalized(host.capAdd?.words ?? [], field: "CapAdd")
        let dropped = try normalized(host.capDrop?.words ?? [], field: "CapDrop")
        let known = Array(all.prefix(highest + 1))
        if host.privileged { return known }
        if added.contains("ALL") { return known.filter { !dropped.contains($0) } }
        let usual =
            switch try SecurityProfile(host) {
            case .standard: defaults
            case .strict: strict
            }
        let base = dropped.contains("ALL") ? [] : usual.filter { !dropped.contains($0) }
        var result = base
        for name in added where !result.contains(name) { result.append(name) }
        return result.filter(known.contains)
    }

    private static func normalized(_ names: [String], field: String) throws(EngineError) -> [String] {
        var result: [String] = []
        for text in names {
            let upper = text.uppercased()
            let name = upper == "ALL" || upper.hasPrefix("CAP_") ? upper : "CAP_\(upper)"
            guard name == "ALL" || all.contains(name) else {
                throw EngineError(.invalidParameter, "invalid \(field): unknown capability: \"\(name)\"")
            }
            result.append(name)
        }
        return result
    }
}
