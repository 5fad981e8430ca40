internal import Cgroups
internal import Protobuf
internal import ShimProtocol

/// Statistics as containerd reads them: two messages, one for each version of cgroups.
extension CgroupStatistics {
    /// `io.containerd.cgroups.v1.Metrics`.
    /// - Source: containerd/cgroups cgroup1/stats/metrics.proto.
    /// - Parameter details: `Cgroup.legacyDetails`.
    func legacyMetrics(_ details: UsageReport) -> ProtobufAny {
        var metrics = CounterMessage()
        for (size, gauge) in details.hugepages.sorted(by: { $0.key < $1.key }) {
            metrics.part(1) { message in
                message.number(1, gauge.usage)
                message.number(2, gauge.maximum)
                message.number(3, gauge.failures)
                message.text(4, size)
            }
        }
        metrics.part(2) { message in
            message.number(1, pids?.current)
            // Unlimited is 0 there.
            message.number(2, pids?.limit)
        }
        metrics.part(3) { message in
            message.part(1) { usage in
                usage.number(1, cpu?.usageNanoseconds)
                usage.number(2, cpu?.systemNanoseconds)
                usage.number(3, cpu?.userNanoseconds)
                usage.numbers(4, details.cpu.each)
            }
            message.part(2) { throttling in
                throttling.number(1, cpu?.periods)
                throttling.number(2, cpu?.throttledPeriods)
                throttling.number(3, cpu?.throttledNanoseconds)
            }
        }
        metrics.part(4) { message in
            writeCounters(legacyMemoryCounters, to: &message)
            message.part(33) { usage in
                usage.number(1, memory.map { $0.limitBytes ?? legacyUnlimited })
                usage.number(2, memory?.usageBytes)
                usage.number(3, memory?.maximumUsageBytes)
                usage.number(4, memory?.failureCount)
            }
            // Of memory and swap together.
            message.part(34) { swap in
                swap.number(1, memory?.swap.map { $0.limitBytes ?? legacyUnlimited })
                swap.number(2, memory?.swap?.usageBytes)
                swap.number(3, memory?.swap?.maximumUsageBytes)
                swap.number(4, memory?.swap?.failureCount)
            }
            message.gauge(35, details.memory.kernel)
            message.gauge(36, details.memory.kernelTCP)
        }
        metrics.part(5) { message in
            for device in blockIO {
                message.blockIO(1, device, read: device.readBytes, write: device.writtenBytes)
                message.blockIO(2, device, read: device.readOperations, write: device.writeOperations)
            }
        }
        metrics.part(9) { writeEvents(["oom_kill_disable", "under_oom", "oom_kill"], to: &$0) }
        return metrics.packed(as: "io.containerd.cgroups.v1.Metrics")
    }

    /// `io.containerd.cgroups.v2.Metrics`.
    /// - Source: containerd/cgroups v3, cgroup2/stats/metrics.proto. Older ones pass over what they do not know: the pressure and what lies behind.
    func unifiedMetrics(_ pressure: PressureReport) -> ProtobufAny {
        var metrics = CounterMessage()
        metrics.part(1) { message in
            message.number(1, pids?.current)
            message.number(2, pids.map { $0.limit ?? .max })
        }
        metrics.part(2) { message in
            message.number(1, cpu.map { $0.usageNanoseconds / 1000 })
            message.number(2, cpu.map { $0.userNanoseconds / 1000 })
            message.number(3, cpu.map { $0.systemNanoseconds / 1000 })
            message.number(4, cpu?.periods)
            message.number(5, cpu?.throttledPeriods)
            message.number(6, cpu.map { $0.throttledNanoseconds / 1000 })
            message.stall(7, pressure.stalls["cpu"])
        }
        metrics.part(4) { message in
            writeCounters(unifiedMemoryCounters, to: &message)
            message.number(32, memory?.usageBytes)
            message.number(33, memory.map { $0.limitBytes ?? .max })
            message.number(34, memory?.swap?.usageBytes)
            message.number(35, memory?.swap.map { $0.limitBytes ?? .max })
            message.number(36, memory?.maximumUsageBytes)
            message.number(37, memory?.swap?.maximumUsageBytes)
            message.stall(38, pressure.stalls["memory"])
            writeCounters(splitWorkingSetCounters, from: 39, to: &message)
        }
        metrics.part(6) { message in
            for device in blockIO {
                message.part(1) { entry in
                    entry.number(1, UInt64(device.major))
                    entry.number(2, UInt64(device.minor))
                    entry.number(3, device.readBytes)
                    entry.number(4, device.writtenBytes)
                    entry.number(5, device.readOperations)
                    entry.number(6, device.writeOperations)
                }
            }
            message.stall(2, pressure.stalls["io"])
        }
        metrics.part(8) { writeEvents(["low", "high", "max", "oom", "oom_kill", "oom_group_kill"], to: &$0) }
        return metrics.packed(as: "io.containerd.cgroups.v2.Metrics")
    }

    /// The counters of memory.stat, in fields one after the other.
    private func writeCounters(_ names: [String], from first: Int = 1, to message: inout CounterMessage) {
        for (index, name) in names.enumerated() { message.number(first + index, memory?.counters[name]) }
    }

    /// What happened to the memory, of which the first is field 1.
    private func writeEvents(_ names: [String], to message: inout CounterMessage) {
        for (index, name) in names.enumerated() { message.number(index + 1, memory?.events[name]) }
    }
}

/// v1's word for no limit: the largest number of whole pages.
private let legacyUnlimited = UInt64(Int64.max) & ~4095

private let legacyMemoryCounters =
    [
        "cache", "rss", "rss_huge", "mapped_file", "dirty", "writeback", "pgpgin", "pgpgout", "pgfault", "pgmajfault", "inactive_anon",
        "active_anon", "inactive_file", "active_file", "unevictable", "hierarchical_memory_limit", "hierarchical_memsw_limit",
        "total_cache", "total_rss", "total_rss_huge", "total_mapped_file", "total_dirty", "total_writeback", "total_pgpgin",
        "total_pgpgout", "total_pgfault", "total_pgmajfault", "total_inactive_anon", "total_active_anon", "total_inactive_file",
        "total_active_file", "total_unevictable",
    ]

private let unifiedMemoryCounters =
    [
        "anon", "file", "kernel_stack", "slab", "sock", "shmem", "file_mapped", "file_dirty", "file_writeback", "anon_thp",
        "inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable", "slab_reclaimable", "slab_unreclaimable",
        "pgfault", "pgmajfault", "workingset_refault", "workingset_activate", "workingset_nodereclaim", "pgrefill", "pgscan", "pgsteal",
        "pgactivate", "pgdeactivate", "pglazyfree", "pglazyfreed", "thp_fault_alloc", "thp_collapse_alloc",
    ]

private let splitWorkingSetCounters =
    ["workingset_refault_anon", "workingset_refault_file", "workingset_activate_anon", "workingset_activate_file"]

extension CounterMessage {
    fileprivate mutating func gauge(_ field: Int, _ gauge: UsageReport.Gauge) {
        part(field) { entry in
            entry.number(1, gauge.limit)
            entry.number(2, gauge.usage)
            entry.number(3, gauge.maximum)
            entry.number(4, gauge.failures)
        }
    }

    /// Waiting for a resource; nothing where the kernel does not tell.
    fileprivate mutating func stall(_ field: Int, _ stall: PressureReport.Stall?) {
        guard let stall else { return }
        part(field) { message in
            for (number, line) in [(1, stall.some), (2, stall.full)] {
                guard let line else { continue }
                message.part(number) { data in
                    for (index, average) in line.averages.enumerated() { data.decimal(index + 1, average) }
                    data.number(4, line.totalMicroseconds)
                }
            }
        }
    }

    /// Two entries of a v1 block device, one for each direction.
    fileprivate mutating func blockIO(_ field: Int, _ device: CgroupStatistics.BlockIO, read: UInt64, write: UInt64) {
        for (operation, value) in [("Read", read), ("Write", write)] {
            part(field) { entry in
                entry.text(1, operation)
                entry.number(3, UInt64(device.major))
                entry.number(4, UInt64(device.minor))
                entry.number(5, value)
            }
        }
    }
}
