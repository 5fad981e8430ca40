internal import Cgroups
internal import EngineAPI

/// Numbers of the kernel in Docker's documents. Pure.
extension ContainerStatistics {
    /// Shows the numbers of a cgroup.
    /// - Parameters:
    ///   - isUnified: whether all are of cgroup v2, whose shape differs: no list by processor, no largest use, other names of operations.
    ///   - machineMemoryBytes: the limit of a container that has none.
    mutating func show(_ usage: UsageReport, _ pressure: PressureReport, isUnified: Bool, machineMemoryBytes: UInt64) {
        cpu.usage.total = usage.cpu.total
        cpu.usage.kernel = usage.cpu.kernel
        cpu.usage.user = usage.cpu.user
        cpu.usage.each = usage.cpu.each
        cpu.throttling.periods = usage.cpu.periods
        cpu.throttling.throttledPeriods = usage.cpu.throttledPeriods
        cpu.throttling.throttledNanoseconds = usage.cpu.throttledTime
        pids.current = usage.pids
        pids.limit = isUnified && usage.pidsLimit == 0 ? .max : usage.pidsLimit
        memory.usage = usage.memory.usage.usage
        memory.maximumUsage = isUnified ? 0 : usage.memory.usage.maximum
        memory.failures = isUnified ? pressure.outOfMemory ?? 0 : usage.memory.usage.failures
        memory.counters = usage.memory.counters
        let limit = usage.memory.usage.limit
        memory.limit = machineMemoryBytes > 0 && limit > machineMemoryBytes ? machineMemoryBytes : limit
        let entries = { (operations: [UsageReport.BlockOperation]) in operations.map { BlockIOEntry($0, isUnified: isUnified) } }
        blockIO.ioServiceBytes = isUnified ? entries(usage.blockBytes.filter { $0.kind != "Discard" }) : entries(usage.blockBytes)
        blockIO.ioServiced = isUnified ? nil : entries(usage.blockOperations)
        more = FurtherStatistics(pressure)
    }
}

extension BlockIOEntry {
    init(_ operation: UsageReport.BlockOperation, isUnified: Bool) {
        self.init()
        major = UInt64(operation.major)
        minor = UInt64(operation.minor)
        self.operation = isUnified ? operation.kind.lowercased() : operation.kind
        value = operation.value
    }
}

extension FurtherStatistics {
    init(_ report: PressureReport) {
        self.init()
        memoryPeak = report.memoryPeakBytes
        outOfMemory = report.outOfMemory
        outOfMemoryKills = report.outOfMemoryKills
        pressure = report.stalls.mapValues { stall in
            var document = PressureStatistics()
            document.some = stall.some.map(PressureLine.init)
            document.full = stall.full.map(PressureLine.init)
            return document
        }
    }
}

extension PressureLine {
    init(_ line: PressureReport.Line) {
        self.init()
        average10 = line.averages[0]
        average60 = line.averages[1]
        average300 = line.averages[2]
        total = line.totalMicroseconds
    }
}

extension NetworkStatistics {
    /// Interfaces of a network namespace, loopback left out: two lines of headings, then `name: numbers`. - Source: proc_pid_net(5).
    static func interfaces(_ text: String) -> [String: NetworkStatistics] {
        var interfaces: [String: NetworkStatistics] = [:]
        for line in text.split(separator: "\n").dropFirst(2) {
            guard let colon = line.lastIndex(of: ":") else { continue }
            let name = String(line[..<colon]).trimmed
            let numbers = line[line.index(after: colon)...].split(separator: " ").compactMap { UInt64($0) }
            guard numbers.count >= 12, name != "lo" else { continue }
            var statistics = NetworkStatistics()
            statistics.receivedBytes = numbers[0]
            statistics.receivedPackets = numbers[1]
            statistics.receiveErrors = numbers[2]
            statistics.receiveDropped = numbers[3]
            statistics.sentBytes = numbers[8]
            statistics.sentPackets = numbers[9]
            statistics.sendErrors = numbers[10]
            statistics.sendDropped = numbers[11]
            interfaces[name] = statistics
        }
        return interfaces
    }
}
