internal import LinuxSyscalls
internal import SystemPackage

/// Whether a container may go without a cgroup of its own where the caller has no right to make one: `--rootless`.
package enum RootlessPolicy: Sendable {
    case always
    case never
    /// For everybody but the machine's root: ordinary users, and root of a user namespace.
    case auto

    /// - Parameter text: `auto`, or a truth as Go's strconv.ParseBool reads it; nil for anything else.
    package init?(_ text: String) {
        switch text {
        case "auto": self = .auto
        case "1", "t", "T", "TRUE", "true", "True": self = .always
        case "0", "f", "F", "FALSE", "false", "False": self = .never
        default: return nil
        }
    }

    /// Looked at only once something was refused.
    package func applies() -> Bool {
        switch self {
        case .always: true
        case .never: false
        case .auto: effectiveUserID() != 0 || !isInInitialUserNamespace()
        }
    }
}

/// Whether a process's user namespace forbids it to change its supplementary groups. - Source: user_namespaces(7), /proc/PID/setgroups.
func isDeniedGroups(process: String) throws(RuntimeError) -> Bool {
    try during("looking at the user namespace") { () throws(SyscallError) in
        try readFile(FilePath("/proc/\(process)/setgroups"), limitBytes: 64).starts(with: Array("deny".utf8))
    }
}
