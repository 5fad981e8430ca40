/// A calling convention of system calls, as seccomp_data and libseccomp number it. The architecture table of this module.
struct AuditArchitecture: Equatable, Sendable {
    /// The AUDIT_ARCH_* value that the kernel puts into seccomp_data. - Source: linux/audit.h.
    let kernelValue: UInt32
    /// libseccomp's SCMP_ARCH_* token; differs from the kernel's for x32 only.
    let token: UInt32
    /// The name in the runtime specification: `SCMP_ARCH_X86_64`.
    let specificationName: String
    /// Set in the numbers of every call of this convention where two share a kernel value. - Source: asm/unistd.h, __X32_SYSCALL_BIT.
    let numberBase: UInt32

    static let x86_64 = AuditArchitecture(
        kernelValue: 0xc000_003e, token: 0xc000_003e, specificationName: "SCMP_ARCH_X86_64", numberBase: 0)
    static let x86 = AuditArchitecture(kernelValue: 0x4000_0003, token: 0x4000_0003, specificationName: "SCMP_ARCH_X86", numberBase: 0)
    static let x32 = AuditArchitecture(
        kernelValue: 0xc000_003e, token: 0x4000_003e, specificationName: "SCMP_ARCH_X32", numberBase: 0x4000_0000)
    static let aarch64 = AuditArchitecture(
        kernelValue: 0xc000_00b7, token: 0xc000_00b7, specificationName: "SCMP_ARCH_AARCH64", numberBase: 0)
    static let arm = AuditArchitecture(kernelValue: 0x4000_0028, token: 0x4000_0028, specificationName: "SCMP_ARCH_ARM", numberBase: 0)

    /// The convention of this machine's own programs.
    static var machine: AuditArchitecture {
        #if arch(x86_64)
            .x86_64
        #elseif arch(arm64)
            .aarch64
        #endif
    }

    /// The other conventions that programs of a machine may use.
    var compatible: [AuditArchitecture] {
        if self == .x86_64 { return [.x86, .x32] }
        if self == .aarch64 { return [.arm] }
        return []
    }
}
