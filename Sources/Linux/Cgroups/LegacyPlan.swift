internal import OCISpec

/// MIN_SHARES and MAX_SHARES of the kernel's scheduler.
private let knownShares: ClosedRange<UInt64> = 2...262_144

/// Limits in the control files of cgroup v1.
/// - Source: Documentation/admin-guide/cgroup-v1 of the kernel.
enum LegacyPlan {
    static func memory(_ memory: MemoryLimits) -> [CgroupStep] {
        var steps: [CgroupStep] = []
        func write(_ file: String, _ value: Int64, _ name: String) -> CgroupWrite {
            CgroupWrite(.memory, .v1, "memory.\(file)", ["\(value)"], field: "linux.resources.memory.\(name)")
        }
        let limit = memory.limitBytes.flatMap { $0 == 0 ? nil : write("limit_in_bytes", $0, "limit") }
        let swap = memory.swapBytes.flatMap { $0 == 0 ? nil : write("memsw.limit_in_bytes", $0, "swap") }
        if memory.checkBeforeUpdate == true, let bytes = memory.limitBytes, bytes > 0 { steps.append(.requireMemoryUsage(atMost: bytes)) }
        switch (limit, swap) {
        case (let limit?, let swap?) where memory.swapBytes == -1:
            // First, for the limit may rise above the old sum; absent where the kernel does not account swap.
            steps += [.writeIfThere(swap), .write(limit)]
        case (let limit?, let swap?): steps.append(.writePair(limit, swap))
        case (let limit?, nil) where memory.limitBytes == -1:
            // "Unlimited" leaves no sense in a limit for the sum, which would hold the memory down.
            steps += [.writeIfThere(write("memsw.limit_in_bytes", -1, "limit")), .write(limit)]
        case (let limit?, nil): steps.append(.write(limit))
        case (nil, let swap?): steps.append(memory.swapBytes == -1 ? .writeIfThere(swap) : .write(swap))
        case (nil, nil): break
        }
        if let bytes = memory.kernelBytes, bytes != 0 { steps.append(.write(write("kmem.limit_in_bytes", bytes, "kernel"))) }
        if let bytes = memory.kernelTCPBytes, bytes != 0 { steps.append(.write(write("kmem.tcp.limit_in_bytes", bytes, "kernelTCP"))) }
        if let bytes = memory.reservationBytes, bytes != 0 { steps.append(.write(write("soft_limit_in_bytes", bytes, "reservation"))) }
        if let swappiness = memory.swappiness { steps.append(.write(write("swappiness", Int64(swappiness), "swappiness"))) }
        if let disabled = memory.disableOOMKiller {
            let change = write("oom_control", disabled ? 1 : 0, "disableOOMKiller")
            if disabled { steps.append(.write(change)) } else { steps.append(.writeIfThere(change)) }
        }
        return steps
    }

    static func cpu(_ cpu: CPULimits) throws(CgroupError) -> [CgroupStep] {
        var steps: [CgroupStep] = []
        func write(_ file: String, _ value: some BinaryInteger, _ name: String) -> CgroupWrite {
            CgroupWrite(.cpu, .v1, "cpu.\(file)", ["\(value)"], field: "linux.resources.cpu.\(name)")
        }
        func pair(_ first: CgroupWrite?, _ second: CgroupWrite?) {
            switch (first, second) {
            case (let first?, let second?): steps.append(.writePair(first, second))
            case (let only?, nil), (nil, let only?): steps.append(.write(only))
            case (nil, nil): break
            }
        }
        // An idle group has no shares.
        if let idle = cpu.idle { steps.append(.write(write("idle", idle, "idle"))) }
        if let shares = cpu.shares, shares != 0, cpu.idle != 1 {
            // The kernel makes the nearest that it has of any other number, and says nothing.
            guard knownShares.contains(shares) else {
                let problem = "must be from \(knownShares.lowerBound) to \(knownShares.upperBound), found \(shares)"
                throw unsupported("linux.resources.cpu.shares", problem)
            }
            steps.append(.write(write("shares", shares, "shares")))
        }
        let period = cpu.periodMicroseconds.flatMap { $0 == 0 ? nil : write("cfs_period_us", $0, "period") }
        let quota = cpu.quotaMicroseconds.flatMap { $0 == 0 ? nil : write("cfs_quota_us", max($0, -1), "quota") }
        let burst = cpu.burstMicroseconds.map { write("cfs_burst_us", $0, "burst") }
        if let burst, let quota {
            // No burst is above the quota.
            steps.append(.writeTogether([period, quota, burst].compactMap { $0 }))
        } else {
            pair(period, quota)
            if let burst { steps.append(.write(burst)) }
        }
        pair(
            cpu.realtimePeriodMicroseconds.flatMap { $0 == 0 ? nil : write("rt_period_us", $0, "realtimePeriod") },
            cpu.realtimeRuntimeMicroseconds.flatMap { $0 == 0 ? nil : write("rt_runtime_us", $0, "realtimeRuntime") })
        return steps
    }

    static func blockIO(_ blockIO: BlockIOLimits) -> [CgroupStep] {
        let field = "linux.resources.blockIO."
        var steps: [CgroupStep] = []
        /// BFQ's file where that scheduler is there, CFQ's on older kernels.
        func weight(_ file: String, _ value: String, _ name: String) -> CgroupStep {
            .writeFirstThere([
                CgroupWrite(.blkio, .v1, "blkio.bfq.\(file)", [value], field: field + name),
                CgroupWrite(.blkio, .v1, "blkio.\(file)", [value], field: field + name),
            ])
        }
        if let value = blockIO.weight, value != 0 { steps.append(weight("weight", "\(value)", "weight")) }
        if let value = blockIO.leafWeight, value != 0 {
            steps.append(.write(CgroupWrite(.blkio, .v1, "blkio.leaf_weight", ["\(value)"], field: field + "leafWeight")))
        }
        for device in blockIO.weightDevice {
            let number = "\(device.major):\(device.minor)"
            if let value = device.weight { steps.append(weight("weight_device", "\(number) \(value)", "weightDevice")) }
            if let value = device.leafWeight {
                steps.append(
                    .write(
                        CgroupWrite(.blkio, .v1, "blkio.leaf_weight_device", ["\(number) \(value)"], field: field + "weightDevice")))
            }
        }
        let throttles = [
            ("read_bps_device", blockIO.throttleReadBytes, "throttleReadBpsDevice"),
            ("write_bps_device", blockIO.throttleWriteBytes, "throttleWriteBpsDevice"),
            ("read_iops_device", blockIO.throttleReadOperations, "throttleReadIOPSDevice"),
            ("write_iops_device", blockIO.throttleWriteOperations, "throttleWriteIOPSDevice"),
        ]
        for (file, throttle, name) in throttles where !throttle.isEmpty {
            let values = throttle.map { "\($0.major):\($0.minor) \($0.rate)" }
            steps.append(.write(CgroupWrite(.blkio, .v1, "blkio.throttle.\(file)", values, field: field + name)))
        }
        return steps
    }
}
