internal import Cgroups
internal import JSON
internal import RuntimeCore

extension Verb {
    static let events = Verb(
        "events", "tell when a container runs out of memory and, regularly, what it uses",
        flags: [
            Flag(
                name: "interval", shortName: nil, placeholder: "value",
                help: "how often to tell what is used, such as 500ms or 1m30s (default: 5s)",
                problem: { nanoseconds(ofDuration: $0) == nil ? "parse error" : nil }),
            .toggle("stats", help: "tell what is used now and return"),
        ]
    ) { (invocation) throws(RuntimeError) in
        guard let interval = nanoseconds(ofDuration: invocation.flags.text("interval") ?? "5s"), interval > 0 else {
            throw RuntimeError(.invalidArgument, "duration interval must be greater than 0")
        }
        let (container, id) = (try invocation.container(), invocation.id)
        if invocation.flags.isSet("stats") {
            try output(ContainerEvent.usage(try container.usage()).line(id: id))
            return 0
        }
        try container.watch(intervalNanoseconds: interval) { (event) throws(RuntimeError) in try output(event.line(id: id)) }
        return 0
    }
}

/// Reads a duration as Go writes it: `1h2m3.5s`, `500ms`; nil for what is none. - Source: Go's time.ParseDuration.
func nanoseconds(ofDuration text: String) -> Int64? {
    let units: [(name: String, nanoseconds: Double)] = [
        ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9),
    ]
    var rest = text[...]
    let isNegative = rest.first == "-"
    if isNegative || rest.first == "+" { rest.removeFirst() }
    if rest == "0" { return 0 }
    if rest.isEmpty { return nil }
    var sum = 0.0
    while !rest.isEmpty {
        let digits = rest.prefix { ("0"..."9").contains($0) || $0 == "." }
        rest = rest.dropFirst(digits.count)
        let name = rest.prefix { !(("0"..."9").contains($0) || $0 == ".") }
        rest = rest.dropFirst(name.count)
        guard let number = Double(digits), let unit = units.first(where: { $0.name == name }) else { return nil }
        sum += number * unit.nanoseconds
    }
    return Int64(exactly: (isNegative ? -sum : sum).rounded(.towardZero))
}

extension ContainerEvent {
    /// One line of JSON as runc's `events` writes it. - Source: runc, types/events.go.
    func line(id: String) -> [UInt8] {
        var writer = JSONWriter(escapesAsGo: true)
        writer.object { writer in
            switch self {
            case .outOfMemory:
                writer.member("type", "oom")
                writer.member("id", id)
            case .usage(let usage):
                writer.member("type", "stats")
                writer.member("id", id)
                writer.name("data")
                usage.write(to: &writer)
            }
        }
        return writer.bytes + Array("\n".utf8)
    }
}

extension ContainerUsage {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.name("cpu")
            report.cpu.write(pressure.stalls["cpu"], to: &writer)
            writer.name("cpuset")
            report.cpuset.write(to: &writer)
            writer.name("memory")
            report.memory.write(pressure.stalls["memory"], to: &writer)
            writer.name("pids")
            writer.object { writer in
                writer.member("current", unlessZero: report.pids)
                writer.member("limit", unlessZero: report.pidsLimit)
            }
            writer.name("blkio")
            writer.object { writer in
                writer.member("ioServiceBytesRecursive", unlessEmpty: report.blockBytes) { $1.write(to: &$0) }
                writer.member("ioServicedRecursive", unlessEmpty: report.blockOperations) { $1.write(to: &$0) }
                writer.member("psi", pressure.stalls["io"]) { $1.write(to: &$0) }
            }
            writer.name("hugetlb")
            writer.object { writer in
                for (size, gauge) in report.hugepages.sorted(by: { $0.key < $1.key }) {
                    writer.name(size)
                    writer.object { writer in
                        writer.member("usage", unlessZero: gauge.usage)
                        writer.member("max", unlessZero: gauge.maximum)
                        writer.member("failcnt", gauge.failures)
                    }
                }
            }
            writer.name("intel_rdt")
            writer.object { resourceControl?.write(to: &$0) }
            writer.name("network_interfaces")
            writer.null()
        }
    }
}

extension PressureReport.Stall {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            for (name, line) in [("some", some), ("full", full)] {
                writer.member(name, line) { writer, line in
                    writer.object { writer in
                        for (name, average) in zip(["avg10", "avg60", "avg300"], line.averages) {
                            writer.name(name)
                            // A whole number has no point, as Go writes it.
                            let text = "\(average)".utf8
                            writer.raw(Array(text.dropLast(average == average.rounded() ? 2 : 0)))
                        }
                        writer.member("total", line.totalMicroseconds)
                    }
                }
            }
        }
    }
}

extension ResourceControlUsage {
    fileprivate func write(to writer: inout JSONWriter) {
        for (name, prefix, info) in [("l3_cache", "L3", cacheInfo), ("mem_bw", "MB", bandwidthInfo)] {
            guard let info else { continue }
            writer.name("\(name)_info")
            writer.object { writer in
                for (name, value) in info.sorted(by: { $0.key < $1.key }) {
                    if name == "cbm_mask" { writer.member(name, value) } else { writer.member(name, unlessZero: UInt64(value) ?? 0) }
                }
            }
            writer.member("\(name)_schema_root", rootSchemata.first { $0.hasPrefix(prefix) })
            writer.member("\(name)_schema", schemata.first { $0.hasPrefix(prefix) })
        }
        writer.member("schemata", unlessEmpty: schemata)
        writer.member("mbm_stats", bandwidth) { writer, parts in
            writer.array { writer in
                for part in parts {
                    writer.object { writer in
                        writer.member("mbm_total_bytes", part.totalBytes)
                        writer.member("mbm_local_bytes", part.localBytes)
                    }
                }
            }
        }
        writer.member("cmt_stats", occupancyBytes) { writer, parts in
            writer.array { writer in for bytes in parts { writer.object { $0.member("llc_occupancy", bytes) } } }
        }
    }
}

extension UsageReport.CPU {
    fileprivate func write(_ stall: PressureReport.Stall?, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.name("usage")
            writer.object { writer in
                writer.member("total", unlessZero: total)
                writer.member("percpu", unlessEmpty: each) { $0.integer($1) }
                writer.member("percpu_kernel", unlessEmpty: eachKernel) { $0.integer($1) }
                writer.member("percpu_user", unlessEmpty: eachUser) { $0.integer($1) }
                writer.member("kernel", kernel)
                writer.member("user", user)
            }
            writer.name("throttling")
            writer.object { writer in
                writer.member("periods", unlessZero: periods)
                writer.member("throttledPeriods", unlessZero: throttledPeriods)
                writer.member("throttledTime", unlessZero: throttledTime)
            }
            writer.member("psi", stall) { $1.write(to: &$0) }
        }
    }
}

extension UsageReport.CPUSet {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("cpus", unlessEmpty: cpus) { $0.integer($1) }
            writer.member("cpu_exclusive", flags["cpu_exclusive"] ?? 0)
            writer.member("mems", unlessEmpty: memoryNodes) { $0.integer($1) }
            for name in [
                "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page", "memory_spread_slab", "memory_pressure",
                "sched_load_balance", "sched_relax_domain_level",
            ] { writer.member(name, flags[name] ?? 0) }
        }
    }
}

extension UsageReport.Memory {
    fileprivate func write(_ stall: PressureReport.Stall?, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("cache", unlessZero: cache)
            for (name, gauge) in [("usage", usage), ("swap", swap), ("kernel", kernel), ("kernelTCP", kernelTCP)] {
                writer.name(name)
                writer.object { writer in
                    writer.member("limit", gauge.limit)
                    writer.member("usage", unlessZero: gauge.usage)
                    writer.member("max", unlessZero: gauge.maximum)
                    writer.member("failcnt", gauge.failures)
                }
            }
            writer.member("raw", unlessEmpty: counters) { $0.integer($1) }
            writer.member("psi", stall) { $1.write(to: &$0) }
        }
    }
}

extension UsageReport.BlockOperation {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("major", unlessZero: UInt64(major))
            writer.member("minor", unlessZero: UInt64(minor))
            writer.member("op", kind)
            writer.member("value", unlessZero: value)
        }
    }
}

extension JSONWriter {
    /// runc leaves zeros out of some members.
    fileprivate mutating func member(_ name: String, unlessZero value: UInt64) {
        if value != 0 { member(name, value) }
    }
}
