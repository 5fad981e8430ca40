internal import LinuxSyscalls
internal import OCISpec
internal import SystemPackage

/// The steps of `linux.sysctl`, in the order of their names. That each belongs to a namespace of the container is looked at again here,
/// because a mistake would change the host.
/// - Throws: `invalidConfiguration` for a setting that is not the container's alone.
/// - Spec: config-linux.md, "Sysctl".
func sysctlSteps(for configuration: RuntimeConfiguration) throws(RootfsError) -> [RootfsStep] {
    let linux = configuration.linux ?? LinuxConfiguration()
    var steps: [RootfsStep] = []
    for (text, value) in linux.sysctl.sorted(by: { $0.key < $1.key }) {
        let field = "linux.sysctl.\(text)"
        guard let name = SysctlName(text), !name.path.utf8.contains(0) else {
            throw RootfsError(.invalidConfiguration, field, "is no name of a sysctl")
        }
        guard let kind = name.namespace, let namespace = linux.namespace(kind) else {
            throw RootfsError(.invalidConfiguration, field, "would change the host: it is of no namespace of the container")
        }
        if let joined = namespace.path, try isOwnNamespace(joined, kind: kind, field: field) {
            throw RootfsError(.invalidConfiguration, field, "would change the host: the container shares its \(kind.rawValue) namespace")
        }
        steps.append(.sysctl(SysctlSetting(name: text, path: name.path, value: value)))
    }
    return steps
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
