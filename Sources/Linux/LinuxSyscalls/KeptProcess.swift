internal import SystemPackage

/// How the first process of a pid namespace ended that the kernel keeps for others of its namespace, which have ended as well and were not reaped: their
/// parents are outside, and may never do it. All it has left is its number. nil for any other process, also where one of the others lives.
/// - Source: Linux, kernel/pid_namespace.c, `zap_pid_ns_processes`; proc_pid_stat(5), fields 3, 9 and 52.
package func exitKeptByUnreaped(of process: Int32) throws(SyscallError) -> ProcessExit? {
    let fields = try statusFields(of: "/proc/\(process)/stat")
    guard fields.count > 49, fields[0] == "S", let flags = UInt64(fields[6]), flags & exitingFlag != 0, let status = Int32(fields[49]),
        try readFile(FilePath("/proc/\(process)/wchan"), limitBytes: 128).elementsEqual("zap_pid_ns_processes".utf8)
    else { return nil }
    let namespace = try pidNamespace(of: process)
    let table = try openFile(FilePath("/proc"), [.readOnly, .directory])
    for entry in try directoryEntries(of: table, subject: "/proc") {
        // What is gone meanwhile was reaped.
        guard let other = Int32(entry.name.string), other != process, (try? pidNamespace(of: other)) == namespace,
            let state = try? statusFields(of: "/proc/\(other)/stat").first
        else { continue }
        if state != "Z" { return nil }
    }
    return ProcessExit(waitStatus: status)
}

/// PF_EXITING of linux/sched.h.
package let exitingFlag: UInt64 = 4

private func pidNamespace(of process: Int32) throws(SyscallError) -> [UInt8] { try symbolicLinkText(FilePath("/proc/\(process)/ns/pid")) }
