extension RuntimeConfiguration {
    /// The version that templates carry: old enough for every runtime that is still in use.
    public static let templateVersion = "1.0.2"

    /// A configuration to begin from, equal to what `runc spec` prints but for the host name: a shell on a
    /// terminal, read-only, in its own namespaces, with three capabilities.
    public static func template() -> RuntimeConfiguration {
        var configuration = RuntimeConfiguration(ociVersion: templateVersion)
        configuration.root = RootConfiguration(path: "rootfs", isReadOnly: true)
        configuration.process = .template
        configuration.hostname = "apus"
        configuration.mounts = MountConfiguration.templates
        var linux = LinuxConfiguration()
        linux.namespaces = [.pid, .network, .ipc, .uts, .mount].map { LinuxNamespace($0) }
        var resources = LinuxResources()
        resources.devices = [DeviceRule(allow: false)]
        linux.resources = resources
        linux.maskedPaths = [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
            "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
        ]
        linux.readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        configuration.linux = linux
        return configuration
    }

    /// The same for someone who is not root: a user namespace in which they are, the host's network, no limits.
    /// - Parameters uid, gid: who runs the runtime.
    public static func rootlessTemplate(uid: UInt32, gid: UInt32) -> RuntimeConfiguration {
        var configuration = template()
        // What an ordinary user may not mount is seen through the host's /sys.
        configuration.mounts.removeAll { $0.destination.hasPrefix("/sys/") }
        configuration.mounts = configuration.mounts.map { mount in
            switch mount.destination {
            case "/dev/pts":
                // gid 5 has no mapping in such a namespace.
                var mount = mount
                mount.options.removeAll { $0.hasPrefix("gid=") }
                return mount
            case "/sys":
                // Without a network namespace of one's own sysfs cannot be mounted.
                return MountConfiguration(
                    destination: "/sys", type: "none", source: "/sys", options: ["rbind", "nosuid", "noexec", "nodev", "ro"])
            default: return mount
            }
        }
        configuration.linux?.namespaces = [.pid, .ipc, .uts, .mount, .user].map { LinuxNamespace($0) }
        configuration.linux?.uidMappings = [IDMapping(containerID: 0, hostID: uid, size: 1)]
        configuration.linux?.gidMappings = [IDMapping(containerID: 0, hostID: gid, size: 1)]
        configuration.linux?.resources = nil
        return configuration
    }
}

extension ProcessConfiguration {
    fileprivate static var template: ProcessConfiguration {
        var process = ProcessConfiguration(workingDirectory: "/")
        process.terminal = true
        process.arguments = ["sh"]
        process.environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]
        let names = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        var capabilities = CapabilitySets()
        capabilities.bounding = names
        capabilities.effective = names
        capabilities.permitted = names
        capabilities.ambient = names
        process.capabilities = capabilities
        process.resourceLimits = [ResourceLimit(type: "RLIMIT_NOFILE", soft: 1024, hard: 1024)]
        process.noNewPrivileges = true
        return process
    }
}

extension MountConfiguration {
    fileprivate static var templates: [MountConfiguration] {
        [
            MountConfiguration(destination: "/proc", type: "proc", source: "proc"),
            MountConfiguration(
                destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            MountConfiguration(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            MountConfiguration(
                destination: "/dev/shm", type: "tmpfs", source: "shm",
                options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            MountConfiguration(destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
            MountConfiguration(destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]),
            MountConfiguration(
                destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                options: ["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ]
    }
}
