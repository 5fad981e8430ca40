internal import EngineAPI

/// `HostConfig`'s limits, looked at as Docker looks at them: what no kernel could do is refused, what this one cannot is taken away.
enum ResourceChecks {
    /// The least memory that a container may have: 6 MiB.
    static let minimumMemoryBytes: Int64 = 6 << 20

    /// Refuses what makes no sense, and clears the limits that this kernel does not know.
    /// - Parameter isUpdate: the limits are changes of a container's, which may have a memory limit already.
    /// - Returns: warnings, in Docker's words.
    /// - Throws: `.invalidParameter` in Docker's words.
    static func adjust(_ host: inout HostConfig, facts: HostFacts, isUpdate: Bool = false) throws(EngineError) -> [String] {
        // -1 is how command lines say nothing.
        if host.memorySwappiness == -1 { host.memorySwappiness = nil }
        var warnings = facts.hasCgroups ? [] : try DiscardedLimits.discard(from: &host)
        warnings += try adjustMemory(&host, facts: facts, isUpdate: isUpdate)
        warnings += try adjustProcessorTime(&host, facts: facts)
        try checkSets(host, facts: facts)
        warnings += try adjustBlockIO(&host, facts.limits)
        if host.oomScoreAdj < -1000 || host.oomScoreAdj > 1000 {
            throw invalid("Invalid value \(host.oomScoreAdj), range for oom score adj is [-1000, 1000]")
        }
        if host.shmSize < 0 { throw invalid("SHM size can not be less than 0") }
        _ = try ResourceRequests.limits(host.ulimits)
        return warnings
    }

    // MARK: - Memory

    private static func adjustMemory(_ host: inout HostConfig, facts: HostFacts, isUpdate: Bool) throws(EngineError) -> [String] {
        var warnings: [String] = []
        if host.memory != 0 && host.memory < minimumMemoryBytes { throw invalid("Minimum memory limit allowed is 6MB") }
        if host.memory > 0 && host.memorySwap != -1 && !facts.countsSwap {
            warnings.append(Self.missing("swap limit", consequence: "Memory limited without swap"))
            host.memorySwap = -1
        }
        if host.memory > 0 && host.memorySwap > 0 && host.memorySwap < host.memory {
            throw invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
        }
        if host.memory == 0 && host.memorySwap > 0 && !isUpdate {
            throw invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
        }
        if let swappiness = host.memorySwappiness {
            if !facts.limits.has(.swappiness) {
                warnings.append(Self.missing("memory swappiness", consequence: "Memory swappiness discarded"))
                host.memorySwappiness = nil
            } else if !(0...100).contains(swappiness) {
                throw invalid("Invalid value: \(swappiness), valid memory swappiness range is 0-100")
            }
        }
        warnings += try adjustReservation(&host, facts.limits)
        warnings += try adjustKernelMemory(&host, facts.limits)
        if host.oomKillDisable != nil && !facts.limits.has(.oomKillDisable) {
            if host.oomKillDisable == true { warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.") }
            host.oomKillDisable = nil
        }
        if host.oomKillDisable == true && host.memory == 0 {
            warnings.append(
                "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources."
            )
        }
        return warnings
    }

    private static func adjustReservation(_ host: inout HostConfig, _ limits: KernelLimits) throws(EngineError) -> [String] {
        guard host.memoryReservation > 0 else { return [] }
        guard limits.has(.reservation) else {
            host.memoryReservation = 0
            return [missing("memory soft limit", consequence: "Limitation discarded")]
        }
        guard host.memoryReservation >= minimumMemoryBytes else { throw invalid("Minimum memory reservation allowed is 6MB") }
        if host.memory > 0 && host.memory < host.memoryReservation {
            throw invalid("Minimum memory limit can not be less than memory reservation limit, see usage")
        }
        return []
    }

    private static func adjustKernelMemory(_ host: inout HostConfig, _ limits: KernelLimits) throws(EngineError) -> [String] {
        var warnings: [String] = []
        if let bytes = host.kernelMemory, bytes != 0 {
            if bytes < minimumMemoryBytes && limits.has(.kernelMemory) { throw invalid("Minimum kernel memory limit allowed is 6MB") }
            // The file is there where there is v1 still, and takes nothing since Linux 5.16.
            warnings.append(missing("kernel memory limit", consequence: "Limitation discarded"))
            host.kernelMemory = 0
        }
        if let bytes = host.kernelMemoryTCP, bytes != 0 {
            if !limits.has(.kernelMemoryTCP) {
                warnings.append(missing("kernel memory TCP limit", consequence: "Limitation discarded"))
                host.kernelMemoryTCP = 0
            } else if bytes < 0 {
                throw invalid("Invalid value \(bytes), kernel memory TCP is a size")
            }
        }
        return warnings
    }

    // MARK: - Processors

    private static func adjustProcessorTime(_ host: inout HostConfig, facts: HostFacts) throws(EngineError) -> [String] {
        if host.cpuShares < 0 { throw invalid("invalid CPU shares (\(host.cpuShares)): value must be a positive integer") }
        if host.nanoCPUs != 0 {
            if host.cpuPeriod != 0 { throw invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set.") }
            if host.cpuQuota != 0 { throw invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set.") }
            let count = facts.processors.count
            guard host.nanoCPUs > 0, host.nanoCPUs <= Int64(count) * 1_000_000_000 else {
                throw invalid("Range of CPUs is from 0.01 to \(count).00, as there are only \(count) CPUs available")
            }
        }
        if host.cpuPeriod != 0 && !(1_000...1_000_000).contains(host.cpuPeriod) {
            throw invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
        }
        if host.cpuQuota > 0 && host.cpuQuota < 1_000 { throw invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)") }
        try checkRealtime(host, facts.limits)
        guard host.cpuPercent > 0 else { return [] }
        host.cpuPercent = 0
        return ["linux does not support CPU percent. Percent discarded."]
    }

    private static func checkRealtime(_ host: HostConfig, _ limits: KernelLimits) throws(EngineError) {
        let (period, runtime) = (host.cpuRealtimePeriod, host.cpuRealtimeRuntime)
        guard period != 0 || runtime != 0 else { return }
        guard limits.has(.realtime) else { throw invalid("Your kernel does not support CPU real-time scheduler") }
        if period < 0 || runtime < 0 { throw invalid("cpu real-time period and runtime cannot be negative") }
        if period != 0 && runtime > period { throw invalid("cpu real-time runtime cannot be higher than cpu real-time period") }
    }

    private static func checkSets(_ host: HostConfig, facts: HostFacts) throws(EngineError) {
        if !host.cpusetCPUs.isEmpty {
            guard let wanted = ProcessorSet(parsing: host.cpusetCPUs) else {
                throw invalid("Invalid value \(host.cpusetCPUs) for cpuset cpus: invalid format: \(host.cpusetCPUs)")
            }
            guard wanted.isSubset(of: facts.processors) else {
                throw invalid("Requested CPUs are not available - requested \(host.cpusetCPUs), available: \(facts.processors)")
            }
        }
        if !host.cpusetMems.isEmpty {
            guard let wanted = ProcessorSet(parsing: host.cpusetMems) else {
                throw invalid("Invalid value \(host.cpusetMems) for cpuset mems: invalid format: \(host.cpusetMems)")
            }
            let available = facts.limits.memoryNodes
            guard wanted.isSubset(of: available) else {
                throw invalid("Requested memory nodes are not available - requested \(host.cpusetMems), available: \(available)")
            }
        }
    }

    // MARK: - Block devices

    private static func adjustBlockIO(_ host: inout HostConfig, _ limits: KernelLimits) throws(EngineError) -> [String] {
        var warnings: [String] = []
        if host.blkioWeight != 0 && !limits.has(.weight) {
            warnings.append(
                "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.")
            host.blkioWeight = 0
        }
        guard host.blkioWeight == 0 || (10...1000).contains(host.blkioWeight) else {
            throw invalid("Range of blkio weight is from 10 to 1000")
        }
        if host.ioMaximumBandwidth != 0 || host.ioMaximumIOps != 0 {
            throw invalid("Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps")
        }
        if !host.blkioWeightDevice.isEmpty && !limits.has(.weightDevice) {
            warnings.append("Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.")
            host.blkioWeightDevice = []
        }
        if let device = host.blkioWeightDevice.first(where: { $0.weight != 0 && !(10...1000).contains($0.weight) }) {
            throw invalid("Range of blkio weight is from 10 to 1000: \(device.path) has \(device.weight)")
        }
        func throttle(_ devices: inout [ThrottleDevice], _ one: KernelLimits.Switches, _ unit: String, _ direction: String, _ what: String)
        {
            guard !devices.isEmpty, !limits.has(one) else { return }
            devices = []
            warnings.append(
                "Your kernel does not support \(unit) Block \(what)\(direction) limit or the cgroup is not mounted. "
                    + "Block I/O \(unit) \(direction) limit discarded.")
        }
        throttle(&host.blkioDeviceReadBps, .readBytes, "BPS", "read", "I/O ")
        throttle(&host.blkioDeviceWriteBps, .writeBytes, "BPS", "write", "I/O ")
        throttle(&host.blkioDeviceReadIOps, .readOperations, "IOPS", "read", "")
        throttle(&host.blkioDeviceWriteIOps, .writeOperations, "IOPS", "write", "I/O ")
        return warnings
    }

    // MARK: - Words

    private static func missing(_ what: String, consequence: String) -> String {
        "Your kernel does not support \(what) capabilities or the cgroup is not mounted. \(consequence)."
    }

    private static func invalid(_ message: String) -> EngineError { EngineError(.invalidParameter, message) }
}
