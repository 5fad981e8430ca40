// Rows: attacks
import Cgroups
import CoreTypes
import Glibc
import JSON
import LinuxSyscalls
import OCISpec
import SystemPackage
import Testing

private let mode = (try? CgroupLayout.detect())?.mode

private func resources(_ change: (inout LinuxResources) -> Void) -> LinuxResources {
    var resources = LinuxResources()
    change(&resources)
    return resources
}

@Suite("Cgroups", .enabled(if: isRoot, "needs root"), .serialized)
struct CgroupsTests {
    @Test("a process is moved into a cgroup of every hierarchy, and nothing is left after delete")
    func lifetime() throws {
        let payload = try Payload("true")
        try withCgroup("lifetime") { cgroup in
            #expect(try remains("lifetime").count == cgroup.record.places.count)
            #expect(try cgroup.processes() == [])
            try cgroup.add(payload.process)
            #expect(try cgroup.processes() == [payload.process])
            let lines = payload.cgroups.split(separator: "\n")
            let here = lines.filter { $0.hasSuffix(":/apus-test-\(getpid())-lifetime") }
            #expect(here.count == cgroup.record.places.count, "\(payload.cgroups)")
            #expect(try Cgroup(ofProcess: payload.process).processes() == [payload.process])
            try payload.go()
            #expect(try payload.end() == .exited(0))
        }
        #expect(try remains("lifetime") == [])
    }

    @Test("a process can be born in the v2 cgroup", .enabled(if: mode != .legacy, "needs cgroup v2"))
    func birth() throws {
        try withCgroup("birth") { cgroup in
            let directory = try #require(cgroup.directoryForClone)
            #expect(try fileSystemKind(of: directory, subject: "cgroup") == .cgroup2)
            let payload = try Payload("true")
            try cgroup.add(payload.process, bornInUnified: true)
            #expect(!payload.cgroups.contains("0::/apus-test-\(getpid())-birth"))
        }
    }

    @Test("limits reach the kernel")
    func limits() throws {
        var memory = MemoryLimits()
        memory.limitBytes = 64 << 20
        memory.swapBytes = 128 << 20
        memory.reservationBytes = 32 << 20
        var cpu = CPULimits()
        cpu.shares = 512
        cpu.quotaMicroseconds = 50_000
        cpu.periodMicroseconds = 100_000
        cpu.cpus = "0"
        cpu.mems = "0"
        let wanted = resources {
            $0.memory = memory
            $0.cpu = cpu
            $0.pids = PidsLimit(limit: 77)
        }
        try withCgroup("limits", wanted) { cgroup in
            let values: [(String, String)] =
                mode == .unified
                ? [
                    ("memory.max", "67108864"), ("memory.low", "33554432"), ("cpu.weight", "59"), ("cpu.max", "50000 100000"),
                    ("cpuset.cpus", "0"),
                    ("pids.max", "77"),
                ]
                : [
                    ("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "134217728"),
                    ("memory.soft_limit_in_bytes", "33554432"), ("cpu.shares", "512"), ("cpu.cfs_quota_us", "50000"),
                    ("cpu.cfs_period_us", "100000"),
                    ("cpuset.cpus", "0"), ("pids.max", "77"),
                ]
            for (file, value) in values { #expect(try cgroup.file(file) == value, "\(file)") }
            // Both above the old limits, in the order that would fail if it were not tried the other way round.
            memory.limitBytes = 256 << 20
            memory.swapBytes = 512 << 20
            cpu.periodMicroseconds = 20_000
            cpu.quotaMicroseconds = 1_000
            try Cgroup(opening: cgroup.record).apply(
                resources {
                    $0.memory = memory
                    $0.cpu = cpu
                })
            #expect(try cgroup.file(mode == .unified ? "memory.max" : "memory.limit_in_bytes") == "268435456")
            #expect(try cgroup.statistics().memory?.limitBytes == 256 << 20)
            #expect(try cgroup.statistics().pids?.limit == 77)
        }
    }

    @Test("a limit that the kernel refuses is named, and nothing is left")
    func refusedLimit() throws {
        let wanted = resources {
            $0.cpu = CPULimits()
            $0.cpu?.cpus = "4096"
        }
        let error = try #require(throws: CgroupError.self) { _ = try Cgroup.create(ownPath("refused"), resources: wanted) }
        #expect(error.description.hasPrefix("set linux.resources.cpu.cpus: write cpuset.cpus 4096: E"), "\(error)")
        #expect(try remains("refused") == [])
    }

    @Test("a limit whose controller is missing here is named, and nothing is left")
    func missingController() throws {
        let wanted = resources { $0.rdma = ["none": RDMALimit()] }
        let error = try #require(throws: CgroupError.self) { _ = try Cgroup.create(ownPath("missing"), resources: wanted) }
        #expect(error.description.contains("linux.resources.rdma"), "\(error)")
        #expect(try remains("missing") == [])
    }

    @Test("parents that were made are removed with the last container, those that were found stay")
    func parents() throws {
        let id = try ContainerID("unused")
        let base = "/apus-test-\(getpid())-parents"
        try withCgroup("parents") { _ in
            let first = try Cgroup.create(CgroupPath("\(base)/a/b/one", container: id), resources: nil)
            let second = try Cgroup.create(CgroupPath("\(base)/a/b/two", container: id), resources: nil)
            try second.delete()
            try first.delete()
            let place = try #require(first.record.places.first)
            #expect(!isThere("\(place.mountPoint)\(base)/a"))
            #expect(isThere("\(place.mountPoint)\(base)"))
        }
        #expect(try remains("parents") == [])
    }

    @Test("a cgroup that has processes is not taken, and stays as it was")
    func taken() throws {
        let payload = try Payload("true")
        try withCgroup("taken") { cgroup in
            try cgroup.add(payload.process)
            let error = #expect(throws: CgroupError.self) { _ = try Cgroup.create(ownPath("taken"), resources: nil) }
            #expect(error?.code == .notEmpty)
            #expect(try cgroup.processes() == [payload.process])
            try payload.go()
            _ = try payload.end()
            // Empty, it can be taken again.
            let again = try Cgroup.create(ownPath("taken"), resources: nil)
            #expect(again.exists)
        }
    }

    @Test("frozen processes make no progress until they are thawed")
    func freezing() throws {
        let payload = try Payload("while :; do :; done")
        try withCgroup("freezing") { cgroup in
            try cgroup.add(payload.process)
            try payload.go()
            #expect(try !cgroup.isFrozen())
            try cgroup.freeze()
            #expect(try cgroup.isFrozen())
            func ticks() throws -> [Substring] {
                try String(decoding: readFile(FilePath("/proc/\(payload.process)/stat"), limitBytes: 4096), as: UTF8.self).split(
                    separator: " ")[13...14]
                    .map { $0 }
            }
            let before = try ticks()
            rest(nanoseconds: 50_000_000)
            #expect(try ticks() == before)
            try cgroup.thaw()
            #expect(try !cgroup.isFrozen())
            try cgroup.killAll()
            #expect(try payload.end() == .signalled(SIGKILL))
        }
    }

    @Test("everything in a cgroup and below it is killed, frozen or not, and the whole is deleted at once")
    func killing() throws {
        let payload = try Payload("(/bin/sleep 1000 & /bin/sleep 1000) & /bin/sleep 1000")
        let nested = try Payload("/bin/sleep 1000")
        try withCgroup("killing") { cgroup in
            for place in cgroup.record.places {
                try makeDirectories(FilePath("\(place.directory)/inner/most"))
                guard place.names == ["cpuset"] else { continue }
                for level in ["inner", "inner/most"] {
                    for file in ["cpuset.cpus", "cpuset.mems"] {
                        let control = try openFile(FilePath("\(place.directory)/\(level)/\(file)"), .writeOnly)
                        try writeAll(Array("0".utf8), to: control.number)
                    }
                }
            }
            try cgroup.add(payload.process)
            try cgroup.descendant(SubordinatePaths(["inner/most"])).add(nested.process)
            #expect(throws: CgroupError.self) { _ = try cgroup.descendant(SubordinatePaths(["../.."])) }
            try payload.go()
            try nested.go()
            let deadline = monotonicNanoseconds() + 10_000_000_000
            // The shells turn into their last commands: three and one are left.
            while try cgroup.processes().count < 4, monotonicNanoseconds() < deadline { rest(nanoseconds: 1_000_000) }
            let found = try cgroup.processes()
            #expect(found.count == 4 && found.contains(payload.process) && found.contains(nested.process))
            try cgroup.freeze()
            try cgroup.killAll()
            #expect(try payload.end() == .signalled(SIGKILL))
            #expect(try nested.end() == .signalled(SIGKILL))
            try cgroup.delete()
            #expect(try Cgroup(opening: cgroup.record).exists == false)
        }
        #expect(try remains("killing") == [])
    }

    @Test("A23 a device that no rule allows cannot be opened, one of the specification's can")
    func devices() throws {
        let payload = try Payload("exec 3</dev/null 4</dev/zero || exit 1; (exec 3</dev/kmsg) 2>/dev/null && exit 2; exit 0")
        try withCgroup("devices", resources { $0.devices = [DeviceRule(allow: false)] }) { cgroup in
            try cgroup.add(payload.process)
            try payload.go()
            #expect(try payload.end() == .exited(0))
        }
        // The same without the rule, lest the test pass for another reason.
        let free = try Payload("(exec 3</dev/kmsg) || exit 3; exit 0")
        try withCgroup("devices", resources { $0.devices = [DeviceRule(allow: true)] }) { cgroup in
            try cgroup.add(free.process)
            try free.go()
            #expect(try free.end() == .exited(0))
        }
    }

    @Test("running out of memory is told, counted, and hits the process")
    func outOfMemory() throws {
        let payload = try Payload("dd if=/dev/zero of=/dev/null bs=256M count=1 2>/dev/null; exit 0")
        var memory = MemoryLimits()
        memory.limitBytes = 16 << 20
        memory.swapBytes = 16 << 20
        try withCgroup("oom", resources { $0.memory = memory }) { cgroup in
            try cgroup.add(payload.process)
            var events = try cgroup.memoryEvents()
            #expect(try cgroup.oomKillCount() == 0)
            let epoll = try Epoll()
            try epoll.add(events.number, for: events.readiness, token: 1)
            try payload.go()
            let deadline = monotonicNanoseconds() + 15_000_000_000
            var count: UInt64 = 0
            while count == 0, monotonicNanoseconds() < deadline {
                _ = try epoll.wait(timeoutMilliseconds: 1000)
                count += try events.take() ?? 0
            }
            #expect(count > 0)
            _ = try payload.end()
            #expect(try cgroup.oomKillCount() > 0)
            #expect(try cgroup.statistics().memory?.oomKillCount ?? 0 > 0)
            try epoll.remove(events.number)
            try cgroup.delete()
            #expect(try events.take() == nil)
        }
    }

    @Test("statistics count what a process used")
    func statistics() throws {
        let payload = try Payload(
            "x=$(head -c 2000000 /dev/zero | tr '\\0' x); i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; read again")
        try withCgroup("statistics") { cgroup in
            try cgroup.add(payload.process)
            try payload.go()
            let deadline = monotonicNanoseconds() + 10_000_000_000
            while try cgroup.statistics().cpu?.usageNanoseconds ?? 0 < 1_000_000, monotonicNanoseconds() < deadline {
                rest(nanoseconds: 5_000_000)
            }
            let statistics = try cgroup.statistics()
            #expect(statistics.cpu?.usageNanoseconds ?? 0 >= 1_000_000)
            #expect(statistics.memory?.usageBytes ?? 0 > 0)
            #expect(statistics.memory?.limitBytes == nil)
            #expect(statistics.pids?.current ?? 0 >= 1)
            #expect(statistics.pids?.limit == nil)
        }
    }

    @Test("a relative path begins at the runtime's own cgroup")
    func relativePaths() throws {
        let name = "apus-test-\(getpid())-relative"
        let cgroup = try Cgroup.create(CgroupPath(name, container: ContainerID("x")), resources: nil)
        defer { try? cgroup.delete() }
        let own = try String(decoding: readFile("/proc/self/cgroup", limitBytes: 65_536), as: UTF8.self).split(separator: "\n")
        for place in cgroup.record.places where place.version == .v1 {
            let line = try #require(
                own.first {
                    $0.split(separator: ":", omittingEmptySubsequences: false)[1].split(separator: ",").contains {
                        $0.hasSuffix(place.names[0])
                    }
                })
            let ownPath = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)[2].dropFirst()
            #expect(place.path == (ownPath.isEmpty ? name : "\(ownPath)/\(name)"))
        }
    }

    @Test("what is mounted decides about the mode, not what /proc/self/cgroup lists")
    func detection() throws {
        let folder = FilePath("/tmp/apus-cgroups-\(getpid())")
        try makeDirectories(folder.appending("memory"))
        try makeDirectories(folder.appending("unified"))
        defer { try? removeTree(folder) }
        #expect(throws: CgroupError(.unavailable, doing: "find the cgroup file systems at \(folder)", reason: "none is mounted there")) {
            _ = try CgroupLayout.detect(at: folder)
        }
        #expect(throws: CgroupError.self) { _ = try CgroupLayout.detect(at: folder.appending("nothing")) }
        let unified = mode == .unified ? FilePath("/sys/fs/cgroup") : FilePath("/sys/fs/cgroup/unified")
        try mount(unified.string, onto: folder.appending("unified"), type: "", flags: [.bind])
        defer { try? unmount(folder.appending("unified")) }
        #expect(try CgroupLayout.detect(at: folder).mode == .unified)
        #expect(try CgroupLayout.detect(at: folder.appending("unified")).mode == .unified)
        if mode == .hybrid {
            try mount("/sys/fs/cgroup/memory", onto: folder.appending("memory"), type: "", flags: [.bind])
            #expect(try CgroupLayout.detect(at: folder).mode == .hybrid)
            try unmount(folder.appending("unified"))
            #expect(try CgroupLayout.detect(at: folder).mode == .legacy)
            try unmount(folder.appending("memory"))
        }
    }
}
