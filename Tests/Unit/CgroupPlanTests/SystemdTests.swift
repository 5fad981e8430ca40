import Cgroups
import CoreTypes
import OCISpec
import Testing

@Suite("systemd: D-Bus messages")
struct BusMessageTests {
    @Test("a call is laid out as the specification says")
    func layout() throws {
        var call = BusMessage(.call)
        call.serial = 7
        call.path = "/o"
        call.member = "M"
        call.body = [.string("ab"), .boolean(true)]
        let expected: [UInt8] =
            [0x6c, 1, 0, 1, 12, 0, 0, 0, 7, 0, 0, 0, 40, 0, 0, 0]
            // path: code, signature "o", padding, length, text
            + [1, 1, 0x6f, 0, 2, 0, 0, 0, 0x2f, 0x6f, 0, 0, 0, 0, 0, 0]
            // member
            + [3, 1, 0x73, 0, 1, 0, 0, 0, 0x4d, 0, 0, 0, 0, 0, 0, 0]
            // signature "sb", and padding of the header
            + [8, 1, 0x67, 0, 2, 0x73, 0x62, 0]
            // body
            + [2, 0, 0, 0, 0x61, 0x62, 0, 0, 1, 0, 0, 0]
        #expect(call.encoded == expected)
    }

    private static let properties: [BusValue] = [
        .string("a.scope"), .string("replace"),
        .array(
            of: "(sv)",
            [
                .structure([.string("PIDs"), .variant(.array(of: "u", [.uint32(7)]))]),
                .structure([.string("DeviceAllow"), .variant(.array(of: "(ss)", [.structure([.string("char-*"), .string("m")])]))]),
                .structure([.string("Limit"), .variant(.uint64(.max))]), .structure([.string("D"), .variant(.double(1.5))]),
            ]),
        .array(of: "(sa(sv))", []), .array(of: "{sv}", [.entry(key: .string("k"), value: .variant(.int16(-2)))]),
        .byte(9), .int32(-1), .int64(-5), .uint16(3), .objectPath("/a/b"), .signature("a{sv}"),
    ]

    @Test("what is written is read back, nested and aligned")
    func roundTrip() throws {
        var signal = BusMessage(.signal)
        signal.serial = 1
        signal.path = "/org/freedesktop/systemd1"
        signal.interface = "org.freedesktop.systemd1.Manager"
        signal.member = "JobRemoved"
        signal.destination = ":1.2"
        signal.body = Self.properties
        #expect(try BusMessage(decoding: signal.encoded) == signal)
        var error = BusMessage(.error)
        error.replySerial = 12
        error.errorName = "org.freedesktop.systemd1.NoSuchUnit"
        error.body = [.string("Unit a.scope not loaded.")]
        #expect(try BusMessage(decoding: error.encoded) == error)
    }

    @Test("bytes that are no message are refused: cut anywhere, or changed anywhere")
    func hostile() throws {
        var message = BusMessage(.reply)
        message.replySerial = 1
        message.body = Self.properties
        let bytes = message.encoded
        for end in 0..<bytes.count {
            #expect(throws: BusError.self) { try BusMessage(decoding: Array(bytes[..<end])) }
        }
        for index in bytes.indices {
            for value: UInt8 in [0, 0x28, 0x61, 0x7f, 0xff] {
                var changed = bytes
                changed[index] = value
                // Either it is refused or it is another message; it does not trap.
                _ = try? BusMessage(decoding: changed)
            }
        }
        let nested = String(repeating: "a", count: 200) + "y"
        var deep = BusMessage(.reply)
        deep.body = [.variant(.array(of: nested, []))]
        _ = try? BusMessage(decoding: deep.encoded)
    }

    @Test("an array of empty structures, which would have no end, is refused")
    func endless() throws {
        var message = BusMessage(.reply)
        message.replySerial = 1
        message.body = [.variant(.array(of: "(y)", [.structure([.byte(1)])]))]
        var bytes = message.encoded
        let signature = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("a(y)".utf8)) })
        bytes.replaceSubrange(signature..<signature + 4, with: Array("a()y".utf8))
        #expect(throws: BusError.malformed("a variant in it has no type")) { try BusMessage(decoding: bytes) }
    }
}

@Suite("systemd: units and their properties")
struct SystemdUnitTests {
    private func unit(_ path: String?, user: Bool = false) throws -> SystemdUnit {
        try SystemdUnit(path, container: ContainerID("web"), runtimeDirectory: user ? "/run/user/7" : "/run")
    }

    @Test("slice:prefix:name is a scope in a slice in slices")
    func paths() throws {
        #expect(try unit("machine-a.slice:apus:web").components() == ["machine.slice", "machine-a.slice", "apus-web.scope"])
        #expect(try unit(nil).components() == ["system.slice", "apus-web.scope"])
        #expect(try unit("", user: true).components() == ["user.slice", "apus-web.scope"])
        #expect(try unit("-.slice::web").components() == ["web.scope"])
        #expect(try unit(":x:b-c.slice").components() == ["b.slice", "b-c.slice"])
    }

    @Test(
        "a path that is none is refused by its field",
        arguments: ["/a/b", "a:b", "a:b:c:d", "a:b:c", "a.slice:b:", "a--b.slice:b:c", "-a.slice:b:c", "a/../b.slice:b:c", "a.slice:b:x/y"])
    func refused(path: String) throws {
        let error = #expect(throws: CgroupError.self) { _ = try unit(path) }
        #expect(error?.description.contains("linux.cgroupsPath") == true)
    }

    private func properties(
        _ resources: LinuxResources, annotations: [String: String] = [:], version: CgroupVersion = .v2
    ) throws -> [String: BusValue] {
        let groups = SystemdProperties.DeviceGroup.parse("Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  8 sd\n")
        let list = try SystemdProperties(version: version, deviceGroups: groups)
            .creating(try unit("a.slice:apus:web"), process: 42, resources: resources, annotations: annotations)
        #expect(Set(list.map(\.name)).count == list.count)
        return Dictionary(uniqueKeysWithValues: list.map { ($0.name, $0.value) })
    }

    @Test("limits are properties, with systemd's units")
    func limits() throws {
        var resources = LinuxResources()
        var memory = MemoryLimits()
        memory.limitBytes = 100
        memory.swapBytes = 150
        memory.reservationBytes = 50
        resources.memory = memory
        var cpu = CPULimits()
        cpu.quotaMicroseconds = 50_500
        cpu.periodMicroseconds = 100_000
        cpu.shares = 1024
        cpu.cpus = "0-1,9"
        resources.cpu = cpu
        resources.pids = PidsLimit(limit: -1)
        resources.unified = ["memory.high": "70", "cpu.max.burst": "1"]
        let found = try properties(resources)
        #expect(found["MemoryMax"] == .uint64(100))
        #expect(found["MemorySwapMax"] == .uint64(50))
        #expect(found["MemoryLow"] == .uint64(50))
        #expect(found["MemoryHigh"] == .uint64(70))
        #expect(found["CPUQuotaPerSecUSec"] == .uint64(510_000))
        #expect(found["CPUQuotaPeriodUSec"] == .uint64(100_000))
        #expect(found["CPUWeight"] == .uint64(100))
        #expect(found["AllowedCPUs"] == .array(of: "y", [.byte(3), .byte(2)]))
        #expect(found["TasksMax"] == .uint64(.max))
        #expect(found["PIDs"] == .array(of: "u", [.uint32(42)]))
        #expect(found["Slice"] == .string("a.slice"))
        #expect(found["Delegate"] == .boolean(true))
        let old = try properties(resources, version: .v1)
        #expect(old["MemoryLimit"] == .uint64(100) && old["CPUShares"] == .uint64(1024) && old["MemoryMax"] == nil)
    }

    @Test("devices are those of the rules and of every container")
    func devices() throws {
        var resources = LinuxResources()
        resources.devices = [DeviceRule(allow: false), DeviceRule(allow: true, kind: .block, major: 8, access: .read)]
        let found = try properties(resources)
        #expect(found["DevicePolicy"] == .string("strict"))
        guard case .array(_, let entries)? = found["DeviceAllow"] else { return #expect(Bool(false)) }
        for (path, access) in [("block-sd", "r"), ("char-*", "m"), ("/dev/char/1:3", "rwm"), ("char-pts", "rwm")] {
            #expect(entries.contains(.structure([.string(path), .string(access)])), "\(path)")
        }
        resources.devices = [DeviceRule(allow: true)]
        #expect(try properties(resources)["DevicePolicy"] == .string("auto"))
    }

    @Test("annotations are properties of any type, and win")
    func annotations() throws {
        let prefix = "org.systemd.property."
        let found = try properties(
            LinuxResources(),
            annotations: [
                prefix + "TimeoutStopUSec": "uint64 7", prefix + "RuntimeMaxSec": "1.5", prefix + "CollectMode": "'inactive-or-failed'",
                prefix + "Description": "\"a \\\"b\\\"\"", prefix + "Delegate": "false", prefix + "Before": "['a.service', 'b.service']",
                prefix + "After": "@as []", "other": "x",
            ])
        #expect(found["TimeoutStopUSec"] == .uint64(7))
        #expect(found["RuntimeMaxUSec"] == .uint64(1_500_000))
        #expect(found["CollectMode"] == .string("inactive-or-failed"))
        #expect(found["Description"] == .string("a \"b\""))
        #expect(found["Delegate"] == .boolean(false))
        #expect(found["Before"] == .array(of: "s", [.string("a.service"), .string("b.service")]))
        #expect(found["After"] == .array(of: "s", []))
        for (name, value) in [("x", "1"), ("A b", "1"), ("Name", "'"), ("Name", "1 2"), ("NameSec", "'x'"), ("Name", "[1, 'a']")] {
            let error = #expect(throws: CgroupError.self) { _ = try properties(LinuxResources(), annotations: [prefix + name: value]) }
            #expect(error?.description.contains(prefix + name) == true)
        }
        #expect(VariantText.parse(String(repeating: "[", count: 5000)) == nil)
        // No message can hold these: systemd would hang up instead of saying what is wrong.
        let many = Array(repeating: "1", count: 300).joined(separator: ", ")
        for text in [
            "(\(many))", "@az []", "@\(String(repeating: "a", count: 300))s []", "objectpath '/a//b'", "objectpath 'a'", "signature '('",
            "signature 'a{vs}'", "'\0'", "uint32 (1, 2)", "uint32 ['x']", "@as [1]",
        ] {
            #expect(VariantText.parse(text) == nil, "\(text.prefix(40))")
        }
        #expect(
            VariantText.parse("objectpath '/a/b_1'") == .objectPath("/a/b_1")
                && VariantText.parse("signature 'a{sv}'") == .signature("a{sv}"))
        #expect(VariantText.parse("[(1, 'a'), (2, 'b')]")?.signature == "a(is)")
        // Reading takes time in proportion to the text.
        let wide = "(" + Array(repeating: "1", count: 120).joined(separator: ",") + ")"
        let rows = "[" + Array(repeating: wide, count: 400).joined(separator: ",") + "]"
        let took = ContinuousClock().measure { #expect(VariantText.parse(rows) != nil) }
        #expect(took < .seconds(5))
        #expect(VariantText.parse("(byte 1, uint32 0x10, true)") == .structure([.byte(1), .uint32(16), .boolean(true)]))
    }
}
