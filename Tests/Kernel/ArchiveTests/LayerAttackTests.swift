// Rows: attacks
import Archive
import Foundation
import LinuxSyscalls
import SystemPackage
import Testing

/// Each row must fail against a build with its guard turned off (WEAKENED_D…).
@Suite("Layers made by an attacker")
struct LayerAttackTests {
    @Test("D01: a path upwards, of no name or too long is refused; an absolute one is confined")
    func upwards() throws {
        for path in ["../../host-canary", "a/../../../host-canary", "./../host-canary", "..", "a/..", "/..", "/../host-canary", "../"] {
            let fixture = try UnpackFixture()
            var tar = TarBuilder()
            tar.add(path, data: Array("evil".utf8))
            #expect(try fixture.refusal(of: tar.finished) == .refusedEntry, "\(path)")
            try fixture.expectCanariesUntouched()
        }
        let fixture = try UnpackFixture()
        var long = TarBuilder()
        long.add(String(repeating: "d/", count: 2500) + "x")
        #expect(try fixture.refusal(of: long.finished) == .overLimit)
        var wide = TarBuilder()
        wide.add(String(repeating: "n", count: 5000))
        #expect(try fixture.refusal(of: wide.finished) == .overLimit)
        var nameless = TarBuilder()
        nameless.add("")
        #expect(try fixture.refusal(of: nameless.finished) != nil)
        var absolute = TarBuilder()
        absolute.add(fixture.canary.string, data: Array("evil".utf8))
        absolute.add("//./b\\..\\c", data: [1])
        absolute.add("nul", data: [2], pax: [("path", Array("n\u{0}/../../host-canary".utf8))])
        _ = try fixture.unpack(absolute.finished)
        try fixture.expectCanariesUntouched()
        #expect(try readFile(fixture.root.appending(fixture.canary.string.dropFirst().description), limitBytes: 9) == Array("evil".utf8))
        #expect(try readFile(fixture.root.appending("b\\..\\c"), limitBytes: 9) == [1])
    }

    @Test("D01: names that differ in Unicode normalisation alone are two files, and raw bytes are kept")
    func unicodeTwins() throws {
        let fixture = try UnpackFixture()
        var tar = TarBuilder()
        tar.add("caf\u{e9}", data: [1])
        tar.add("cafe\u{301}", data: [2])
        tar.add("placeholder", data: [3], pax: [("path", Array("pax-cafe\u{301}".utf8))])
        tar.add("placeholder", data: [4], pax: [("path", [0x70, 0xff, 0xfe])])
        _ = try fixture.unpack(tar.finished)
        let names = try directoryEntries(of: try openFile(fixture.root, [.readOnly, .directory])).map { pathBytes($0.name) }
        #expect(Set(names) == [Array("caf\u{e9}".utf8), Array("cafe\u{301}".utf8), Array("pax-cafe\u{301}".utf8), [0x70, 0xff, 0xfe]])
    }

    @Test(
        "D02: through a symbolic link to the host nothing is written, made, linked, described or hidden outside",
        arguments: ["absolute", "relative", "chain"])
    func symbolicLinkParent(_ shape: String) throws {
        let attacks: [(String, (inout TarBuilder) -> Void)] = [
            ("write", { $0.add("etc/x", data: Array("evil".utf8)) }),
            ("directory", { $0.addDirectory("etc/new", mode: 0o777) }),
            ("mode and owner of the directory itself", { $0.add("etc/", type: "5", mode: 0o777, owner: 99) }),
            ("mode and owner below", { $0.add("etc/x/", type: "5", mode: 0o777, owner: 99) }),
            ("attribute", { $0.add("etc/x", pax: [("SCHILY.xattr.user.evil", [1])]) }),
            ("hard link onto", { $0.addHardLink("etc/x", to: "file") }),
            ("hard link from", { $0.addHardLink("stolen", to: "etc/x") }),
            ("symbolic link", { $0.addLink("etc/x", to: "y") }),
            ("device", { $0.add("etc/x", type: "3", major: 1, minor: 3) }),
            ("whiteout", { $0.add("etc/.wh.x") }),
            ("opaque", { $0.add("etc/.wh..wh..opq") }),
        ]
        for (name, attack) in attacks {
            let fixture = try UnpackFixture()
            var tar = TarBuilder()
            tar.add("file", data: [1])
            switch shape {
            case "absolute": tar.addLink("etc", to: fixture.canaryFolder.string)
            case "relative": tar.addLink("etc", to: "../host-canary.d")
            default:
                tar.addLink("one", to: "../../../../../../.." + fixture.canaryFolder.string)
                tar.addLink("etc", to: "one")
            }
            attack(&tar)
            _ = try fixture.refusal(of: tar.finished)
            try fixture.expectCanariesUntouched()
            let stolen = fixture.root.appending("stolen")
            #expect(throws: SyscallError.self, "\(name)") { try fileStatus(stolen) }
        }
    }

    @Test("D02: links that lie in the directory already are as powerless as the layer's own")
    func linksFromBefore() throws {
        let fixture = try UnpackFixture()
        try makeSymbolicLink(fixture.root.appending("etc"), to: fixture.canaryFolder)
        try makeSymbolicLink(fixture.root.appending("file"), to: fixture.canary)
        var tar = TarBuilder()
        tar.add("file", mode: 0o777, owner: 9, data: Array("evil".utf8))
        tar.add("etc/x", data: Array("evil".utf8))
        _ = try fixture.refusal(of: tar.finished)
        try fixture.expectCanariesUntouched()
    }

    @Test("D03: a hard link leads to the same layer only, and never through a symbolic link")
    func hardLinks() throws {
        for target in ["/etc/shadow", "../host-canary", "missing", ".", "dir", ".wh.gone", "gone"] {
            let fixture = try UnpackFixture()
            var tar = TarBuilder()
            tar.addDirectory("dir")
            tar.add(".wh.gone")
            tar.addHardLink("stolen", to: target)
            #expect(try fixture.refusal(of: tar.finished) == .refusedEntry, "\(target)")
            try fixture.expectCanariesUntouched()
        }
        let fixture = try UnpackFixture()
        var tar = TarBuilder()
        tar.addLink("symlink", to: fixture.canary.string)
        tar.add("device", type: "3", major: 1, minor: 3)
        tar.addHardLink("to-symlink", to: "symlink", mode: 0o777)
        tar.addHardLink("to-device", to: "/device")
        _ = try fixture.unpack(tar.finished)
        #expect(try fileStatus(fixture.root.appending("to-symlink")).type == .symbolicLink)
        #expect(try fileStatus(fixture.root.appending("to-device")).type == .characterDevice)
        try fixture.expectCanariesUntouched()
    }

    @Test("D04: a link and then an entry of the same name changes neither the host's file nor its mode")
    func modeThroughLink() throws {
        let fixture = try UnpackFixture()
        var tar = TarBuilder()
        tar.addLink("a", to: fixture.canary.string)
        tar.add("a", mode: 0o4777, owner: 77, data: Array("evil".utf8))
        tar.addLink("b", to: fixture.canary.string)
        tar.addHardLink("c", to: "b", mode: 0o4777)
        tar.add("c", type: "6", mode: 0o777)
        tar.addLink("d", to: fixture.canaryFolder.string)
        tar.addDirectory("d", mode: 0o777)
        tar.add("own", mode: 0o600, data: [1])
        tar.addHardLink("own-too", to: "own", mode: 0o4777)
        _ = try fixture.unpack(tar.finished)
        try fixture.expectCanariesUntouched()
        #expect(try fileStatus(fixture.root.appending("own")).mode == 0o600)
    }

    @Test("D06: forged whiteouts are refused, the root survives, and nothing outside goes away")
    func forgedWhiteouts() throws {
        for path in [".wh..", ".wh...", ".wh.", ".wh./", "a/.wh..", "a/.wh...", ".wh.x/y"] {
            let fixture = try UnpackFixture()
            var tar = TarBuilder()
            tar.addDirectory("a")
            tar.add(path, type: path.hasSuffix("/") ? "5" : "0")
            #expect(try fixture.refusal(of: tar.finished) == .refusedEntry, "\(path)")
            try fixture.expectCanariesUntouched()
        }
        let fixture = try UnpackFixture()
        var tar = TarBuilder()
        tar.add("kept", data: [1])
        tar.add(".wh..wh..opq")
        #expect(try fixture.unpack(tar.finished).hidesAllBelow)
        #expect(try readFile(fixture.root.appending("kept"), limitBytes: 9) == [1])
        try fixture.expectCanariesUntouched()
        var device = TarBuilder()
        device.add("forged", type: "3", major: 0, minor: 0)
        #expect(try fixture.refusal(of: device.finished) == .refusedEntry)
        var root = TarBuilder()
        root.add(".", data: [1])
        #expect(try fixture.refusal(of: root.finished) == .refusedEntry)
    }

    @Test("D07: overlay marks and labels that a layer brings along are dropped")
    func foreignAttributes() throws {
        let fixture = try UnpackFixture()
        var tar = TarBuilder()
        let forged = [
            "trusted.overlay.redirect", "trusted.overlay.metacopy", "trusted.overlay.opaque", "user.overlay.opaque", "security.selinux",
            "trusted.overlay.overlay.opaque",
        ]
        let records = forged.flatMap { [("SCHILY.xattr.\($0)", Array("y".utf8)), ("LIBARCHIVE.xattr.\($0)", Array("eQ==".utf8))] }
        tar.add("dir", type: "5", mode: 0o755, pax: records)
        tar.add("file", pax: records + [("SCHILY.xattr.user.mine", [7]), ("SCHILY.xattr.trusted.mine", [8])])
        let applied = try fixture.unpack(tar.finished)
        #expect(applied.droppedAttributeCount >= 12)
        for (path, names) in [("dir", [String]()), ("file", ["trusted.mine", "user.mine"])] {
            let file = try openFile(fixture.root.appending(path), .readOnly)
            #expect(try extendedAttributeNames(of: file.number).sorted() == names)
        }
    }

    @Test("D08: sizes, owners, headers and name bombs that no honest packer writes are refused without harm")
    func malformedHeaders() throws {
        var cases: [(String, [UInt8])] = []
        func add(_ name: String, _ body: (inout TarBuilder) -> Void) {
            var tar = TarBuilder()
            body(&tar)
            cases.append((name, tar.finished))
        }
        add("negative size") { $0.add("a", declaredSize: -512) }
        add("more than there is") { $0.add("a", data: [1], declaredSize: 1 << 40) }
        add("owner -1") { $0.add("a", owner: 4_294_967_295) }
        add("owner below 0") { $0.add("a", owner: -2) }
        add("owner beyond 32 bits") { $0.add("a", pax: [("uid", Array("4294967296".utf8))]) }
        add("long name bomb") { $0.add("././@LongLink", type: "L", data: [UInt8](repeating: 0x61, count: 8 << 20)) }
        add("pax bomb") { $0.addPax([("comment", [UInt8](repeating: 0x61, count: 8 << 20))]) }
        add("attribute bomb") { $0.add("a", pax: [("SCHILY.xattr.user.a", [UInt8](repeating: 0x61, count: 2 << 20))]) }
        var broken = TarBuilder()
        broken.add("a", data: [1])
        cases.append(("cut in a header", Array(broken.bytes.prefix(300))))
        cases.append(("cut in data", Array(broken.bytes.prefix(512))))
        cases.append(("noise", (0..<2048).map { UInt8(truncatingIfNeeded: $0 &* 73 &+ 5) }))
        for (name, tar) in cases {
            let fixture = try UnpackFixture()
            #expect(try fixture.refusal(of: tar) != nil, "\(name)")
            try fixture.expectCanariesUntouched()
        }
        let fixture = try UnpackFixture()
        var odd = TarBuilder()
        odd.add("header-name", data: [1], pax: [("path", Array("pax-name".utf8)), ("mtime", Array("99999999999999999999".utf8))])
        odd.addPax([("comment", [1])], type: "g")
        odd.add("after", modified: 8_589_934_591 * 1024, data: [2])
        _ = try fixture.unpack(odd.finished)
        #expect(try readFile(fixture.root.appending("pax-name"), limitBytes: 9) == [1])
        #expect(throws: SyscallError.self) { try fileStatus(fixture.root.appending("header-name")) }
        #expect(try readFile(fixture.root.appending("after"), limitBytes: 9) == [2])
    }

    /// A file with a map of its data before it. - Source: GNU tar's manual, "PAX Format, Version 1.0".
    private func sparse(_ segments: [(offset: Int, count: Int)], size: Int, data: [UInt8]) -> [UInt8] {
        let map = Array((["\(segments.count)"] + segments.flatMap { ["\($0.offset)", "\($0.count)"] }).map { "\($0)\n" }.joined().utf8)
        let records = [("major", "1"), ("minor", "0"), ("name", "sparse"), ("realsize", "\(size)")]
        var tar = TarBuilder()
        tar.add(
            "GNUSparseFile.0/sparse", data: map + [UInt8](repeating: 0, count: (512 - map.count % 512) % 512) + data,
            pax: records.map { ("GNU.sparse.\($0.0)", Array($0.1.utf8)) })
        return tar.finished
    }

    @Test("D08: a map that leads beyond every file is refused, and where one leads back the last word counts")
    func mapsThatLeadAstray() throws {
        let (block, last) = (128 << 10, Int.max)
        for offset in [last - 511, last - 100, last] {
            let tar = sparse([(offset, 512)], size: offset, data: [UInt8](repeating: 1, count: 512))
            for limits in [ArchiveLimits.layer, .layer.ofKnownLayers] {
                let fixture = try UnpackFixture()
                #expect(try fixture.refusal(of: tar, limits: limits) != nil, "\(offset)")
            }
            let reader = try ArchiveReader(MemorySource(tar), limits: .layer)
            #expect(throws: ArchiveError.self) { while try reader.next() != nil { try reader.readData { _ in } } }
        }
        let fixture = try UnpackFixture()
        let data = [UInt8](repeating: 1, count: block) + [UInt8](repeating: 0, count: block)
        #expect(try fixture.refusal(of: sparse([(0, block), (0, block)], size: block, data: data)) == nil)
        #expect(try readFile(fixture.root.appending("sparse"), limitBytes: 1 << 20) == Array(data[block...]))
    }

    @Test("D08: what follows the end mark is not unpacked, and a tar inside a tar stays a file")
    func boundaries() throws {
        let fixture = try UnpackFixture()
        var inner = TarBuilder()
        inner.add("smuggled", data: [1])
        var outer = TarBuilder()
        outer.add("inner.tar", data: inner.finished)
        _ = try fixture.unpack(outer.finished + inner.finished)
        #expect(try directoryEntries(of: try openFile(fixture.root, [.readOnly, .directory])).map(\.name) == ["inner.tar"])
    }

    @Test("D10: more entries or deeper paths than the limits allow end with an error that says so")
    func counts() throws {
        var limits = ArchiveLimits.layer
        limits.entries = 100
        limits.depth = 20
        var many = TarBuilder()
        for index in 0...100 { many.add("f\(index)") }
        var deep = TarBuilder()
        deep.add(String(repeating: "d/", count: 20) + "x")
        for tar in [many, deep] { #expect(try UnpackFixture().refusal(of: tar.finished, limits: limits) == .overLimit) }
        limits.reservedFreeBytes = .max
        #expect(try UnpackFixture().refusal(of: oneFile(), limits: limits) == .noSpace)
        limits.reservedFreeBytes = 0
        limits.reservedFreeInodes = .max
        #expect(try UnpackFixture().refusal(of: oneFile(), limits: limits) == .noSpace)
    }
}
