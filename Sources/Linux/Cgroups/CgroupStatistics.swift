internal import Glibc
internal import LinuxSyscalls

/// What a container uses. A controller that is not there leaves its part nil.
package struct CgroupStatistics: Equatable, Sendable {
    /// Of the memory controller.
    package struct Memory: Equatable, Sendable {
        package var usageBytes: UInt64 = 0
        /// nil is unlimited.
        package var limitBytes: UInt64?
        /// Page cache that can be dropped at once: what `docker stats` subtracts from the usage.
        package var inactiveFileBytes: UInt64 = 0
        package var maximumUsageBytes: UInt64?
        /// How often the limit was in the way; v1 only.
        package var failureCount: UInt64?
        /// v2's of swap alone; v1's of memory and swap together. nil where swap is not counted.
        package var swap: Swap?
        /// The numbers of v2's memory.events, or v1's memory.oom_control, by the kernel's names.
        package var events: [String: UInt64] = [:]
        package var oomKillCount: UInt64 { events["oom_kill"] ?? 0 }
        /// The counters of memory.stat by the kernel's names.
        package var counters: [String: UInt64] = [:]

        package init() {}
    }

    /// Of the memory controller, where it counts swap.
    package struct Swap: Equatable, Sendable {
        package var usageBytes: UInt64 = 0
        /// nil is unlimited.
        package var limitBytes: UInt64?
        /// nil where the kernel does not tell.
        package var maximumUsageBytes: UInt64?
        /// As of the memory.
        package var failureCount: UInt64?

        package init() {}
    }

    /// Of the cpu controller, since the cgroup was made.
    package struct CPU: Equatable, Sendable {
        package var usageNanoseconds: UInt64 = 0
        package var userNanoseconds: UInt64 = 0
        package var systemNanoseconds: UInt64 = 0
        package var periods: UInt64 = 0
        package var throttledPeriods: UInt64 = 0
        package var throttledNanoseconds: UInt64 = 0

        package init() {}
    }

    /// Processes and threads.
    package struct Pids: Equatable, Sendable {
        package var current: UInt64
        /// nil is unlimited.
        package var limit: UInt64?

        package init(current: UInt64, limit: UInt64?) {
            self.current = current
            self.limit = limit
        }
    }

    /// Of one block device, since the cgroup was made.
    package struct BlockIO: Equatable, Sendable {
        package var major: UInt32
        package var minor: UInt32
        package var readBytes: UInt64 = 0
        package var writtenBytes: UInt64 = 0
        package var readOperations: UInt64 = 0
        package var writeOperations: UInt64 = 0

        package init(major: UInt32, minor: UInt32) {
            self.major = major
            self.minor = minor
        }
    }

    package var memory: Memory?
    package var cpu: CPU?
    package var pids: Pids?
    package var blockIO: [BlockIO] = []

    package init() {}
}

extension Cgroup {
    /// Reads what the container uses now.
    package func statistics() throws(CgroupError) -> CgroupStatistics {
        try doing("read the statistics of cgroup \(record.places.first?.directory ?? "")") { () throws(SyscallError) in
            var statistics = CgroupStatistics()
            statistics.memory = try memoryStatistics()
            statistics.cpu = try cpuStatistics()
            statistics.pids = try pidsStatistics()
            statistics.blockIO = try blockIOStatistics()
            return statistics
        }
    }

    /// How often the kernel killed a process of this container for want of memory; 0 without a memory controller.
    package func oomKillCount() throws(CgroupError) -> UInt64 {
        try doing("read the memory events of cgroup \(record.places.first?.directory ?? "")") { () throws(SyscallError) in
            try memoryEventCounts()["oom_kill"] ?? 0
        }
    }

    func memoryUsage() throws(CgroupError) -> UInt64 {
        try doing("read the memory usage of cgroup \(record.places.first?.directory ?? "")") { () throws(SyscallError) in
            try memoryStatistics()?.usageBytes ?? 0
        }
    }

    private func memoryEventCounts() throws(SyscallError) -> [String: UInt64] {
        // Kills are counted by v1 since Linux 4.13.
        if let leaf = legacyLeaf(.memory) { return flatValues(try leaf.read("memory.oom_control")) }
        return flatValues(try unifiedLeaf?.readIfThere("memory.events") ?? "")
    }

    private func legacySwap(_ leaf: CgroupDirectory) throws(SyscallError) -> CgroupStatistics.Swap? {
        guard let usage = try leaf.readIfThere("memory.memsw.usage_in_bytes") else { return nil }
        var swap = CgroupStatistics.Swap()
        swap.usageBytes = UInt64(usage) ?? 0
        swap.limitBytes = legacyLimit(try leaf.read("memory.memsw.limit_in_bytes"))
        swap.maximumUsageBytes = UInt64(try leaf.read("memory.memsw.max_usage_in_bytes"))
        swap.failureCount = UInt64(try leaf.read("memory.memsw.failcnt"))
        return swap
    }

    private func unifiedSwap(_ leaf: CgroupDirectory) throws(SyscallError) -> CgroupStatistics.Swap? {
        guard let usage = try leaf.readIfThere("memory.swap.current") else { return nil }
        var swap = CgroupStatistics.Swap()
        swap.usageBytes = UInt64(usage) ?? 0
        swap.limitBytes = UInt64(try leaf.read("memory.swap.max"))
        // Since Linux 6.5.
        swap.maximumUsageBytes = try leaf.readIfThere("memory.swap.peak").flatMap { UInt64($0) }
        return swap
    }

    private func memoryStatistics() throws(SyscallError) -> CgroupStatistics.Memory? {
        var memory = CgroupStatistics.Memory()
        if let leaf = legacyLeaf(.memory) {
            memory.usageBytes = UInt64(try leaf.read("memory.usage_in_bytes")) ?? 0
            memory.limitBytes = legacyLimit(try leaf.read("memory.limit_in_bytes"))
            memory.maximumUsageBytes = UInt64(try leaf.read("memory.max_usage_in_bytes"))
            memory.failureCount = UInt64(try leaf.read("memory.failcnt"))
            memory.swap = try legacySwap(leaf)
            memory.counters = flatValues(try leaf.read("memory.stat"))
            memory.inactiveFileBytes = memory.counters["total_inactive_file"] ?? 0
        } else if let leaf = unifiedLeaf, let usage = try leaf.readIfThere("memory.current") {
            memory.usageBytes = UInt64(usage) ?? 0
            memory.limitBytes = UInt64(try leaf.read("memory.max"))
            memory.maximumUsageBytes = try leaf.readIfThere("memory.peak").flatMap { UInt64($0) }
            memory.swap = try unifiedSwap(leaf)
            memory.counters = flatValues(try leaf.read("memory.stat"))
            memory.inactiveFileBytes = memory.counters["inactive_file"] ?? 0
        } else {
            return nil
        }
        memory.events = try memoryEventCounts()
        return memory
    }

    private func cpuStatistics() throws(SyscallError) -> CgroupStatistics.CPU? {
        var cpu = CgroupStatistics.CPU()
        if let leaf = legacyLeaf(.cpuacct) {
            cpu.usageNanoseconds = UInt64(try leaf.read("cpuacct.usage")) ?? 0
            cpu.userNanoseconds = UInt64(try leaf.readIfThere("cpuacct.usage_user") ?? "") ?? 0
            cpu.systemNanoseconds = UInt64(try leaf.readIfThere("cpuacct.usage_sys") ?? "") ?? 0
            if let throttling = try legacyLeaf(.cpu)?.read("cpu.stat") {
                let values = flatValues(throttling)
                cpu.periods = values["nr_periods"] ?? 0
                cpu.throttledPeriods = values["nr_throttled"] ?? 0
                cpu.throttledNanoseconds = values["throttled_time"] ?? 0
            }
            return cpu
        }
        guard let leaf = unifiedLeaf, record.mode == .unified else { return nil }
        let values = flatValues(try leaf.read("cpu.stat"))
        cpu.usageNanoseconds = (values["usage_usec"] ?? 0) &* 1000
        cpu.userNanoseconds = (values["user_usec"] ?? 0) &* 1000
        cpu.systemNanoseconds = (values["system_usec"] ?? 0) &* 1000
        cpu.periods = values["nr_periods"] ?? 0
        cpu.throttledPeriods = values["nr_throttled"] ?? 0
        cpu.throttledNanoseconds = (values["throttled_usec"] ?? 0) &* 1000
        return cpu
    }

    private func pidsStatistics() throws(SyscallError) -> CgroupStatistics.Pids? {
        guard let leaf = legacyLeaf(.pids) ?? unifiedLeaf, let current = try leaf.readIfThere("pids.current") else { return nil }
        return CgroupStatistics.Pids(current: UInt64(current) ?? 0, limit: UInt64(try leaf.read("pids.max")))
    }

    private func blockIOStatistics() throws(SyscallError) -> [CgroupStatistics.BlockIO] {
        if let leaf = legacyLeaf(.blkio) {
            return legacyBlockIO(
                bytes: try leaf.readIfThere("blkio.throttle.io_service_bytes_recursive") ?? "",
                operations: try leaf.readIfThere("blkio.throttle.io_serviced_recursive") ?? "")
        }
        return unifiedBlockIO(try unifiedLeaf?.readIfThere("io.stat") ?? "")
    }
}

extension CgroupDirectory {
    func readIfThere(_ file: String) throws(SyscallError) -> String? {
        do throws(SyscallError) { return try read(file) } catch {
            if error.errno == ENOENT || error.errno == EOPNOTSUPP { return nil }
            throw error
        }
    }
}

/// Reads lines of `name number`. - Source: cgroup-v2.rst, "flat keyed".
func flatValues(_ text: String) -> [String: UInt64] {
    var values: [String: UInt64] = [:]
    for line in text.split(separator: "\n") {
        let parts = line.split(separator: " ")
        if parts.count == 2, let value = UInt64(parts[1]) { values[String(parts[0])] = value }
    }
    return values
}

/// v1 says "unlimited" by the largest number of whole pages.
func legacyLimit(_ text: String) -> UInt64? { UInt64(text).flatMap { $0 >= UInt64(Int64.max) - 0xffff ? nil : $0 } }

/// Reads v1's lines of `major:minor Read number`.
func legacyBlockIO(bytes: String, operations: String) -> [CgroupStatistics.BlockIO] {
    var devices: [String: CgroupStatistics.BlockIO] = [:]
    for (text, countsBytes) in [(bytes, true), (operations, false)] {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ").map(String.init)
            guard parts.count == 3, let value = UInt64(parts[2]), var device = devices[parts[0]] ?? blockDevice(parts[0]) else { continue }
            switch (parts[1], countsBytes) {
            case ("Read", true): device.readBytes = value
            case ("Write", true): device.writtenBytes = value
            case ("Read", false): device.readOperations = value
            case ("Write", false): device.writeOperations = value
            default: break
            }
            devices[parts[0]] = device
        }
    }
    return devices.values.sorted { ($0.major, $0.minor) < ($1.major, $1.minor) }
}

/// Reads v2's lines of `major:minor rbytes=number …`. - Source: cgroup-v2.rst, "io.stat".
func unifiedBlockIO(_ text: String) -> [CgroupStatistics.BlockIO] {
    text.split(separator: "\n").compactMap { line in
        let parts = line.split(separator: " ")
        guard let first = parts.first, var device = blockDevice(String(first)) else { return nil }
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=")
            guard pair.count == 2, let value = UInt64(pair[1]) else { continue }
            switch pair[0] {
            case "rbytes": device.readBytes = value
            case "wbytes": device.writtenBytes = value
            case "rios": device.readOperations = value
            case "wios": device.writeOperations = value
            default: break
            }
        }
        return device
    }
}

private func blockDevice(_ text: String) -> CgroupStatistics.BlockIO? {
    let numbers = text.split(separator: ":").compactMap { UInt32($0) }
    return numbers.count == 2 ? CgroupStatistics.BlockIO(major: numbers[0], minor: numbers[1]) : nil
}
