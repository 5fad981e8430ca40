internal import LinuxSyscalls

/// Names of capabilities by their numbers. - Source: linux/capability.h of Linux 6.18.
package let capabilityNames = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
    "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
    "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",
    "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
    "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
]

extension CapabilitySet {
    /// - Throws: `invalidConfiguration` for a name that stands for no capability.
    init(names: [String], of field: String) throws(RuntimeError) {
        self.init()
        for name in names {
            guard let number = capabilityNames.firstIndex(of: name) else {
                throw RuntimeError(
                    .invalidConfiguration, doing: "process.capabilities.\(field)", "\(name.debugDescription) is no capability")
            }
            self = CapabilitySet(rawValue: rawValue | CapabilitySet(number: Int32(number)).rawValue)
        }
    }

    /// `CAP_KILL, CAP_MKNOD`; a number where there is no name.
    var names: String {
        numbers.map { Int($0) < capabilityNames.count ? capabilityNames[Int($0)] : "capability \($0)" }.joined(separator: ", ")
    }
}
