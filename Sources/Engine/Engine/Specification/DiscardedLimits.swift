internal import EngineAPI

/// Limits where there is no cgroup to set them in: taken away with a warning, as Docker does for an ordinary user's containers.
enum DiscardedLimits {
    /// Clears what asks for a cgroup and is no block device's, nor a part of a memory limit that `ResourceChecks` knows itself.
    /// - Returns: warnings, in Docker's words.
    /// - Throws: `.invalidParameter` for a number of processors, which Docker discards in no case.
    static func discard(from host: inout HostConfig) throws(EngineError) -> [String] {
        if host.nanoCPUs > 0 {
            throw EngineError(
                .invalidParameter,
                "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted")
        }
        var warnings: [String] = []
        func clear<Value: Equatable>(_ field: WritableKeyPath<HostConfig, Value>, _ nothing: Value, _ what: String, _ discarded: String) {
            guard host[keyPath: field] != nothing else { return }
            host[keyPath: field] = nothing
            warnings.append("Your kernel does not support \(what) or the cgroup is not mounted. \(discarded) discarded.")
        }
        clear(\.memory, 0, "memory limit capabilities", "Limitation")
        host.memorySwap = 0
        if host.pidsLimit == 0 || host.pidsLimit == -1 { host.pidsLimit = nil }
        clear(\.pidsLimit, nil, "PIDs limit capabilities", "PIDs limit")
        clear(\.cpuShares, 0, "CPU shares", "Shares")
        clear(\.cpuPeriod, 0, "CPU CFS scheduler", "Period")
        clear(\.cpuQuota, 0, "CPU CFS scheduler", "Quota")
        if !host.cpusetCPUs.isEmpty || !host.cpusetMems.isEmpty {
            clear(\.cpusetCPUs, "", "cpuset", "Cpuset")
            clear(\.cpusetMems, "", "cpuset", "Cpuset")
        }
        return Array(warnings.reduce(into: [String]()) { if $0.last != $1 { $0.append($1) } })
    }
}
