// Rows: attacks
import Cgroups
import CoreTypes
import JSON
import OCISpec
import Testing

private let legacy = CgroupPlanner(mode: .hybrid, legacyControllers: [.memory, .cpu, .cpuacct, .cpuset, .pids, .blkio, .devices, .freezer])
private let unified = CgroupPlanner(mode: .unified, legacyControllers: [])

/// `file=value` for each write, `?` behind one that may be missing, `|` between alternatives, `&` within a pair.
private func text(_ steps: [CgroupStep]) -> [String] {
    func text(_ write: CgroupWrite) -> String { "\(write.file)=\(write.values.joined(separator: ","))" }
    return steps.map { step in
        switch step {
        case .write(let write): text(write)
        case .writeIfThere(let write): text(write) + "?"
        case .writeFirstThere(let writes): writes.map(text).joined(separator: "|")
        case .writePair(let first, let second): "\(text(first))&\(text(second))"
        case .writeTogether(let writes): writes.map { text($0) }.joined(separator: "&")
        case .attachDeviceProgram(let rules): "program of \(rules.count) rules"
        case .requireMemoryUsage(let limit): "usage<=\(limit)"
        }
    }
}

private func resources(_ change: (inout LinuxResources) -> Void) -> LinuxResources {
    var resources = LinuxResources()
    change(&resources)
    return resources
}

@Suite("Cgroup plans")
struct CgroupPlanTests {
    private func memory(_ limit: Int64?, _ swap: Int64? = nil, _ change: (inout MemoryLimits) -> Void = { _ in }) -> LinuxResources {
        var memory = MemoryLimits()
        memory.limitBytes = limit
        memory.swapBytes = swap
        change(&memory)
        return resources { $0.memory = memory }
    }

    @Test("memory and swap are written in the order that v1 takes, and converted for v2")
    func memoryLimits() throws {
        #expect(try text(legacy.plan(updating: memory(100, 200))) == ["memory.limit_in_bytes=100&memory.memsw.limit_in_bytes=200"])
        #expect(try text(legacy.plan(updating: memory(100))) == ["memory.limit_in_bytes=100"])
        #expect(try text(legacy.plan(updating: memory(100, -1))) == ["memory.memsw.limit_in_bytes=-1?", "memory.limit_in_bytes=100"])
        #expect(try text(legacy.plan(updating: memory(-1))) == ["memory.memsw.limit_in_bytes=-1?", "memory.limit_in_bytes=-1"])
        #expect(try text(legacy.plan(updating: memory(0, 0))) == [])
        #expect(try text(unified.plan(updating: memory(100, 300))) == ["memory.swap.max=200", "memory.max=100"])
        #expect(try text(unified.plan(updating: memory(100, 100))) == ["memory.swap.max=0?", "memory.max=100"])
        #expect(try text(unified.plan(updating: memory(100, -1))) == ["memory.swap.max=max?", "memory.max=100"])
        #expect(try text(unified.plan(updating: memory(-1))) == ["memory.swap.max=max?", "memory.max=max"])
        let rest = memory(nil) {
            $0.reservationBytes = 5
            $0.swappiness = 7
            $0.disableOOMKiller = true
            $0.kernelBytes = 9
        }
        #expect(
            try text(legacy.plan(updating: rest)) == [
                "memory.kmem.limit_in_bytes=9", "memory.soft_limit_in_bytes=5", "memory.swappiness=7", "memory.oom_control=1",
            ])
        let low = memory(nil) {
            $0.reservationBytes = 5
            $0.kernelBytes = 9
            $0.kernelTCPBytes = 9
        }
        #expect(try text(unified.plan(updating: low)) == ["memory.low=5"])
        #expect(try text(unified.plan(updating: memory(9) { $0.checkBeforeUpdate = true })) == ["usage<=9", "memory.max=9"])
    }

    @Test("what v2 cannot do is refused by name")
    func unsupportedByV2() {
        let cases: [(LinuxResources, String)] = [
            (memory(nil) { $0.swappiness = 1 }, "linux.resources.memory.swappiness"),
            (memory(nil) { $0.disableOOMKiller = true }, "linux.resources.memory.disableOOMKiller"),
            (
                resources {
                    $0.cpu = CPULimits()
                    $0.cpu?.realtimeRuntimeMicroseconds = 1
                }, "linux.resources.cpu.realtimeRuntime"
            ),
            (
                resources {
                    $0.network = NetworkLimits()
                    $0.network?.classID = 1
                }, "linux.resources.network.classID"
            ),
            (
                resources {
                    $0.network = NetworkLimits()
                    $0.network?.priorities = [NetworkLimits.Priority(name: "eth0", priority: 1)]
                }, "linux.resources.network.priorities"
            ),
            (
                resources {
                    $0.blockIO = BlockIOLimits()
                    $0.blockIO?.leafWeight = 10
                }, "linux.resources.blockIO.leafWeight"
            ),
            (resources { $0.unified = ["cgroup.procs": "1"] }, "linux.resources.unified[\"cgroup.procs\"]"),
            (resources { $0.unified = ["memory.x/../../cgroup.procs": "1"] }, "linux.resources.unified[\"memory.x/../../cgroup.procs\"]"),
        ]
        for (resources, field) in cases {
            let error = #expect(throws: CgroupError.self) { try unified.plan(updating: resources) }
            #expect(error?.code == .unsupported)
            #expect(error?.description.hasPrefix("set \(field): ") == true)
        }
    }

    @Test("cpu limits are written to both versions")
    func cpu() throws {
        var cpu = CPULimits()
        cpu.shares = 1024
        cpu.quotaMicroseconds = 50_000
        cpu.periodMicroseconds = 100_000
        cpu.burstMicroseconds = 10
        cpu.cpus = "0-1"
        cpu.mems = "0"
        let both = resources { $0.cpu = cpu }
        #expect(
            try text(legacy.plan(updating: both)) == [
                "cpu.shares=1024", "cpu.cfs_period_us=100000&cpu.cfs_quota_us=50000&cpu.cfs_burst_us=10", "cpuset.cpus=0-1",
                "cpuset.mems=0",
            ])
        #expect(
            try text(unified.plan(updating: both)) == [
                "cpu.weight=100", "cpu.max=50000 100000&cpu.max.burst=10", "cpuset.cpus=0-1", "cpuset.mems=0",
            ])
        cpu = CPULimits()
        cpu.quotaMicroseconds = -1
        #expect(try text(unified.plan(updating: resources { $0.cpu = cpu })) == ["cpu.max=max"])
        cpu = CPULimits()
        cpu.periodMicroseconds = 50_000
        #expect(try text(unified.plan(creating: resources { $0.cpu = cpu })).contains("cpu.max=max 50000"))
    }

    @Test(
        "shares become the weight that other runtimes make of them",
        arguments: [(1, 1), (2, 1), (1024, 100), (512, 59), (2048, 174), (262_144, 10_000), (UInt64.max, 10_000)])
    func weights(_ shares: UInt64, _ weight: Int) throws {
        var cpu = CPULimits()
        cpu.shares = shares
        #expect(try text(unified.plan(updating: resources { $0.cpu = cpu })) == ["cpu.weight=\(weight)"])
    }

    @Test("pids, block devices, huge pages and v2's own files are written")
    func others() throws {
        #expect(try text(legacy.plan(updating: resources { $0.pids = PidsLimit(limit: 7) })) == ["pids.max=7"])
        #expect(try text(unified.plan(updating: resources { $0.pids = PidsLimit(limit: -1) })) == ["pids.max=max"])
        #expect(try text(unified.plan(updating: resources { $0.pids = PidsLimit(limit: 0) })) == ["pids.max=0"])
        #expect(try text(unified.plan(updating: resources { $0.pids = PidsLimit(limit: nil) })) == [])
        var blockIO = BlockIOLimits()
        blockIO.weight = 10
        blockIO.throttleReadBytes = [.init(major: 8, minor: 0, rate: 5), .init(major: 8, minor: 16, rate: 0)]
        blockIO.throttleWriteOperations = [.init(major: 8, minor: 0, rate: 6)]
        let io = resources { $0.blockIO = blockIO }
        #expect(
            try text(legacy.plan(updating: io)) == [
                "blkio.bfq.weight=10|blkio.weight=10", "blkio.throttle.read_bps_device=8:0 5,8:16 0",
                "blkio.throttle.write_iops_device=8:0 6",
            ])
        #expect(
            try text(unified.plan(updating: io)) == [
                "io.bfq.weight=10|io.weight=1", "io.max=8:0 rbps=5,8:16 rbps=max", "io.max=8:0 wiops=6",
            ])
        let huge = resources {
            $0.hugepageLimits = [HugepageLimit(pageSize: "2MB", limitBytes: 4096)]
            $0.unified = ["memory.high": "5"]
        }
        // On a hybrid machine the controllers that v1 does not have are v2's.
        #expect(try text(legacy.plan(updating: huge)) == ["hugetlb.2MB.max=4096", "hugetlb.2MB.rsvd.max=4096?", "memory.high=5"])
    }

    @Test("A23 by default v1 allows making nodes and the specification's devices, nothing else")
    func legacyDevices() throws {
        let steps = try text(legacy.plan(creating: LinuxResources()))
        #expect(
            steps == [
                "devices.deny=a",
                "devices.allow=c *:* m,b *:* m,c 1:3 rwm,c 1:5 rwm,c 1:7 rwm,c 1:8 rwm,c 1:9 rwm,c 5:0 rwm,c 5:1 rwm,c 5:2 rwm,c 136:* rwm",
            ])
        let privileged = resources { $0.devices = [DeviceRule(allow: false), DeviceRule(allow: true)] }
        #expect(try text(legacy.plan(creating: privileged)) == ["devices.allow=a"])
    }

    @Test("a rule that v1 cannot express is refused instead of being widened")
    func legacyDeviceExceptions() throws {
        let hole = [
            DeviceRule(allow: true, kind: .character, major: 10), DeviceRule(allow: false, kind: .character, major: 10, minor: 200),
        ]
        #expect(throws: CgroupError.self) { try legacy.plan(creating: resources { $0.devices = hole }) }
        let reversed = [
            DeviceRule(allow: true, kind: .character, major: 10, minor: 200), DeviceRule(allow: false, kind: .character, major: 10),
        ]
        let steps = try text(legacy.plan(creating: resources { $0.devices = reversed }))
        #expect(steps.last?.contains("10:200") == false)
    }

    @Test(
        "A19 a cgroup path that leads elsewhere is refused",
        arguments: [
            "../../../", "/sys/..", "/..", "/a/../b", "./a", "/", "//", "/a/./b", "/a\n/b", "/\u{7f}",
            "/" + String(repeating: "a", count: 256), String(repeating: "/a", count: 33), String(repeating: "/ab", count: 2000),
        ])
    func paths(_ text: String) throws {
        let error = try #require(throws: CgroupError.self) { _ = try CgroupPath(text, container: ContainerID("c")) }
        #expect(error.code == .invalidPath)
    }

    @Test("A19 a cgroup path with look-alikes of dots is taken literally, and none at all means the container's name")
    func literalPaths() throws {
        let id = try ContainerID("c")
        #expect(try CgroupPath("/a//．．/b/", container: id).components == ["a", "．．", "b"])
        #expect(try CgroupPath(nil, container: id) == CgroupPath("", container: id))
        #expect(try CgroupPath(nil, container: id).components == ["c"])
        #expect(try CgroupPath("a/b", container: id).isAbsolute == false)
    }

    @Test("a record survives writing and reading, and one with a path that leads elsewhere is refused")
    func records() throws {
        func decode(_ bytes: [UInt8]) throws(JSONError) -> CgroupRecord {
            var reader = try JSONReader(bytes)
            return try CgroupRecord(from: &reader)
        }
        func encode(_ path: String) -> (CgroupRecord, [UInt8]) {
            let record = CgroupRecord(
                mode: .hybrid,
                places: [
                    .init(version: .v1, names: ["cpu", "cpuacct"], mountPoint: "/sys/fs/cgroup/cpu,cpuacct", path: path, foundDepth: 1)
                ])
            var writer = JSONWriter()
            record.write(to: &writer)
            return (record, writer.bytes)
        }
        let (record, bytes) = encode("a/b")
        #expect(try decode(bytes) == record)
        #expect(throws: JSONError.self) { try decode(encode("a/../../b").1) }
        // None at all, where the maker had no right to one.
        #expect(try decode(Array(#"{"mode":"hybrid","places":[]}"#.utf8)).places.isEmpty)
        #expect(throws: JSONError.self) { try decode(Array(#"{"places":[]}"#.utf8)) }
        #expect(throws: JSONError.self) { try decode(Array(#"{"mode":"hybrid","places":[],"unit":{"name":"x"}}"#.utf8)) }
    }
}

@Suite("the part of a record that stops processes")
struct FreezerRecordTests {
    private func place(_ version: CgroupVersion, _ names: String...) -> CgroupRecord.Place {
        .init(version: version, names: names, mountPoint: "/sys/fs/cgroup/\(names.first ?? "unified")", path: "c", foundDepth: 0)
    }

    @Test("is v1's freezer where there is one, beside v2 too")
    func legacy() {
        let freezer = place(.v1, "freezer")
        let record = CgroupRecord(mode: .hybrid, places: [place(.v1, "cpu", "cpuacct"), freezer, place(.v2)])
        #expect(record.freezer == CgroupRecord(mode: .hybrid, places: [freezer]))
    }

    @Test("is v2 where v1 has none, and nothing where there is no cgroup")
    func unified() {
        let unified = place(.v2)
        #expect(CgroupRecord(mode: .hybrid, places: [place(.v1, "cpu"), unified]).freezer.places == [unified])
        #expect(CgroupRecord(mode: .unified, places: []).freezer.places.isEmpty)
    }
}

/// Runs a device program as the kernel would.
private func decide(_ program: DeviceProgram?, kind: UInt32, access: UInt32, _ major: UInt32, _ minor: UInt32) throws -> Bool {
    guard let program else { return true }
    let code = program.bytes
    let context: [Int16: UInt64] = [0: UInt64(access << 16 | kind), 4: UInt64(major), 8: UInt64(minor)]
    var registers = [UInt64](repeating: 0xdead_beef, count: 11)
    var position = 0
    for _ in 0..<100_000 {
        let at = position * 8
        let (destination, source) = (Int(code[at + 1] & 15), Int(code[at + 1] >> 4))
        let offset = Int16(bitPattern: UInt16(code[at + 2]) | UInt16(code[at + 3]) << 8)
        let immediate = Int32(
            bitPattern: UInt32(code[at + 4]) | UInt32(code[at + 5]) << 8 | UInt32(code[at + 6]) << 16 | UInt32(code[at + 7]) << 24)
        position += 1
        switch code[at] {
        case 0x61: registers[destination] = try #require(context[offset])
        case 0xbf: registers[destination] = registers[source]
        case 0xb7: registers[destination] = UInt64(bitPattern: Int64(immediate))
        case 0x54: registers[destination] = UInt64(UInt32(truncatingIfNeeded: registers[destination]) & UInt32(bitPattern: immediate))
        case 0x74: registers[destination] = UInt64(UInt32(truncatingIfNeeded: registers[destination]) >> UInt32(bitPattern: immediate))
        case 0x05: position += Int(offset)
        case 0x55: if registers[destination] != UInt64(bitPattern: Int64(immediate)) { position += Int(offset) }
        case 0x45: if registers[destination] & UInt64(bitPattern: Int64(immediate)) != 0 { position += Int(offset) }
        case 0x95: return registers[0] != 0
        default:
            Issue.record("unknown instruction \(code[at])")
            return false
        }
    }
    Issue.record("the program does not end")
    return false
}

@Suite("Device programs")
struct DeviceProgramTests {
    private let block: UInt32 = 1
    private let character: UInt32 = 2

    @Test("A23 by default the program allows the specification's devices and making nodes, nothing else")
    func defaults() throws {
        let program = DeviceProgram([DeviceRule(allow: false)] + DeviceAccess.containerDefaults)
        #expect(try decide(program, kind: character, access: 6, 1, 3))
        #expect(try decide(program, kind: character, access: 6, 136, 17))
        #expect(try decide(program, kind: block, access: 1, 8, 0))
        #expect(try !decide(program, kind: block, access: 2, 8, 0))
        #expect(try !decide(program, kind: character, access: 2, 1, 1))
        #expect(try !decide(program, kind: character, access: 3, 10, 229))
    }

    @Test("the last rule that names an access decides it, for any sequence of rules")
    func agreesWithTheDefinition() throws {
        var random = SystemRandomNumberGenerator()
        func pick<Value>(_ values: [Value]) -> Value { values[Int.random(in: 0..<values.count, using: &random)] }
        for _ in 0..<300 {
            let rules = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                DeviceRule(
                    allow: .random(using: &random), kind: pick([.all, .block, .character]), major: pick([nil, 1, 2]),
                    minor: pick([nil, 1, 2]),
                    access: DeviceRule.Access(rawValue: UInt8.random(in: 1...7, using: &random)))
            }
            let program = DeviceProgram(rules)
            for kind in [block, character] {
                for access: UInt32 in 1...7 {
                    for (major, minor): (UInt32, UInt32) in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3)] {
                        let expected = (0..<3).map { UInt32(1) << $0 }.filter { access & $0 != 0 }.allSatisfy { bit in
                            rules.last { rule in
                                (rule.kind == .all || (rule.kind == .block) == (kind == block))
                                    && (rule.major.map { $0 == Int64(major) } ?? true)
                                    && (rule.minor.map { $0 == Int64(minor) } ?? true) && UInt32(rule.access.rawValue) & bit != 0
                            }?.allow ?? false
                        }
                        #expect(try decide(program, kind: kind, access: access, major, minor) == expected, "\(rules)")
                    }
                }
            }
        }
    }

    @Test("where nothing is denied there is no program")
    func nothingDenied() {
        #expect(DeviceProgram([DeviceRule(allow: false), DeviceRule(allow: true)] + DeviceAccess.containerDefaults) == nil)
    }
}
