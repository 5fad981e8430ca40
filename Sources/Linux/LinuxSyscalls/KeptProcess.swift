internal import SystemPackage

/// How the first process of a pid namespace ended that the kernel keeps for others of its namespace, which have ended as well and were not reaped: their
/// parents are outside, and may never do it. All it has left is its number. nil for any other process, also where one of the others lives. A living
/// process of a namespace further down counts as one of the others, whosever it is.
/// - Source: Linux, kernel/pid_namespace.c, `zap_pid_ns_processes`; proc_pid_stat(5), fields 3, 9, 20 and 52; proc_pid_status(5), NSpid.
package func exitKeptByUnreaped(of process: Int32) throws(SyscallError) -> ProcessExit? {
    let fields = try statusFields(of: "/proc/\(process)/stat")
    // It sleeps, or idles: with the kernel's version.
    guard fields.count > 49, ["S", "I"].contains(fields[0]), let flags = UInt64(fields[6]), flags & exitingFlag != 0,
        let status = Int32(fields[49]),
        try readFile(FilePath("/proc/\(process)/wchan"), limitBytes: 128).elementsEqual("zap_pid_ns_processes".utf8)
    else { return nil }
    let (namespace, depth) = (try pidNamespace(of: process), try pidNamespaceDepth(of: process))
    let table = try openFile(FilePath("/proc"), [.readOnly, .directory])
    for entry in try directoryEntries(of: table, subject: "/proc") {
        // What is gone meanwhile was reaped.
        guard let other = Int32(entry.name.string), other != process, let itsNamespace = try? pidNamespace(of: other),
            let itsDepth = try? pidNamespaceDepth(of: other), itsNamespace == namespace || itsDepth > depth,
            let state = try? statusFields(of: "/proc/\(other)/stat"), state.count > 17
        else { continue }
        // A first thread that has ended alone is a zombie as well.
        if state[0] != "Z" || state[17] != "1" { return nil }
    }
    return ProcessExit(waitStatus: status)
}

/// PF_EXITING of linux/sched.h.
package let exitingFlag: UInt64 = 4

/// How many namespaces, from this one down, the process has a number in.
private func pidNamespaceDepth(of process: Int32) throws(SyscallError) -> Int {
    let status = String(decoding: try readFile(FilePath("/proc/\(process)/status"), limitBytes: 65_536), as: UTF8.self)
    let line = status.split(separator: "\n").first { $0.hasPrefix("NSpid:") }
    return line?.split(separator: "\t").dropFirst().count ?? 1
}

private func pidNamespace(of process: Int32) throws(SyscallError) -> [UInt8] { try symbolicLinkText(FilePath("/proc/\(process)/ns/pid")) }
