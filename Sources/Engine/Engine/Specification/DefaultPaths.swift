/// What every container's `/proc` and `/sys` hide or protect, as Docker's default has it.
enum DefaultPaths {
    /// Hidden behind an empty directory or /dev/null.
    static let masked = [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]

    /// Readable only.
    static let readOnly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

    /// `masked`, and the thermal counters of each processor, which tell neighbours apart by their load.
    static func masked(processorCount: Int) -> [String] {
        masked + (0..<processorCount).map { "/sys/devices/system/cpu/cpu\($0)/thermal_throttle" }
    }
}
