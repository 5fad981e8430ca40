internal import Glibc
internal import LinuxSyscalls
internal import SystemPackage

/// What a container uses, in the detail in which runc's `events` tells it. Zero stands for what no controller counts.
package struct UsageReport: Equatable, Sendable {
    /// Nanoseconds but for the periods.
    package struct CPU: Equatable, Sendable {
        package var total: UInt64 = 0
        package var kernel: UInt64 = 0
        package var user: UInt64 = 0
        /// By number; v1 only, as the next two.
        package var each: [UInt64] = []
        package var eachKernel: [UInt64] = []
        package var eachUser: [UInt64] = []
        package var periods: UInt64 = 0
        package var throttledPeriods: UInt64 = 0
        package var throttledTime: UInt64 = 0
    }
    /// A limited amount, in bytes.
    package struct Gauge: Equatable, Sendable {
        package var limit: UInt64 = 0
        package var usage: UInt64 = 0
        package var maximum: UInt64 = 0
        package var failures: UInt64 = 0
    }
    /// Bytes.
    package struct Memory: Equatable, Sendable {
        package var cache: UInt64 = 0
        package var usage = Gauge()
        /// Memory and swap together.
        package var swap = Gauge()
        package var kernel = Gauge()
        package var kernelTCP = Gauge()
        /// memory.stat by the kernel's names.
        package var counters: [String: UInt64] = [:]
    }
    /// v1 only.
    package struct CPUSet: Equatable, Sendable {
        package var cpus: [UInt16] = []
        package var memoryNodes: [UInt16] = []
        /// The other files by their names without `cpuset.`.
        package var flags: [String: Int64] = [:]
    }
    /// What was done on one block device, in bytes or in operations.
    package struct BlockOperation: Equatable, Sendable {
        package var major: UInt32
        package var minor: UInt32
        /// `Read`, `Write`, `Sync`, …
        package var kind: String
        package var value: UInt64
    }

    package var cpu = CPU()
    package var cpuset = CPUSet()
    package var memory = Memory()
    package var pids: UInt64 = 0
    /// 0 is unlimited.
    package var pidsLimit: UInt64 = 0
    package var blockBytes: [BlockOperation] = []
    package var blockOperations: [BlockOperation] = []
    /// By size: `2MB`.
    package var hugepages: [String: Gauge] = [:]

    package init() {}
}

extension Cgroup {
    /// Reads everything that the controllers count.
    package func usageReport() throws(CgroupError) -> UsageReport {
        try doing("read the usage of cgroup \(record.places.first?.directory ?? "")") { () throws(SyscallError) in
            var report = UsageReport()
            report.cpu = try cpuReport()
            if let leaf = legacyLeaf(.cpuset) { report.cpuset = try leaf.cpusetReport() }
            if let leaf = legacyLeaf(.memory) {
                report.memory = try leaf.legacyMemoryReport()
            } else if let leaf = unifiedLeaf {
                report.memory = try leaf.unifiedMemoryReport()
            }
            if let leaf = legacyLeaf(.pids) ?? unifiedLeaf {
                report.pids = try leaf.number("pids.current")
                report.pidsLimit = try leaf.number("pids.max")
            }
            try addBlockReport(to: &report)
            if let leaf = legacyLeaf(.hugetlb) ?? unifiedLeaf {
                report.hugepages = try leaf.hugepageReport(isLegacy: legacyLeaf(.hugetlb) != nil)
            }
            return report
        }
    }

    /// What v1 counts besides `statistics()`: each processor's time, the kernel's memory, huge pages. The rest of the report is empty.
    package func legacyDetails() throws(CgroupError) -> UsageReport {
        try doing("read the usage of cgroup \(record.places.first?.directory ?? "")") { () throws(SyscallError) in
            var report = UsageReport()
            report.cpu.each = try legacyLeaf(.cpuacct)?.legacyProcessorTimes() ?? []
            if let leaf = legacyLeaf(.memory) {
                report.memory.kernel = try leaf.legacyGauge("memory.kmem")
                report.memory.kernelTCP = try leaf.legacyGauge("memory.kmem.tcp")
            }
            report.hugepages = try legacyLeaf(.hugetlb)?.hugepageReport(isLegacy: true) ?? [:]
            return report
        }
    }

    private func cpuReport() throws(SyscallError) -> UsageReport.CPU {
        if let leaf = legacyLeaf(.cpuacct) { return try leaf.legacyCPUReport(throttling: legacyLeaf(.cpu)) }
        guard record.mode == .unified, let leaf = unifiedLeaf else { return UsageReport.CPU() }
        let values = flatValues(try leaf.readIfThere("cpu.stat") ?? "")
        var cpu = UsageReport.CPU()
        cpu.total = (values["usage_usec"] ?? 0) &* 1000
        cpu.user = (values["user_usec"] ?? 0) &* 1000
        cpu.kernel = (values["system_usec"] ?? 0) &* 1000
        cpu.periods = values["nr_periods"] ?? 0
        cpu.throttledPeriods = values["nr_throttled"] ?? 0
        cpu.throttledTime = (values["throttled_usec"] ?? 0) &* 1000
        return cpu
    }

    private func addBlockReport(to report: inout UsageReport) throws(SyscallError) {
        if let leaf = legacyLeaf(.blkio) {
            report.blockBytes = legacyBlockOperations(try leaf.readIfThere("blkio.throttle.io_service_bytes_recursive") ?? "")
            report.blockOperations = legacyBlockOperations(try leaf.readIfThere("blkio.throttle.io_serviced_recursive") ?? "")
        } else if let leaf = unifiedLeaf, let text = try leaf.readIfThere("io.stat") {
            report.blockBytes = unifiedBlockOperations(text, [("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard")])
            report.blockOperations = unifiedBlockOperations(text, [("rios", "Read"), ("wios", "Write"), ("dios", "Discard")])
        }
    }
}

extension CgroupDirectory {
    /// The number in a file; 0 where it is missing or holds a word such as `max`.
    fileprivate func number(_ file: String) throws(SyscallError) -> UInt64 { UInt64(try readIfThere(file) ?? "") ?? 0 }

    /// A limit: `max` is the largest number, as runc writes it.
    private func limit(_ file: String) throws(SyscallError) -> UInt64 {
        guard let text = try readIfThere(file) else { return 0 }
        return text == "max" ? .max : UInt64(text) ?? 0
    }

    fileprivate func legacyCPUReport(throttling: CgroupDirectory?) throws(SyscallError) -> UsageReport.CPU {
        var cpu = UsageReport.CPU()
        cpu.total = try number("cpuacct.usage")
        cpu.user = try number("cpuacct.usage_user")
        cpu.kernel = try number("cpuacct.usage_sys")
        cpu.each = try legacyProcessorTimes()
        // A heading, then `cpu user system`.
        for line in (try readIfThere("cpuacct.usage_all") ?? "").split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ").compactMap { UInt64($0) }
            guard fields.count == 3 else { continue }
            cpu.eachUser.append(fields[1])
            cpu.eachKernel.append(fields[2])
        }
        let values = flatValues(try throttling?.readIfThere("cpu.stat") ?? "")
        cpu.periods = values["nr_periods"] ?? 0
        cpu.throttledPeriods = values["nr_throttled"] ?? 0
        cpu.throttledTime = values["throttled_time"] ?? 0
        return cpu
    }

    fileprivate func legacyProcessorTimes() throws(SyscallError) -> [UInt64] {
        (try readIfThere("cpuacct.usage_percpu") ?? "").split(separator: " ").compactMap { UInt64($0) }
    }

    fileprivate func cpusetReport() throws(SyscallError) -> UsageReport.CPUSet {
        var cpuset = UsageReport.CPUSet()
        cpuset.cpus = numbersInList(try readIfThere("cpuset.cpus") ?? "")
        cpuset.memoryNodes = numbersInList(try readIfThere("cpuset.mems") ?? "")
        for name in [
            "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page", "memory_spread_slab",
            "memory_pressure",
            "sched_load_balance", "sched_relax_domain_level",
        ] { cpuset.flags[name] = Int64(try readIfThere("cpuset.\(name)") ?? "") }
        return cpuset
    }

    fileprivate func legacyMemoryReport() throws(SyscallError) -> UsageReport.Memory {
        var memory = UsageReport.Memory()
        memory.counters = flatValues(try readIfThere("memory.stat") ?? "")
        memory.cache = memory.counters["cache"] ?? 0
        memory.usage = try legacyGauge("memory")
        memory.swap = try legacyGauge("memory.memsw")
        memory.kernel = try legacyGauge("memory.kmem")
        memory.kernelTCP = try legacyGauge("memory.kmem.tcp")
        return memory
    }

    fileprivate func legacyGauge(_ prefix: String) throws(SyscallError) -> UsageReport.Gauge {
        var gauge = UsageReport.Gauge()
        gauge.limit = try number("\(prefix).limit_in_bytes")
        gauge.usage = try number("\(prefix).usage_in_bytes")
        gauge.maximum = try number("\(prefix).max_usage_in_bytes")
        gauge.failures = try number("\(prefix).failcnt")
        return gauge
    }

    fileprivate func unifiedMemoryReport() throws(SyscallError) -> UsageReport.Memory {
        var memory = UsageReport.Memory()
        memory.counters = flatValues(try readIfThere("memory.stat") ?? "")
        memory.cache = memory.counters["file"] ?? 0
        memory.usage.usage = try number("memory.current")
        memory.usage.limit = try limit("memory.max")
        memory.usage.maximum = try number("memory.peak")
        memory.usage.failures = flatValues(try readIfThere("memory.events") ?? "")["max"] ?? 0
        let swapLimit = try limit("memory.swap.max")
        memory.swap.usage = memory.usage.usage &+ (try number("memory.swap.current"))
        let (sum, overflows) = memory.usage.limit.addingReportingOverflow(swapLimit)
        memory.swap.limit = overflows ? .max : sum
        return memory
    }

    fileprivate func hugepageReport(isLegacy: Bool) throws(SyscallError) -> [String: UsageReport.Gauge] {
        var gauges: [String: UsageReport.Gauge] = [:]
        for size in hugepageSizes() {
            guard try readIfThere("hugetlb.\(size).\(isLegacy ? "usage_in_bytes" : "current")") != nil else { continue }
            if isLegacy {
                gauges[size] = try legacyGauge("hugetlb.\(size)")
            } else {
                var gauge = UsageReport.Gauge()
                gauge.usage = try number("hugetlb.\(size).current")
                gauge.failures = flatValues(try readIfThere("hugetlb.\(size).events") ?? "")["max"] ?? 0
                gauges[size] = gauge
            }
        }
        return gauges
    }
}

/// The sizes that this machine has, as cgroups call them; none where the kernel has no huge pages.
private func hugepageSizes() -> [String] {
    guard let directory = try? openFile("/sys/kernel/mm/hugepages", [.readOnly, .directory]),
        let entries = try? directoryEntries(of: directory)
    else { return [] }
    return entries.compactMap { entry in
        let name = entry.name.string
        guard name.hasPrefix("hugepages-"), name.hasSuffix("kB"), let kilobytes = UInt64(name.dropFirst(10).dropLast(2)) else { return nil }
        if kilobytes % (1 << 20) == 0 { return "\(kilobytes >> 20)GB" }
        return kilobytes % (1 << 10) == 0 ? "\(kilobytes >> 10)MB" : "\(kilobytes)KB"
    }
}

/// Reads a list such as `0-3,7`. - Source: cpuset(7), "List format".
func numbersInList(_ text: String) -> [UInt16] {
    text.split(separator: ",").flatMap { part -> [UInt16] in
        let ends = part.split(separator: "-").compactMap { UInt16($0) }
        guard let first = ends.first, let last = ends.last, first <= last else { return [] }
        return Array(first...last)
    }
}

/// Reads v1's lines of `major:minor Kind number`.
func legacyBlockOperations(_ text: String) -> [UsageReport.BlockOperation] {
    text.split(separator: "\n").compactMap { line in
        let fields = line.split(separator: " ")
        guard fields.count == 3, let value = UInt64(fields[2]) else { return nil }
        return blockOperation(fields[0], kind: String(fields[1]), value: value)
    }
}

/// Reads v2's lines of `major:minor key=number …`.
func unifiedBlockOperations(_ text: String, _ kinds: [(key: String, kind: String)]) -> [UsageReport.BlockOperation] {
    text.split(separator: "\n").flatMap { line in
        let fields = line.split(separator: " ")
        return fields.dropFirst().compactMap { field -> UsageReport.BlockOperation? in
            let pair = field.split(separator: "=")
            guard pair.count == 2, let value = UInt64(pair[1]), let device = fields.first,
                let kind = kinds.first(where: { $0.key == pair[0] })?.kind
            else { return nil }
            return blockOperation(device, kind: kind, value: value)
        }
    }
}

private func blockOperation(_ device: Substring, kind: String, value: UInt64) -> UsageReport.BlockOperation? {
    let numbers = device.split(separator: ":").compactMap { UInt32($0) }
    guard numbers.count == 2 else { return nil }
    return UsageReport.BlockOperation(major: numbers[0], minor: numbers[1], kind: kind, value: value)
}
