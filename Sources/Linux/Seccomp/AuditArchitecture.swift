internal import OCISpec

/// A calling convention of system calls, as seccomp_data and libseccomp number it. The architecture table of this module.
struct AuditArchitecture: Equatable, Sendable {
    /// The AUDIT_ARCH_* value that the kernel puts into seccomp_data. - Source: linux/audit.h.
    let kernelValue: UInt32
    /// libseccomp's SCMP_ARCH_* token; differs from the kernel's for x32 only.
    let token: UInt32
    /// What the runtime specification calls it.
    let name: SeccompConfiguration.Architecture
    /// Set in the numbers of every call of this convention where two share a kernel value. - Source: asm/unistd.h, __X32_SYSCALL_BIT.
    let numberBase: UInt32

    static let x86_64 = AuditArchitecture(
        kernelValue: 0xc000_003e, token: 0xc000_003e, name: .x86_64, numberBase: 0)
    static let x86 = AuditArchitecture(kernelValue: 0x4000_0003, token: 0x4000_0003, name: .x86, numberBase: 0)
    static let x32 = AuditArchitecture(
        kernelValue: 0xc000_003e, token: 0x4000_003e, name: .x32, numberBase: 0x4000_0000)
    static let aarch64 = AuditArchitecture(
        kernelValue: 0xc000_00b7, token: 0xc000_00b7, name: .aarch64, numberBase: 0)
    static let arm = AuditArchitecture(kernelValue: 0x4000_0028, token: 0x4000_0028, name: .arm, numberBase: 0)

    /// The convention of this machine's own programs.
    static var machine: AuditArchitecture {
        #if arch(x86_64)
            .x86_64
        #elseif arch(arm64)
            .aarch64
        #endif
    }

    /// The other conventions that programs of a machine may use.
    var compatible: [AuditArchitecture] { name.compatible.compactMap(Self.named) }

    /// nil for those that no machine has that this is built for.
    private static func named(_ name: SeccompConfiguration.Architecture) -> AuditArchitecture? {
        switch name {
        case .x86: .x86
        case .x32: .x32
        case .arm: .arm
        default: nil
        }
    }
}
