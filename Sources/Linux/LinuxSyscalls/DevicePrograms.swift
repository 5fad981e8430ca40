internal import CLinux

/// The most device programs that one cgroup can have: BPF_CGROUP_MAX_PROGS.
private let attachedProgramLimit = 64

/// Loads a program of type BPF_PROG_TYPE_CGROUP_DEVICE.
/// - Parameter instructions: 8 bytes each, in the machine's order.
/// - Source: bpf(2), Linux 4.15.
package func loadDeviceProgram(_ instructions: [UInt8]) throws(SyscallError) -> OwnedFD {
    OwnedFD(
        owning: try checked("bpf BPF_PROG_LOAD", "device program of \(instructions.count / 8) instructions") {
            unsafe instructions.withUnsafeBytes { unsafe clinux_bpf_load_device_program($0.baseAddress, UInt32($0.count / 8)) }
        })
}

/// Attaches a device program to a cgroup beside those that it has: all must agree. - Source: bpf(2), BPF_F_ALLOW_MULTI.
package func attachDeviceProgram(_ program: borrowing OwnedFD, toCgroup cgroup: Int32, subject: String) throws(SyscallError) {
    let number = program.number
    try checked("bpf BPF_PROG_ATTACH", subject) { clinux_bpf_attach_device_program(cgroup, number) }
}

/// The device programs attached to a cgroup itself, by their kernel ids. - Source: bpf(2), BPF_PROG_QUERY, Linux 4.15.
package func attachedDevicePrograms(ofCgroup cgroup: Int32, subject: String) throws(SyscallError) -> [UInt32] {
    var identifiers = [UInt32](repeating: 0, count: attachedProgramLimit)
    let count = try checked("bpf BPF_PROG_QUERY", subject) {
        unsafe clinux_bpf_query_device_programs(cgroup, &identifiers, UInt32(attachedProgramLimit))
    }
    return Array(identifiers.prefix(Int(count)))
}

/// Detaches a device program from a cgroup by its kernel id; one that is gone already is no error.
package func detachDeviceProgram(_ identifier: UInt32, fromCgroup cgroup: Int32, subject: String) throws(SyscallError) {
    do throws(SyscallError) {
        let program = try checked("bpf BPF_PROG_GET_FD_BY_ID", subject) { clinux_bpf_open_program(identifier) }
        let owned = OwnedFD(owning: program)
        let number = owned.number
        try checked("bpf BPF_PROG_DETACH", subject) { clinux_bpf_detach_device_program(cgroup, number) }
    } catch  where error.errno == 2 {}
}
