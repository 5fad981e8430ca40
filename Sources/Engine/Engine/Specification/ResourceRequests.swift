internal import EngineAPI
internal import LinuxSyscalls
internal import OCISpec

/// `HostConfig`'s limits, which `ResourceChecks` has looked at, turned into the runtime's.
enum ResourceRequests {
    /// Tasks of a container whose request says nothing.
    static let defaultTaskLimit: Int64 = 2048
    /// The same of one with the strict profile.
    static let strictTaskLimit: Int64 = 1024
    /// The scheduling period that `NanoCpus` is turned into.
    static let periodMicroseconds: Int64 = 100_000

    /// The cgroup's limits.
    /// - Parameter facts: where the kernel limits no swap, memory alone is limited; without cgroups nothing is.
    /// - Parameter blockDevices: the numbers of the devices that limits name by their paths.
    static func resources(
        _ host: HostConfig, facts: HostFacts, blockDevices: [String: DeviceNumber] = [:]
    ) throws(EngineError) -> LinuxResources {
        var resources = LinuxResources()
        resources.devices = host.privileged ? DeviceRules.everything : DeviceRules.defaults
        guard facts.hasCgroups else { return resources }
        resources.pids = PidsLimit(limit: try taskLimit(host))
        let memory = memory(host, countsSwap: facts.countsSwap)
        if memory != MemoryLimits() { resources.memory = memory }
        let cpu = cpu(host)
        if cpu != CPULimits() { resources.cpu = cpu }
        let blockIO = blockIO(host, numbers: blockDevices)
        if blockIO != BlockIOLimits() { resources.blockIO = blockIO }
        return resources
    }

    private static func memory(_ host: HostConfig, countsSwap: Bool) -> MemoryLimits {
        var memory = MemoryLimits()
        if host.memory > 0 {
            memory.limitBytes = host.memory
            // Docker's default: as much swap as memory again. What is less than nothing is no limit.
            let swap = host.memorySwap == 0 ? host.memory.multipliedReportingOverflow(by: 2) : (max(-1, host.memorySwap), false)
            memory.swapBytes = countsSwap ? (swap.1 ? -1 : swap.0) : nil
        }
        if host.memoryReservation > 0 { memory.reservationBytes = host.memoryReservation }
        memory.swappiness = host.memorySwappiness.flatMap { UInt64(exactly: $0) }
        if let kernel = host.kernelMemoryTCP, kernel > 0 { memory.kernelTCPBytes = kernel }
        // `kernelMemory` goes no further: Linux 5.16 and newer take no such limit, and runc has left it out since 1.0.
        if host.oomKillDisable == true { memory.disableOOMKiller = true }
        return memory
    }

    private static func cpu(_ host: HostConfig) -> CPULimits {
        var cpu = CPULimits()
        if host.cpuShares > 0 { cpu.shares = UInt64(host.cpuShares) }
        if host.nanoCPUs > 0 {
            cpu.periodMicroseconds = UInt64(periodMicroseconds)
            // In this order, the product of the largest request fits.
            cpu.quotaMicroseconds = host.nanoCPUs / (1_000_000_000 / periodMicroseconds)
        }
        if host.cpuPeriod > 0 { cpu.periodMicroseconds = UInt64(host.cpuPeriod) }
        if host.cpuQuota != 0 { cpu.quotaMicroseconds = host.cpuQuota }
        if host.cpuRealtimePeriod > 0 { cpu.realtimePeriodMicroseconds = UInt64(host.cpuRealtimePeriod) }
        if host.cpuRealtimeRuntime > 0 { cpu.realtimeRuntimeMicroseconds = host.cpuRealtimeRuntime }
        if !host.cpusetCPUs.isEmpty { cpu.cpus = host.cpusetCPUs }
        if !host.cpusetMems.isEmpty { cpu.mems = host.cpusetMems }
        return cpu
    }

    private static func blockIO(_ host: HostConfig, numbers: [String: DeviceNumber]) -> BlockIOLimits {
        func throttles(_ devices: [ThrottleDevice]) -> [BlockIOLimits.Throttle] {
            devices.compactMap { device in
                numbers[device.path].map { BlockIOLimits.Throttle(major: Int64($0.major), minor: Int64($0.minor), rate: device.rate) }
            }
        }
        var blockIO = BlockIOLimits()
        if host.blkioWeight > 0 { blockIO.weight = UInt16(exactly: host.blkioWeight) }
        blockIO.weightDevice = host.blkioWeightDevice.compactMap { device in
            numbers[device.path].map {
                BlockIOLimits.DeviceWeight(major: Int64($0.major), minor: Int64($0.minor), weight: UInt16(exactly: device.weight))
            }
        }
        blockIO.throttleReadBytes = throttles(host.blkioDeviceReadBps)
        blockIO.throttleWriteBytes = throttles(host.blkioDeviceWriteBps)
        blockIO.throttleReadOperations = throttles(host.blkioDeviceReadIOps)
        blockIO.throttleWriteOperations = throttles(host.blkioDeviceWriteIOps)
        return blockIO
    }

    /// The devices that limits name.
    static func blockDevicePaths(_ host: HostConfig) -> Set<String> {
        Set(
            host.blkioWeightDevice.map(\.path)
                + [host.blkioDeviceReadBps, host.blkioDeviceWriteBps, host.blkioDeviceReadIOps, host.blkioDeviceWriteIOps]
                .flatMap { $0.map(\.path) })
    }

    /// -1 where there is no limit. 0 is what docker's command line sends when its user says nothing, and so the default.
    static func taskLimit(_ host: HostConfig) throws(EngineError) -> Int64 {
        switch host.pidsLimit {
        case nil, 0: try SecurityProfile(host) == .strict ? strictTaskLimit : defaultTaskLimit
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

/// Numbers of processors, or of memory nodes, in the kernel's list format, `0-3,5`. - Source: cpuset(7), "List format".
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
