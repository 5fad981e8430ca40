// Rows: attacks
import LinuxSyscalls
import OCISpec
import SystemPackage
import Testing

@testable import Engine

@Suite struct AccountTests {
    private let files = AccountFiles(
        passwd: Array("root:x:0:0:root:/root:/bin/sh\nweb:x:33:44::/:\nbroken line\nbad:x:no:0\n".utf8),
        group: Array("root:x:0:\nwheel:x:10:root,web\nweb:x:44:\nlogs:x:50:web\n".utf8))

    @Test("root has the groups that name it, its own first")
    func root() throws { #expect(try files.resolve("") == UserConfiguration(uid: 0, gid: 0, additionalGIDs: [0, 10])) }

    @Test("a user is found by name and by number, with its groups")
    func users() throws {
        let web = UserConfiguration(uid: 33, gid: 44, additionalGIDs: [44, 10, 50])
        #expect(try files.resolve("web") == web)
        #expect(try files.resolve("33") == web)
        #expect(try files.resolve("web:logs") == UserConfiguration(uid: 33, gid: 50, additionalGIDs: [50]))
        #expect(try files.resolve("1234") == UserConfiguration(uid: 1234, gid: 0, additionalGIDs: [0]))
        #expect(
            try files.resolve("1234:4321", additional: ["wheel", "99"])
                == UserConfiguration(uid: 1234, gid: 4321, additionalGIDs: [4321, 10, 99]))
    }

    @Test("A14 a number is digits alone: whatever else could be read as root is a name", arguments: ["+0", "-0", " 0", "0 ", "0x0", "00x"])
    func numbers(word: String) {
        #expect(refusal { _ = try files.resolve(word) }?.message == "unable to find user \(word): no matching entries in passwd file")
        #expect(
            refusal { _ = try files.resolve("web:\(word)") }?.message == "unable to find group \(word): no matching entries in group file")
        #expect(AccountFiles(passwd: Array("sly:x:+0:\(word)::/:\n".utf8)).users.isEmpty)
    }

    @Test("a name that no line has is refused in Docker's words")
    func unknown() {
        #expect(refusal { _ = try files.resolve("nobody") }?.message == "unable to find user nobody: no matching entries in passwd file")
        #expect(refusal { _ = try files.resolve("web:none") }?.message == "unable to find group none: no matching entries in group file")
        #expect(refusal { _ = try files.resolve("4294967295") }?.message == "uids and gids must be in range 0-2147483647")
    }
}

/// Reads real directories, which need no privilege.
@Suite struct LayeredTreeTests {
    private func withLayers(_ body: (FilePath, FilePath) throws -> Void) throws {
        let root = FilePath("/tmp/apus-layers-\(Identifiers.random().shortID)")
        let (upper, lower) = (root.appending("upper"), root.appending("lower"))
        try makeDirectories(upper.appending("etc"))
        try makeDirectories(lower.appending("etc"))
        defer { try? removeTree(root) }
        try body(upper, lower)
    }

    private func write(_ text: String, to path: FilePath) throws {
        let file = try openFile(path, [.writeOnly, .create, .truncate], mode: 0o644)
        try writeAll(Array(text.utf8), to: file.number)
    }

    @Test("a file of the upper layer hides the one below, and links are followed inside the root")
    func layers() throws {
        try withLayers { upper, lower in
            try write("lower", to: lower.appending("etc/passwd"))
            let tree = LayeredTree(layers: [upper, lower])
            #expect(try tree.contents(of: "/etc/passwd", limitBytes: 100) == Array("lower".utf8))
            try write("upper", to: upper.appending("etc/real"))
            try makeSymbolicLink(upper.appending("etc/passwd"), to: "../../../../etc/real")
            #expect(try tree.contents(of: "/etc/passwd", limitBytes: 100) == Array("upper".utf8))
            #expect(try tree.contents(of: "/etc/group", limitBytes: 100) == nil)
        }
    }

    @Test("C08 a pipe, a device of the host behind a link, a loop and a large file are refused")
    func hostile() throws {
        try withLayers { upper, lower in
            let tree = LayeredTree(layers: [upper, lower])
            try makeNode(upper.appending("etc/passwd"), .pipe, mode: 0o644)
            #expect(refusal { _ = try tree.contents(of: "/etc/passwd", limitBytes: 100) } != nil)
            try makeSymbolicLink(upper.appending("etc/zero"), to: "/dev/zero")
            #expect(try tree.contents(of: "/etc/zero", limitBytes: 100) == nil)
            try makeSymbolicLink(upper.appending("etc/loop"), to: "loop")
            #expect(refusal { _ = try tree.contents(of: "/etc/loop", limitBytes: 100) } != nil)
            try write(String(repeating: "x", count: 101), to: upper.appending("etc/large"))
            #expect(refusal { _ = try tree.contents(of: "/etc/large", limitBytes: 100) } != nil)
        }
    }
}
