internal import EngineAPI
internal import OCISpec

/// `HostConfig`'s limits: checked as Docker checks them, and turned into the runtime's.
enum ResourceRequests {
    /// The least memory that a container may have: 6 MiB.
    static let minimumMemoryBytes: Int64 = 6 << 20
    /// Tasks of a container whose request says nothing.
    static let defaultTaskLimit: Int64 = 2048
    /// The scheduling period that `NanoCpus` is turned into.
    static let periodMicroseconds: Int64 = 100_000

    /// Refuses what no kernel could do.
    /// - Parameter processors: those of the host.
    static func check(_ host: HostConfig, processors: ProcessorSet) throws(EngineError) {
        try checkMemory(host)
        try checkProcessorTime(host, processors: processors)
        if !host.cpusetCPUs.isEmpty {
            guard let wanted = ProcessorSet(parsing: host.cpusetCPUs) else {
                throw invalid("Invalid value \(host.cpusetCPUs) for cpuset cpus")
            }
            guard wanted.isSubset(of: processors) else {
                throw invalid("Requested CPUs are not available - requested \(host.cpusetCPUs), available: \(processors)")
            }
        }
        if host.oomScoreAdj < -1000 || host.oomScoreAdj > 1000 {
            throw invalid("Invalid value \(host.oomScoreAdj), range for oom score adj is [-1000, 1000]")
        }
        if host.shmSize < 0 { throw invalid("SHM size can not be less than 0") }
        _ = try limits(host.ulimits)
    }

    private static func checkMemory(_ host: HostConfig) throws(EngineError) {
        if host.memory != 0 && host.memory < minimumMemoryBytes { throw invalid("Minimum memory limit allowed is 6MB") }
        if host.memory == 0 && host.memorySwap > 0 {
            throw invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
        }
        if host.memory > 0 && host.memorySwap > 0 && host.memorySwap < host.memory {
            throw invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
        }
        if host.memorySwap < -1 { throw invalid("Invalid value \(host.memorySwap), memory swap is a size, 0 or -1") }
    }

    private static func checkProcessorTime(_ host: HostConfig, processors: ProcessorSet) throws(EngineError) {
        if host.cpuShares < 0 { throw invalid("invalid CPU shares (\(host.cpuShares)): value must be a positive integer") }
        if host.nanoCPUs != 0 {
            if host.cpuPeriod != 0 { throw invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set.") }
            if host.cpuQuota != 0 { throw invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set.") }
            let count = processors.count
            guard host.nanoCPUs > 0, host.nanoCPUs <= Int64(count) * 1_000_000_000 else {
                throw invalid("Range of CPUs is from 0.01 to \(count).00, as there are only \(count) CPUs available")
            }
        }
        if host.cpuPeriod != 0 && !(1_000...1_000_000).contains(host.cpuPeriod) {
            throw invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
        }
        if host.cpuQuota > 0 && host.cpuQuota < 1_000 { throw invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)") }
    }

    /// The cgroup's limits.
    /// - Parameter countsSwap: whether the kernel limits swap; without that, memory alone is limited.
    static func resources(_ host: HostConfig, countsSwap: Bool) -> LinuxResources {
        var resources = LinuxResources()
        resources.devices = host.privileged ? DeviceRules.everything : DeviceRules.defaults
        resources.pids = PidsLimit(limit: taskLimit(host))
        if host.memory > 0 {
            var memory = MemoryLimits()
            memory.limitBytes = host.memory
            // Docker's default: as much swap as memory again.
            let swap = host.memorySwap == 0 ? host.memory.multipliedReportingOverflow(by: 2) : (host.memorySwap, false)
            memory.swapBytes = countsSwap ? (swap.1 ? -1 : swap.0) : nil
            resources.memory = memory
        }
        var cpu = CPULimits()
        if host.cpuShares > 0 { cpu.shares = UInt64(host.cpuShares) }
        if host.nanoCPUs > 0 {
            cpu.periodMicroseconds = UInt64(periodMicroseconds)
            cpu.quotaMicroseconds = host.nanoCPUs * periodMicroseconds / 1_000_000_000
        }
        if host.cpuPeriod > 0 { cpu.periodMicroseconds = UInt64(host.cpuPeriod) }
        if host.cpuQuota != 0 { cpu.quotaMicroseconds = host.cpuQuota }
        if !host.cpusetCPUs.isEmpty { cpu.cpus = host.cpusetCPUs }
        if cpu != CPULimits() { resources.cpu = cpu }
        return resources
    }

    /// -1 where there is no limit. 0 is what docker's command line sends when its user says nothing, and so the default.
    static func taskLimit(_ host: HostConfig) -> Int64 {
        switch host.pidsLimit {
        case nil, 0: defaultTaskLimit
        case let limit?: limit > 0 ? limit : -1
        }
    }

    private static let limitNames: Set<String> = [
        "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
        "sigpending", "stack",
    ]

    /// The limits of setrlimit(2).
    static func limits(_ requests: [Ulimit]) throws(EngineError) -> [ResourceLimit] {
        var result: [ResourceLimit] = []
        for request in requests {
            guard limitNames.contains(request.name) else { throw invalid("invalid ulimit type: \(request.name)") }
            guard request.soft >= -1, request.hard >= -1, unsigned(request.soft) <= unsigned(request.hard) else {
                throw invalid("ulimit soft limit must be less than or equal to hard limit: \(request.soft) > \(request.hard)")
            }
            let type = "RLIMIT_\(request.name.uppercased())"
            result.removeAll { $0.type == type }
            result.append(ResourceLimit(type: type, soft: unsigned(request.soft), hard: unsigned(request.hard)))
        }
        return result
    }

    private static func unsigned(_ value: Int64) -> UInt64 { value < 0 ? .max : UInt64(value) }

    private static func invalid(_ message: String) -> EngineError { EngineError(.invalidParameter, message) }
}

/// Numbers of processors in the kernel's list format, `0-3,5`. - Source: cpuset(7), "List format".
struct ProcessorSet: Equatable, Sendable, CustomStringConvertible {
    /// The highest number that a list may name.
    static let maximumNumber = 8191
    private let numbers: Set<Int>
    let description: String

    /// nil for what is no list.
    init?(parsing text: String) {
        var numbers: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first >= 0, first <= last,
                last <= Self.maximumNumber
            else { return nil }
            numbers.formUnion(first...last)
        }
        self.numbers = numbers
        description = text
    }

    var count: Int { numbers.count }

    func isSubset(of other: ProcessorSet) -> Bool { numbers.isSubset(of: other.numbers) }
}
