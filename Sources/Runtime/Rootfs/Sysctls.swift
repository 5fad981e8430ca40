internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// Settings of the IPC namespace outside fs.mqueue.
private let ipcSettings: Set<String> = [
    "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall", "kernel/shmmax", "kernel/shmmni",
    "kernel/shm_rmid_forced",
]

/// The steps of `linux.sysctl`, in the order of their names.
/// - Throws: `invalidConfiguration` for a setting that is not the container's alone.
/// - Spec: config-linux.md, "Sysctl".
func sysctlSteps(for configuration: RuntimeConfiguration) throws(RootfsError) -> [RootfsStep] {
    let linux = configuration.linux ?? LinuxConfiguration()
    var steps: [RootfsStep] = []
    for (name, value) in linux.sysctl.sorted(by: { $0.key < $1.key }) {
        let field = "linux.sysctl.\(name)"
        let path = try sysctlPath(name, field: field)
        guard let kind = namespaceKind(ofSysctl: path), let namespace = linux.namespace(kind) else {
            throw RootfsError(.invalidConfiguration, field, "is not a setting of one of the container's namespaces")
        }
        if path == "kernel/hostname" && configuration.hostname != nil {
            throw RootfsError(.invalidConfiguration, field, "conflicts with hostname")
        }
        if let joined = namespace.path, try isOwnNamespace(joined, kind: kind, field: field) {
            throw RootfsError(.invalidConfiguration, field, "would change the host: linux.namespaces joins its \(kind.rawValue) namespace")
        }
        steps.append(.sysctl(SysctlSetting(name: name, path: path, value: value)))
    }
    return steps
}

/// The kind of namespace that a setting belongs to; nil for one of the whole machine.
private func namespaceKind(ofSysctl path: String) -> LinuxNamespace.Kind? {
    if path.hasPrefix("net/") { return .network }
    if path.hasPrefix("fs/mqueue/") || ipcSettings.contains(path) { return .ipc }
    if path == "kernel/hostname" || path == "kernel/domainname" { return .uts }
    return nil
}

/// Turns `net.ipv4.conf.eth0/1.forwarding` or `net/ipv4/conf/eth0.1/forwarding` into the latter. - Source: sysctl.d(5).
private func sysctlPath(_ name: String, field: String) throws(RootfsError) -> String {
    let separator = name.first { $0 == "." || $0 == "/" } ?? "."
    let components = name.split(separator: separator, omittingEmptySubsequences: false).map { component in
        separator == "." ? String(component.map { $0 == "/" ? "." : $0 }) : String(component)
    }
    let isPlain = components.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && !$0.contains("\0") }
    if components.count < 2 || !isPlain { throw RootfsError(.invalidConfiguration, field, "is no name of a kernel setting") }
    return components.joined(separator: "/")
}

/// Whether the namespace at `path` is the runtime's own.
private func isOwnNamespace(_ path: String, kind: LinuxNamespace.Kind, field: String) throws(RootfsError) -> Bool {
    let name =
        switch kind {
        case .network: "net"
        case .mount: "mnt"
        case .pid, .uts, .ipc, .user, .cgroup, .time: kind.rawValue
        }
    do throws(SyscallError) {
        let own = try fileStatus(FilePath("/proc/self/ns/\(name)"), followingLinks: true)
        let joined = try fileStatus(FilePath(path), followingLinks: true)
        return own.inode == joined.inode && own.fileSystem == joined.fileSystem
    } catch { throw RootfsError(field, error) }
}
