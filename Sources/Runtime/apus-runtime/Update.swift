internal import CoreTypes
internal import LinuxSyscalls
internal import OCISpec
internal import RuntimeCore
internal import SystemPackage

extension Verb {
    static let update = Verb(
        "update", "change a container's limits",
        flags: [
            .value("resources", "r", help: "file with a linux.resources object, or '-' for standard input; the other options are ignored"),
            .number("blkio-weight", help: "relative weight for block devices, 10 to 1000"),
            .value("cpu-period", help: "length of a CPU period in microseconds; 0 leaves it"),
            .value("cpu-quota", help: "CPU time within a period in microseconds; -1 is unlimited"),
            .value("cpu-burst", help: "CPU time that may be saved up beyond the quota, in microseconds"),
            .value("cpu-share", help: "relative weight for CPUs, 2 to 262144"),
            .value("cpu-rt-period", help: "length of a realtime period in microseconds; 0 leaves it"),
            .value("cpu-rt-runtime", help: "realtime CPU time within a period in microseconds"),
            .value("cpuset-cpus", help: "CPUs to use: 0-3,7"),
            .value("cpuset-mems", help: "memory nodes to use: 0-1"),
            .value("cpu-idle", help: "1 makes the container idle: it runs where nothing else wants to"),
            .value("memory", help: "memory limit; -1 is unlimited. Sizes may end in k, m, g, t"),
            .value("memory-reservation", help: "memory that is not reclaimed before others', or soft limit"),
            .value("memory-swap", help: "limit of memory and swap together; -1 is unlimited"),
            .value("kernel-memory", help: "ignored: the kernel has no such limit any more"),
            .value("kernel-memory-tcp", help: "ignored: the kernel has no such limit any more"),
            .number("pids-limit", help: "most processes and threads; -1 is unlimited"),
            .value("l3-cache-schema", help: "the part of the cache to use, as resctrl has it: L3:0=ff"),
            .value("mem-bw-schema", help: "memory bandwidth, as resctrl has it: MB:0=50"),
        ]
    ) { (invocation) throws(RuntimeError) in
        for name in ["kernel-memory", "kernel-memory-tcp"] where invocation.flags.isSet(name) {
            invocation.journal.warn("--\(name) is ignored: the kernel has no such limit any more")
        }
        let container = try invocation.container()
        let resources =
            if let source = invocation.flags.value("resources") { try LinuxResources(from: source) } else {
                try LinuxResources(invocation.flags)
            }
        var schemata = IntelRdt()
        schemata.l3CacheSchema = invocation.flags.value("l3-cache-schema")
        schemata.memBwSchema = invocation.flags.value("mem-bw-schema")
        try container.update(resources, schemata)
        return 0
    }
}

extension LinuxResources {
    /// More than any document of limits.
    private static let documentLimitBytes = 1 << 20

    /// Reads a document: a path, or `-` for standard input.
    fileprivate init(from source: String) throws(RuntimeError) {
        let bytes: [UInt8]
        do throws(SyscallError) {
            bytes =
                source == "-"
                ? try readAll(0, limitBytes: Self.documentLimitBytes, subject: "standard input")
                : try readFile(
                    FilePath(source), limitBytes: Self.documentLimitBytes, timeoutNanoseconds: Bundle.documentTimeoutNanoseconds)
        } catch { throw RuntimeError(doing: "reading the resources", error) }
        do throws(SpecProblem) { self = try LinuxResources.decode(bytes) } catch {
            throw RuntimeError(doing: source == "-" ? "standard input" : source, error)
        }
    }

    /// What the flags ask for. A limit that none names stays as it is; so does one that is 0, as with runc.
    fileprivate init(_ flags: ParsedFlags) throws(RuntimeError) {
        self.init()
        var memory = MemoryLimits()
        memory.limitBytes = try flags.size("memory")
        memory.reservationBytes = try flags.size("memory-reservation")
        memory.swapBytes = try flags.size("memory-swap")
        var cpu = CPULimits()
        cpu.periodMicroseconds = try flags.number("cpu-period")
        cpu.quotaMicroseconds = try flags.number("cpu-quota")
        cpu.burstMicroseconds = try flags.number("cpu-burst")
        cpu.shares = try flags.number("cpu-share")
        cpu.realtimePeriodMicroseconds = try flags.number("cpu-rt-period")
        cpu.realtimeRuntimeMicroseconds = try flags.number("cpu-rt-runtime")
        cpu.cpus = flags.value("cpuset-cpus")
        cpu.mems = flags.value("cpuset-mems")
        cpu.idle = try flags.number("cpu-idle")
        self.memory = memory
        self.cpu = cpu
        pids = PidsLimit(limit: try flags.number("pids-limit"))
        blockIO = BlockIOLimits()
        blockIO?.weight = try flags.number("blkio-weight")
        do throws(SpecProblem) { try validate(at: "", isUpdate: true) } catch { throw RuntimeError(.invalidArgument, error.description) }
    }
}

extension ParsedFlags {
    /// The last value as a number; nil without one.
    fileprivate func number<Number: FixedWidthInteger>(_ name: String) throws(RuntimeError) -> Number? {
        guard let text = value(name), !text.isEmpty else { return nil }
        guard let number = Number(text), text.first != "+" else {
            throw RuntimeError(.invalidArgument, "invalid value for \(name): parsing \(text.debugDescription): invalid syntax")
        }
        return number
    }

    /// The last value as a number of bytes, `64m`; -1 stays -1.
    fileprivate func size(_ name: String) throws(RuntimeError) -> Int64? {
        guard let text = value(name), !text.isEmpty else { return nil }
        if text == "-1" { return -1 }
        do { return Int64(try ByteCount(parsing: text).bytes) } catch {
            throw RuntimeError(.invalidArgument, "invalid value for \(name): \(error)")
        }
    }
}
