import Archive
import LinuxSyscalls
import SystemPackage
import Testing

/// Layers of many small files, which are made on several threads, against the same layers made entry by entry.
struct FileWritersTests {
    /// A small file with a label is made in its order; the label itself is dropped.
    private static let inOrder = [("SCHILY.xattr.security.selinux", Array("label".utf8))]

    /// What the tree holds but for the times of directories and whiteouts, some of which are the moment's.
    private static func outcome(of tar: [UInt8]) throws -> (refusal: ArchiveError.Code?, lines: Set<String>) {
        let fixture = try UnpackFixture()
        if let refusal = try fixture.refusal(of: tar) { return (refusal, []) }
        try fixture.expectCanariesUntouched()
        return (
            nil,
            Set(
                try fixture.listing().map { line in
                    var words = line.split(separator: " ")
                    if words[1] == "directory" || words[1] == "characterDevice" { words.remove(at: 4) }
                    return words.joined(separator: " ")
                })
        )
    }

    @Test("whatever meets files on their way finds them as in the archive's order: names twice, links, whiteouts, replaced directories")
    func sameAsInOrder() throws {
        var refused = 0
        for seed in 0..<24 {
            var random = Generator(state: UInt64(seed))
            var tars = (beside: TarBuilder(), inOrder: TarBuilder())
            func both(_ add: (inout TarBuilder, _ isInOrder: Bool) -> Void) {
                add(&tars.beside, false)
                add(&tars.inOrder, true)
            }
            func file(_ path: String, _ content: Int, mode: Int = 0o644) {
                let data = [UInt8](repeating: UInt8(content & 255), count: content % 700)
                both { $0.add(path, mode: mode, owner: content % 3, data: data, pax: $1 ? Self.inOrder : []) }
            }
            for number in 0..<80 { file("many/\(number)", number) }
            for number in 0..<3 { both { tar, _ in tar.addDirectory("d\(number)") } }
            for step in 0..<120 {
                // Few names in few places, so that they meet.
                let name = "d\(random.below(3))/" + (random.below(2) == 0 ? "" : "e\(random.below(2))/") + "n\(random.below(4))"
                let (folder, other) = ("d\(random.below(3))", "d\(random.below(3))/n\(random.below(4))")
                switch random.below(40) {
                case 0: both { tar, _ in tar.addDirectory(name) }
                case 1: both { tar, _ in tar.addDirectory("d\(step % 3)/e\(step % 2)", mode: 0o750) }
                case 2: both { tar, _ in tar.addLink(name, to: "/" + other) }
                case 3: both { tar, _ in tar.addLink("d\(step % 3)/e\(step % 2)", to: "../" + folder) }
                case 4: both { tar, _ in tar.addHardLink(name, to: "many/\(step % 80)") }
                case 5: both { tar, _ in tar.add(name.split(separator: "/").dropLast().joined(separator: "/") + "/.wh.n1") }
                // What lies below a file then is refused.
                case 6 where seed % 4 == 0: file("d\(step % 3)/e\(step % 2)", step)
                case 7: both { tar, _ in tar.add(name, data: [UInt8](repeating: 7, count: 70_000)) }
                default: file(name, step, mode: step % 5 == 0 ? 0o4755 : 0o600)
                }
            }
            let (beside, inOrder) = (try Self.outcome(of: tars.beside.finished), try Self.outcome(of: tars.inOrder.finished))
            #expect(beside.refusal == inOrder.refusal, "seed \(seed)")
            #expect(beside.lines.symmetricDifference(inOrder.lines) == [], "seed \(seed)")
            if beside.refusal != nil { refused += 1 }
        }
        #expect(refused < 12)
    }

    @Test(
        "who asks for the last of many files waits for it", arguments: ["link", "directory", "hard link", "replaced", "whiteout", "twice"])
    func onItsWay(_ asking: String) throws {
        let fixture = try UnpackFixture()
        var tar = TarBuilder()
        for number in 0..<500 { tar.add("a/\(number)", data: [UInt8](repeating: 1, count: 2000)) }
        switch asking {
        case "link": tar.addLink("a/499", to: "0")
        case "directory": tar.addDirectory("a/499")
        case "hard link": tar.addHardLink("second", to: "a/499")
        case "replaced": tar.addLink("a", to: "elsewhere")
        case "whiteout": tar.add("a/.wh.499")
        default: tar.add("a/499", data: [2])
        }
        _ = try fixture.unpack(tar.finished)
        let (top, last) = (fixture.root.appending("a"), fixture.root.appending("a").appending("499"))
        switch asking {
        case "link": #expect(try fileStatus(last).type == .symbolicLink)
        case "directory": #expect(try fileStatus(last).type == .directory)
        case "hard link": #expect(try fileStatus(last).linkCount == 2)
        case "replaced": #expect(try fileStatus(top).type == .symbolicLink)
        case "whiteout": #expect(try fileStatus(last).sizeBytes == 2000)
        default: #expect(try readFile(last, limitBytes: 9) == [2])
        }
        if asking != "replaced" { #expect(try directoryEntries(of: try openFile(top, [.readOnly, .directory])).count == 500) }
    }

    @Test("a file in place of a directory or a link ends what leads through it, wherever the files before are")
    func replacedOnTheWay() throws {
        for label in [[], Self.inOrder] {
            for isLink in [false, true] {
                var tar = TarBuilder()
                for number in 0..<80 { tar.add("many/\(number)", data: [1]) }
                tar.addDirectory("e")
                if isLink { tar.addLink("d", to: "e") } else { tar.addDirectory("d") }
                tar.add("d", data: [2], pax: label)
                tar.add("d/x", data: [3], pax: label)
                #expect(try Self.outcome(of: tar.finished).refusal == .refusedEntry)
            }
        }
    }

    @Test("of many directories that stay open none is written into once something else has its name")
    func replacedAmongOthers() throws {
        for label in [[], Self.inOrder] {
            let fixture = try UnpackFixture()
            var tar = TarBuilder()
            for round in 0..<4 { for number in 0..<40 { tar.add("d\(number)/\(round)", data: [1], pax: label) } }
            tar.add("d7", data: [2], pax: label)
            tar.addDirectory("d7")
            for number in 0..<40 { tar.add("d\(number)/last", data: [3], pax: label) }
            _ = try fixture.unpack(tar.finished)
            for number in 0..<40 {
                let directory = try openFile(fixture.root.appending("d\(number)"), [.readOnly, .directory])
                let names = try directoryEntries(of: directory).map(\.name.string).sorted()
                #expect(names == (number == 7 ? ["last"] : ["0", "1", "2", "3", "last"]), "d\(number)")
            }
        }
    }

    @Test("a file of which a header tells a larger size than there is data ends in zeros")
    func shortData() throws {
        var sizes: Set<Int> = []
        for label in [[], Self.inOrder] {
            let fixture = try UnpackFixture()
            var tar = TarBuilder()
            tar.add("short", data: [UInt8](repeating: 7, count: 10), pax: [("SCHILY.realsize", Array("1000".utf8))] + label)
            _ = try fixture.unpack(tar.finished)
            let content = try readFile(fixture.root.appending("short"), limitBytes: 2000)
            #expect(content.prefix(10).allSatisfy { $0 == 7 } && content.dropFirst(10).allSatisfy { $0 == 0 })
            sizes.insert(content.count)
        }
        #expect(sizes == [1000])
    }

    @Test("a file that cannot be made ends the layer, which names it, and leaves no file half made")
    func failure() throws {
        let fixture = try UnpackFixture()
        var tar = TarBuilder()
        for number in 0..<200 { tar.add("a/\(number)", data: [1]) }
        tar.add("a/" + String(repeating: "x", count: 300), data: [1])
        for number in 0..<2000 { tar.add("b/\(number)", data: [1]) }
        let error = #expect(throws: ArchiveError.self) { try fixture.unpack(tar.finished) }
        #expect(error?.subject.contains("xxx") == true)
        // All that is there was made whole: nobody was in the middle of it.
        for line in try fixture.listing() where line.hasPrefix("a/") || line.hasPrefix("b/") { #expect(line.contains(" 1000000000.0 1 ")) }
    }
}

/// The same numbers for the same seed: splitmix64.
private struct Generator {
    var state: UInt64

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((value ^ (value >> 31)) % UInt64(bound))
    }
}
