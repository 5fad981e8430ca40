import Glibc
import LinuxSyscalls
import SystemPackage
import Testing

@Suite("Trees and contents")
struct TreesTests {
    private func folder(_ name: String) -> FilePath { FilePath("/tmp/apus-trees-\(getpid())-\(name)") }

    @Test("a removed tree takes no file outside with it, whatever its links say")
    func removal() throws {
        let folder = folder("removal")
        try makeDirectories(folder.appending("tree/dir"))
        defer { try? removeTree(folder) }
        try writeFileDurably([1], to: folder.appending("outside"))
        for name in ["tree/link", "tree/dir/link"] { try makeSymbolicLink(folder.appending(name), saying: Array(folder.string.utf8)) }
        try removeTree(folder.appending("tree"))
        try removeTree(folder.appending("tree"))
        #expect(try directoryEntries(of: try openFile(folder, [.readOnly, .directory])).map(\.name) == ["outside"])
    }

    @Test("a removed tree takes nothing of what is mounted in it, be it of the same file system")
    func mounted() throws {
        let folder = folder("mounted")
        try makeDirectories(folder.appending("tree/place"))
        try makeDirectories(folder.appending("outside"))
        try writeFileDurably([1], to: folder.appending("outside/file"))
        try mount(folder.appending("outside").string, onto: folder.appending("tree/place"), flags: .bind)
        do {
            defer { try? unmount(folder.appending("tree/place")) }
            let refusal = #expect(throws: SyscallError.self) { try removeTree(folder.appending("tree")) }
            #expect(refusal?.errno == EXDEV)
        }
        #expect(try readFile(folder.appending("outside/file"), limitBytes: 9) == [1])
        try removeTree(folder)
    }

    @Test("a deep tree that has the name under which its depths are moved up is removed", arguments: [["a", "taken"], ["taken", "a"]])
    func takenName(made: [String]) throws {
        // In memory names are in the order of their making, or the other way around: of one of the two trees the name is seen behind its depths.
        let folder = FilePath("/dev/shm/apus-trees-\(getpid())-\(made[0])")
        try makeDirectories(folder)
        defer { try? removeTree(folder) }
        for name in made {
            let deep = (0..<70).map { _ in "d" }.joined(separator: "/")
            try makeDirectories(folder.appending("tree").appending(name == "a" ? "a/\(deep)" : ".apus-deep-\(getpid())-1/full"))
        }
        try removeTree(folder.appending("tree"))
        #expect(try directoryEntries(of: try openFile(folder, [.readOnly, .directory])).isEmpty)
    }

    @Test("what cannot be removed of a tree keeps nothing else in it, and is counted")
    func hindered() throws {
        let folder = folder("hindered")
        let places = ["tree/a/busy", "tree/b/c/busy", "tree/d/busy"].map { folder.appending($0) }
        for place in places { try makeDirectories(place) }
        defer { try? removeTree(folder) }
        for name in ["tree/1", "tree/a/1", "tree/b/c/2", "tree/d/3", "tree/z"] {
            try writeFileDurably([1], to: folder.appending(name))
        }
        for place in places { try mount(folder.string, onto: place, flags: .bind) }
        do {
            defer { for place in places { try? unmount(place) } }
            let refusal = try #require(#expect(throws: SyscallError.self) { try removeTree(folder.appending("tree")) })
            #expect(refusal.errno == EXDEV && refusal.subject.hasSuffix("/busy (and 2 more are left)"), "\(refusal)")
            #expect(
                try Set(directoryEntries(of: try openFile(folder.appending("tree"), [.readOnly, .directory])).map(\.name)) == [
                    "a", "b", "d",
                ])
            #expect(try directoryEntries(of: try openFile(folder.appending("tree/b/c"), [.readOnly, .directory])).map(\.name) == ["busy"])
            try unmount(places[0])
            try unmount(places[1])
            let last = try #require(#expect(throws: SyscallError.self) { try removeTree(folder.appending("tree")) })
            #expect(last.subject.hasSuffix("tree/d/busy"), "\(last)")
        }
        try removeTree(folder.appending("tree"))
        #expect(try directoryEntries(of: try openFile(folder, [.readOnly, .directory])).isEmpty)
    }

    @Test("a name that is taken stays whose it is")
    func replacingNothing() throws {
        let folder = folder("taken")
        try makeDirectories(folder.appending("there"))
        defer { try? removeTree(folder) }
        for name in ["one", "two", "there/one"] { try writeFileDurably(Array(name.utf8), to: folder.appending(name)) }
        let from = try openFile(folder, [.readOnly, .directory])
        let onto = try openFile(folder.appending("there"), [.readOnly, .directory])
        let (source, target) = (from.number, onto.number)
        func move(_ name: FilePath) throws(SyscallError) {
            try renameFileReplacingNothing(name, to: name, fromDirectory: source, toDirectory: target)
        }
        let refusal = #expect(throws: SyscallError.self) { try move("one") }
        #expect(refusal?.errno == EEXIST)
        try move("two")
        #expect(
            try ["there/one", "there/two", "one"].map { String(decoding: try readFile(folder.appending($0), limitBytes: 9), as: UTF8.self) }
                == ["there/one", "two", "one"])
    }

    @Test("a copy keeps holes, and its length where it ends in one")
    func holes() throws {
        let folder = folder("holes")
        try makeDirectories(folder)
        defer { try? removeTree(folder) }
        let source = try openFile(folder.appending("a"), [.readWrite, .create])
        try writeAll([1, 2, 3].span, at: 5_000_000, to: source.number)
        try setSize(of: source.number, bytes: 9_000_000)
        let target = try openFile(folder.appending("b"), [.readWrite, .create])
        try copyContents(from: source.number, to: target.number, sizeBytes: 9_000_000)
        let status = try fileStatus(folder.appending("b"))
        #expect(status.sizeBytes == 9_000_000)
        #expect(status.allocatedBytes < 1_000_000)
        #expect(try readFile(folder.appending("a"), limitBytes: 9_000_000) == readFile(folder.appending("b"), limitBytes: 9_000_000))
    }

    @Test("a lock is one descriptor's, and ends with it")
    func locks() throws {
        let folder = folder("locks")
        let path = folder.appending("file")
        try makeDirectories(folder)
        defer { try? removeTree(folder) }
        let second = try openFile(path, [.readWrite, .create])
        do {
            let first = try openFile(path, [.readWrite])
            #expect(try lockExclusively(first.number))
            #expect(try !lockExclusively(second.number))
        }
        #expect(try lockExclusively(second.number))
    }
}
