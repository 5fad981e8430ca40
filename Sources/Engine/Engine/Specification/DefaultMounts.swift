internal import EngineAPI
internal import OCISpec

/// The file systems of the kernel that every container has.
enum DefaultMounts {
    /// Bytes of `/dev/shm` where the request says nothing: 64 MiB.
    static let sharedMemoryBytes: Int64 = 64 << 20

    static func mounts(for host: HostConfig) -> [MountConfiguration] {
        let sysIsWritable = host.privileged && !host.readonlyRootfs
        let sharedMemory = host.shmSize == 0 ? sharedMemoryBytes : host.shmSize
        return [
            MountConfiguration(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]),
            MountConfiguration(
                destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            MountConfiguration(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            MountConfiguration(
                destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", sysIsWritable ? "rw" : "ro"]),
            MountConfiguration(
                destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                options: ["nosuid", "noexec", "nodev", host.privileged ? "rw" : "ro"]),
            MountConfiguration(destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
            MountConfiguration(
                destination: "/dev/shm", type: "tmpfs", source: "shm",
                options: ["nosuid", "noexec", "nodev", "mode=1777", "size=\(sharedMemory)"]),
        ]
    }
}
