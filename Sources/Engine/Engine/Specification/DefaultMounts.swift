internal import EngineAPI
internal import OCISpec

/// The file systems of the kernel that every container has.
enum DefaultMounts {
    /// Bytes of `/dev/shm` where the request says nothing: 64 MiB.
    static let sharedMemoryBytes: Int64 = 64 << 20

    /// - Parameter sharedMemory: whose `/dev/shm` it is; where it is not the container's own alone, what lies at `place` is bound.
    /// - Parameter bindsSystem: whether `/sys` is the host's: the kernel mounts one for the owner of the network namespace alone. The
    ///   host's cgroups come with it.
    static func mounts(
        for host: HostConfig, sharedMemory: NamespaceModes.SharedMemory = .own, at place: String? = nil, bindsSystem: Bool = false
    ) -> [MountConfiguration] {
        let sysIsWritable = host.privileged && !host.readonlyRootfs
        return [
            MountConfiguration(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]),
            MountConfiguration(
                destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            MountConfiguration(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            MountConfiguration(
                destination: "/sys", type: bindsSystem ? "bind" : "sysfs", source: bindsSystem ? "/sys" : "sysfs",
                options: (bindsSystem ? ["rbind", "rprivate"] : []) + ["nosuid", "noexec", "nodev", sysIsWritable ? "rw" : "ro"]),
            MountConfiguration(
                destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                options: ["nosuid", "noexec", "nodev", host.privileged ? "rw" : "ro"]),
            MountConfiguration(destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
        ].filter { !bindsSystem || $0.type != "cgroup" } + shared(sharedMemory, bytes: sharedMemoryBytes(host), place)
    }

    /// Bytes of a container's own `/dev/shm`.
    static func sharedMemoryBytes(_ host: HostConfig) -> Int64 { host.shmSize == 0 ? sharedMemoryBytes : host.shmSize }

    private static func shared(_ mode: NamespaceModes.SharedMemory, bytes: Int64, _ place: String?) -> [MountConfiguration] {
        switch mode {
        case .none: return []
        case .own:
            return [
                MountConfiguration(
                    destination: "/dev/shm", type: "tmpfs", source: "shm",
                    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=\(bytes)"])
            ]
        case .shareable, .host, .container:
            return [MountConfiguration(destination: "/dev/shm", type: "bind", source: place ?? "/dev/shm", options: ["rbind", "rprivate"])]
        }
    }
}
