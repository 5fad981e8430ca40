internal import Glibc
internal import OCISpec

/// Limits in the control files of cgroup v2.
/// - Source: Documentation/admin-guide/cgroup-v2.rst of the kernel.
enum UnifiedPlan {
    static func memory(_ memory: MemoryLimits) throws(CgroupError) -> [CgroupStep] {
        let field = "linux.resources.memory."
        // `kernel` and `kernelTCP` are passed over, as runc passes them over: no kernel has such limits any more.
        if memory.swappiness != nil { throw unsupported(field + "swappiness", "cgroup v2 has no swappiness of a cgroup's own") }
        if memory.disableOOMKiller == true { throw unsupported(field + "disableOOMKiller", "cgroup v2 cannot disable the OOM killer") }
        var steps: [CgroupStep] = []
        func write(_ file: String, _ value: Int64, _ name: String) -> CgroupWrite {
            CgroupWrite(.memory, .v2, "memory.\(file)", [value < 0 ? "max" : "\(value)"], field: field + name)
        }
        if memory.checkBeforeUpdate == true, let bytes = memory.limitBytes, bytes > 0 { steps.append(.requireMemoryUsage(atMost: bytes)) }
        switch (memory.limitBytes ?? 0, memory.swapBytes ?? 0) {
        case (_, -1), (-1, 0):
            // Absent where the kernel has no swap accounting: then there is no limit to lift.
            steps.append(.writeIfThere(write("swap.max", -1, "swap")))
        case (let limit, let swap) where swap > 0:
            guard limit > 0, swap >= limit else {
                throw unsupported(field + "swap", "it is memory and swap together, and needs a limit no larger than itself")
            }
            let alone = write("swap.max", swap - limit, "swap")
            // Nothing to forbid where there is no swap.
            if swap == limit { steps.append(.writeIfThere(alone)) } else { steps.append(.write(alone)) }
        default: break
        }
        if let bytes = memory.limitBytes, bytes != 0 { steps.append(.write(write("max", bytes, "limit"))) }
        if let bytes = memory.reservationBytes, bytes != 0 { steps.append(.write(write("low", bytes, "reservation"))) }
        return steps
    }

    static func cpu(_ cpu: CPULimits) throws(CgroupError) -> [CgroupStep] {
        let field = "linux.resources.cpu."
        let realtime = [
            ("realtimePeriod", cpu.realtimePeriodMicroseconds.map { $0 != 0 }),
            ("realtimeRuntime", cpu.realtimeRuntimeMicroseconds.map { $0 != 0 }),
        ]
        for (name, isSet) in realtime where isSet == true { throw unsupported(field + name, "cgroup v2 has no realtime limits") }
        var steps: [CgroupStep] = []
        func write(_ file: String, _ value: String, _ name: String) -> CgroupWrite {
            CgroupWrite(.cpu, .v2, file, [value], field: field + name)
        }
        if let idle = cpu.idle { steps.append(.write(write("cpu.idle", "\(idle)", "idle"))) }
        if let shares = cpu.shares, shares != 0, cpu.idle != 1 {
            steps.append(.write(write("cpu.weight", "\(weight(shares: shares))", "shares")))
        }
        var together: [CgroupWrite] = []
        let quota = cpu.quotaMicroseconds.flatMap { $0 == 0 ? nil : $0 }
        let period = cpu.periodMicroseconds.flatMap { $0 == 0 ? nil : $0 }
        if quota != nil || period != nil {
            // The file takes both: a period alone means no quota, as in runc. Where a quota is in force `apply` has added it.
            let quotaText = quota.map { $0 < 0 ? "max" : "\($0)" } ?? "max"
            together.append(write("cpu.max", period.map { "\(quotaText) \($0)" } ?? quotaText, quota == nil ? "period" : "quota"))
        }
        if let burst = cpu.burstMicroseconds { together.append(write("cpu.max.burst", "\(burst)", "burst")) }
        // No burst is above the quota.
        steps += together.count > 1 ? [.writeTogether(together)] : together.map { .write($0) }
        return steps
    }

    static func blockIO(_ blockIO: BlockIOLimits) throws(CgroupError) -> [CgroupStep] {
        let field = "linux.resources.blockIO."
        if (blockIO.leafWeight ?? 0) != 0 || blockIO.weightDevice.contains(where: { ($0.leafWeight ?? 0) != 0 }) {
            throw unsupported(field + "leafWeight", "cgroup v2 has no leaf weights")
        }
        var steps: [CgroupStep] = []
        func weight(_ value: UInt16, prefix: String, _ name: String) {
            steps.append(
                .writeFirstThere([
                    CgroupWrite(.io, .v2, "io.bfq.weight", ["\(prefix)\(value)"], field: field + name),
                    CgroupWrite(.io, .v2, "io.weight", ["\(prefix)\(ioWeight(blkioWeight: value))"], field: field + name),
                ]))
        }
        if let value = blockIO.weight, value != 0 { weight(value, prefix: "", "weight") }
        for device in blockIO.weightDevice {
            if let value = device.weight { weight(value, prefix: "\(device.major):\(device.minor) ", "weightDevice") }
        }
        let throttles = [
            ("rbps", blockIO.throttleReadBytes, "throttleReadBpsDevice"), ("wbps", blockIO.throttleWriteBytes, "throttleWriteBpsDevice"),
            ("riops", blockIO.throttleReadOperations, "throttleReadIOPSDevice"),
            ("wiops", blockIO.throttleWriteOperations, "throttleWriteIOPSDevice"),
        ]
        for (key, throttle, name) in throttles where !throttle.isEmpty {
            let values = throttle.map { "\($0.major):\($0.minor) \(key)=\($0.rate == 0 ? "max" : "\($0.rate)")" }
            steps.append(.write(CgroupWrite(.io, .v2, "io.max", values, field: field + name)))
        }
        return steps
    }

    /// Maps v1's shares (2 to 262 144, usually 1024) to v2's weight (1 to 10 000, usually 100) so that the usual values
    /// and the ends meet. - Source: the formula that runc 1.3.2, crun 1.23 and Kubernetes 1.35 agreed on.
    static func weight(shares: UInt64) -> Int {
        if shares <= 2 { return 1 }
        if shares >= 262_144 { return 10_000 }
        let logarithm = log2(Double(shares))
        let exponent = (logarithm * logarithm + 125 * logarithm) / 612.0 - 7.0 / 34.0
        return min(10_000, max(1, Int(pow(10, exponent).rounded(.up))))
    }

    /// Maps blkio's weight (10 to 1000) to io's (1 to 10 000) in a straight line.
    static func ioWeight(blkioWeight: UInt16) -> Int { 1 + (Int(max(10, min(1000, blkioWeight))) - 10) * 9999 / 990 }
}
