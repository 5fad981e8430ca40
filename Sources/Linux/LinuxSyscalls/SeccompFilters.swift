internal import CLinux

/// Flags of seccomp(2), SECCOMP_FILTER_FLAG_*.
package struct SeccompFilterFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let synchronizeThreads = SeccompFilterFlags(rawValue: 1)
    package static let log = SeccompFilterFlags(rawValue: 2)
    package static let speculationAllow = SeccompFilterFlags(rawValue: 4)
    /// Linux 5.0.
    package static let newListener = SeccompFilterFlags(rawValue: 8)
    /// Linux 5.19, with `newListener`.
    package static let waitKillableReceive = SeccompFilterFlags(rawValue: 32)
}

/// The bytes of one instruction of a classic BPF program. - Source: linux/filter.h, struct sock_filter.
package let filterInstructionBytes = 8

/// Filters the system calls of the calling thread and of all that it makes, for good.
/// - Parameter program: classic BPF instructions in the machine's byte order, at most 4096.
/// - Throws: EACCES without no_new_privs and CAP_SYS_ADMIN; EINVAL for a program that the kernel does not accept.
/// - Source: seccomp(2), SECCOMP_SET_MODE_FILTER, Linux 3.17.
/// - Returns: with `newListener` the descriptor, close-on-exec, that notifications come through: the caller's to close.
@discardableResult
package func installSeccompFilter(_ program: [UInt8], flags: SeccompFilterFlags) throws(SyscallError) -> Int32 {
    guard program.count % filterInstructionBytes == 0, let count = UInt16(exactly: program.count / filterInstructionBytes) else {
        throw SyscallError("seccomp", "\(program.count) bytes", errno: 22)
    }
    return try checked("seccomp", "\(count) instructions") { unsafe clinux_install_filter(program, count, flags.rawValue) }
}
