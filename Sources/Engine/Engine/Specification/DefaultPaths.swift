/// What a container's `/proc` and `/sys` hide or protect that asks for nothing: as Docker's default has it, or more.
enum DefaultPaths {
    /// Hidden behind an empty directory or /dev/null.
    static let masked = [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]

    /// Readable only.
    static let readOnly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

    /// What else tells of the kernel's memory and code, of the machine and its disks, and of what neighbours do.
    static let strictlyMasked =
        masked + [
            "/proc/buddyinfo", "/proc/cmdline", "/proc/config.gz", "/proc/diskstats", "/proc/iomem", "/proc/ioports", "/proc/kallsyms",
            "/proc/key-users", "/proc/kmsg", "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags", "/proc/modules", "/proc/mtrr",
            "/proc/pagetypeinfo", "/proc/partitions", "/proc/schedstat", "/proc/slabinfo", "/proc/softirqs", "/proc/vmallocinfo",
            "/proc/zoneinfo", "/sys/devices/virtual/dmi", "/sys/fs/bpf", "/sys/fs/pstore", "/sys/fs/selinux", "/sys/kernel/boot_params",
            "/sys/kernel/debug", "/sys/kernel/iommu_groups", "/sys/kernel/notes", "/sys/kernel/security", "/sys/kernel/slab",
            "/sys/kernel/tracing", "/sys/kernel/vmcoreinfo",
        ]

    static func masked(_ profile: SecurityProfile) -> [String] {
        switch profile {
        case .standard: masked
        case .strict: strictlyMasked
        }
    }

    /// `masked`, and the thermal counters of each processor, which tell neighbours apart by their load.
    static func masked(_ profile: SecurityProfile, processorCount: Int) -> [String] {
        masked(profile) + (0..<processorCount).map { "/sys/devices/system/cpu/cpu\($0)/thermal_throttle" }
    }
}
