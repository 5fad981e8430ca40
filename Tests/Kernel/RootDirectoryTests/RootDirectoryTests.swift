// Rows: attacks
import Glibc
import LinuxSyscalls
import Rootfs
import Synchronization
import SystemPackage
import Testing

/// A folder with a root in it and something beside the root that must not be reached.
private struct Sandbox: ~Copyable {
    let folder: FilePath
    let root: RootDirectory

    init() throws {
        folder = FilePath("/tmp/apus-rootdirectory-\(getpid())-\(UInt32.random(in: 0 ... .max))")
        try makeDirectories(folder.appending("root/etc"))
        try makeDirectories(folder.appending("canary"))
        root = RootDirectory(try openFile(folder.appending("root"), [.path, .directory]))
    }

    deinit { try? removeTree(folder) }

    func link(_ path: String, to target: String) throws {
        try makeSymbolicLink(folder.appending("root/\(path)"), to: FilePath(target))
    }

    /// Where a mount point was found or made, relative to the folder.
    func place(_ path: String, _ missing: RootDirectory.Missing = .directory, followingLinks: Bool = true) throws -> String {
        let place = try root.openMountPoint(path, creating: missing, followingLinks: followingLinks)
        let real = try readSymbolicLink(FilePath("/proc/self/fd/\(place.descriptor.number)")).string
        return String(real.dropFirst(folder.string.count + 1))
    }

    func canaryIsUntouched() throws -> Bool {
        let canary = try openFile(folder.appending("canary"), [.readOnly, .directory])
        return try directoryEntries(of: canary).isEmpty
    }
}

@Suite("Places inside a root")
struct RootDirectoryTests {
    @Test("A08 links that point out of the root lead to places inside it, which are made there")
    func linksOut() throws {
        let sandbox = try Sandbox()
        try sandbox.link("dev", to: "../../../../canary")
        try sandbox.link("abs", to: sandbox.folder.appending("canary").string)
        #expect(try sandbox.place("/dev/pts") == "root/canary/pts")
        #expect(try sandbox.place("/abs/x", .file) == "root\(sandbox.folder.appending("canary/x"))")
        #expect(try sandbox.place("/../../../etc") == "root/etc")
        #expect(try sandbox.canaryIsUntouched())
    }

    @Test("missing directories are made on the way, a missing file at its end, with the modes of runc")
    func missing() throws {
        let sandbox = try Sandbox()
        let mask = umask(0)
        defer { umask(mask) }
        #expect(try sandbox.place("/a/b/c", .file) == "root/a/b/c")
        #expect(try fileStatus(sandbox.folder.appending("root/a/b")).mode == 0o755)
        #expect(try fileStatus(sandbox.folder.appending("root/a/b/c")).type == .regular)
        let again = try sandbox.root.openMountPoint("/a/b/c", creating: .file)
        let wasMadeAgain = again.wasMade
        #expect(!wasMadeAgain)
    }

    @Test("a dangling link is followed to where it would lead, over `..` too")
    func dangling() throws {
        let sandbox = try Sandbox()
        try sandbox.link("var", to: "/run/./x/../state")
        #expect(try sandbox.place("/var/y/../z") == "root/run/state/z")
    }

    @Test("where links are not to be followed one on the way is refused with ELOOP")
    func noLinks() throws {
        let sandbox = try Sandbox()
        try sandbox.link("proc", to: "etc")
        try sandbox.link("gone", to: "nowhere")
        for path in ["/proc", "/gone"] {
            #expect(throws: SyscallError.self) { _ = try sandbox.place(path, followingLinks: false) }
        }
        #expect(try sandbox.place("/etc", followingLinks: false) == "root/etc")
    }

    @Test("A31 chains of links, long names and long ways end in an error, in bounded time")
    func hostileTrees() throws {
        let sandbox = try Sandbox()
        for index in 0..<200 { try sandbox.link("l\(index)", to: "l\(index + 1)") }
        try sandbox.link("self", to: "self/self/self")
        #expect(throws: SyscallError("openat2", "/l0", errno: ELOOP)) { _ = try sandbox.place("/l0") }
        #expect(throws: SyscallError.self) { _ = try sandbox.place("/self") }
        #expect(throws: SyscallError.self) { _ = try sandbox.place("/new/" + String(repeating: "n", count: 4096)) }
        #expect(throws: SyscallError.self) { _ = try sandbox.place(String(repeating: "/d", count: 5000)) }
    }

    @Test("a file on the way is no directory, and what does not exist is not opened")
    func notADirectory() throws {
        let sandbox = try Sandbox()
        _ = try sandbox.place("/file", .file)
        #expect(throws: SyscallError.self) { _ = try sandbox.place("/file/below") }
        #expect(throws: SyscallError("openat2", "/none", errno: ENOENT)) { _ = try sandbox.root.open("/none").number }
    }

    @Test("A02 magic links of procfs are not followed")
    func magicLinks() throws {
        let top = RootDirectory(try openFile("/", [.path, .directory]))
        #expect(throws: SyscallError("openat2", "/proc/self/exe", errno: ELOOP)) { _ = try top.open("/proc/self/exe").number }
    }

    @Test("A04 A10 a directory swapped for a link while places are made in it leads nowhere outside")
    func race() async throws {
        let sandbox = try Sandbox()
        let folder = sandbox.folder
        try makeDirectories(folder.appending("root/real"))
        try makeSymbolicLink(folder.appending("root/link"), to: folder.appending("canary"))
        let swaps = Atomic(0)
        let finished = Atomic(false)
        async let swapping: Void = {
            // Three renames that leave now the directory, now the link, now nothing under the name.
            let names = [("real", "kept"), ("link", "real"), ("real", "link"), ("kept", "real")]
            while !finished.load(ordering: .relaxed) {
                for (from, to) in names { try renameFile(folder.appending("root/\(from)"), to: folder.appending("root/\(to)")) }
                swaps.add(1, ordering: .relaxed)
            }
        }()
        // Before any place is made: that may stop the swapping.
        while swaps.load(ordering: .relaxed) == 0 { await Task.yield() }
        for index in 0..<500 {
            // In the directory, in the link's target inside the root, or an error: never in the canary.
            _ = try? sandbox.place("/real/d\(index)/e")
        }
        finished.store(true, ordering: .relaxed)
        // Making `real` anew may have stopped the swapping; that it happened at all is what counts.
        _ = try? await swapping
        #expect(swaps.load(ordering: .relaxed) > 0)
        #expect(try sandbox.canaryIsUntouched())
    }
}
