internal import LinuxSyscalls

/// How hard it is for a container to get what it wants, where the kernel tells.
package struct PressureReport: Equatable, Sendable {
    /// One line of a pressure file. - Source: Documentation/accounting/psi.rst.
    package struct Line: Equatable, Sendable {
        /// Per cent of the last 10, 60 and 300 seconds.
        package var averages: [Double]
        package var totalMicroseconds: UInt64
    }
    /// Waiting for one resource.
    package struct Stall: Equatable, Sendable {
        /// While some task waited.
        package var some: Line?
        /// While all tasks waited.
        package var full: Line?
    }

    /// By resource: `cpu`, `memory`, `io`.
    package var stalls: [String: Stall] = [:]
    /// The most memory so far, in bytes.
    package var memoryPeakBytes: UInt64?
    /// How often memory ran out; v2 only.
    package var outOfMemory: UInt64?
    /// Processes that were killed for want of memory.
    package var outOfMemoryKills: UInt64?

    package init() {}
}

extension Cgroup {
    /// Reads what the kernel tells of waiting. Pressure is counted by v2, in a hybrid layout too.
    package func pressureReport() throws(CgroupError) -> PressureReport {
        try doing("read the pressure on cgroup \(record.places.first?.directory ?? "")") { () throws(SyscallError) in
            var report = PressureReport()
            for resource in ["cpu", "memory", "io"] {
                report.stalls[resource] = try unifiedLeaf?.readIfThere("\(resource).pressure").flatMap(pressureStall)
            }
            if let leaf = legacyLeaf(.memory) {
                report.memoryPeakBytes = try leaf.readIfThere("memory.max_usage_in_bytes").flatMap { UInt64($0) }
                report.outOfMemoryKills = flatValues(try leaf.readIfThere("memory.oom_control") ?? "")["oom_kill"]
            } else if let leaf = unifiedLeaf {
                report.memoryPeakBytes = try leaf.readIfThere("memory.peak").flatMap { UInt64($0) }
                let events = flatValues(try leaf.readIfThere("memory.events") ?? "")
                report.outOfMemory = events["oom"]
                report.outOfMemoryKills = events["oom_kill"]
            }
            return report
        }
    }
}

/// Reads lines of `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`; nil where none is.
func pressureStall(_ text: String) -> PressureReport.Stall? {
    var stall = PressureReport.Stall()
    for line in text.split(separator: "\n") {
        let words = line.split(separator: " ")
        let values = words.dropFirst().map { $0.drop { $0 != "=" }.dropFirst() }
        guard values.count == 4, let total = UInt64(values[3]) else { continue }
        let averages = values.prefix(3).compactMap { Double($0) }
        guard averages.count == 3 else { continue }
        let parsed = PressureReport.Line(averages: averages, totalMicroseconds: total)
        if words[0] == "some" { stall.some = parsed } else if words[0] == "full" { stall.full = parsed }
    }
    return stall == PressureReport.Stall() ? nil : stall
}
