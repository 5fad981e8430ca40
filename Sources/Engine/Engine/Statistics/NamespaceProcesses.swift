internal import LinuxSyscalls
internal import SystemPackage

/// The processes of a container that has no cgroup.
enum NamespaceProcesses {
    private static let limitBytes = 65_536

    /// Those of the first process's pid namespace, unless that is the engine's own, and those that descend from them.
    /// - Returns: ascending; empty where the first process is gone.
    static func ofContainer(first: Int32) throws(SyscallError) -> [Int32] {
        guard let namespace = namespace(of: first) else { return [] }
        let isShared = namespace == self.namespace(of: processID())
        let folder = try openFile("/proc", [.readOnly, .directory])
        let all = try directoryEntries(of: folder, subject: "/proc").compactMap { Int32($0.name.string) }
        var children: [Int32: [Int32]] = [:]
        for process in all { if let parent = parent(of: process) { children[parent, default: []].append(process) } }
        var found = Set(isShared ? [first] : all.filter { self.namespace(of: $0) == namespace } + [first])
        var waiting = Array(found)
        while let process = waiting.popLast() {
            for child in children[process] ?? [] where found.insert(child).inserted { waiting.append(child) }
        }
        return found.sorted()
    }

    /// nil for a process that is gone or may not be looked at.
    private static func namespace(of process: Int32) -> FilePath? { try? readSymbolicLink(FilePath("/proc/\(process)/ns/pid")) }

    /// The fourth field, behind a name that may hold anything but ends with the last parenthesis. - Source: proc_pid_stat(5).
    private static func parent(of process: Int32) -> Int32? {
        guard let bytes = try? readFile(FilePath("/proc/\(process)/stat"), limitBytes: limitBytes),
            let end = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = bytes[bytes.index(after: end)...].split(separator: UInt8(ascii: " "))
        return fields.count > 1 ? Int32(String(decoding: fields[1], as: UTF8.self)) : nil
    }
}
