import Glibc
import LinuxSyscalls
import OCISpec
import Seccomp
import SystemPackage
import Testing

/// A folder of its own for each test, removed at its end.
private struct CacheFolder: ~Copyable {
    let path: FilePath

    init() {
        path = FilePath("/tmp/apus-seccomp-\(getpid())-\(UInt32.random(in: 0 ... .max))/cache")
    }

    deinit { try? removeTree(path.removingLastComponent()) }

    /// The one file in it.
    func file() throws -> FilePath {
        let folder = try openFile(path, [.readOnly, .directory])
        let entries = try directoryEntries(of: folder)
        #expect(entries.count == 1)
        return path.pushing(try #require(entries.first).name)
    }
}

@Suite("Cache of compiled filters")
struct CacheTests {
    private func profile(_ names: String...) -> SeccompConfiguration {
        var profile = SeccompConfiguration(defaultAction: .errno)
        profile.rules = [SeccompConfiguration.Rule(names: names, action: .allow)]
        return profile
    }

    @Test("the second time a profile is not compiled, and the program is the same")
    func hit() throws {
        let folder = CacheFolder()
        let first = try seccompProgram(for: profile("read", "write"), cache: folder.path)
        let second = try seccompProgram(for: profile("read", "write"), cache: folder.path)
        #expect(!first.wasCached && second.wasCached)
        #expect(first.cacheProblem == nil && second.cacheProblem == nil)
        #expect(first.instructions == second.instructions)
        #expect(try fileStatus(folder.path).mode == 0o700)
        #expect(try fileStatus(folder.file()).mode == 0o600)
    }

    @Test("a profile that differs in anything is compiled for itself")
    func miss() throws {
        let folder = CacheFolder()
        _ = try seccompProgram(for: profile("read", "write"), cache: folder.path)
        for other in [profile("readwrite"), profile("rea", "dwrite"), profile("read"), profile("write", "read")] {
            #expect(try !seccompProgram(for: other, cache: folder.path).wasCached)
        }
        var other = profile("read", "write")
        other.defaultErrnoReturn = 2
        #expect(try !seccompProgram(for: other, cache: folder.path).wasCached)
        other = profile("read", "write")
        other.rules[0].arguments = [SeccompConfiguration.Argument(index: 0, value: 1, comparison: .equal)]
        #expect(try !seccompProgram(for: other, cache: folder.path).wasCached)
    }

    @Test("a file that is torn, of another format or of another profile's key is not used, and replaced")
    func damage() throws {
        let folder = CacheFolder()
        let program = try seccompProgram(for: profile("read"), cache: folder.path).instructions
        let file = try folder.file()
        let whole = try readFile(file, limitBytes: 1 << 20)
        var damages: [[UInt8]] = [[], Array(whole.dropLast()), whole + [0], Array(whole.prefix(20))]
        for position in [0, 8, 12, 16, 20, 30, whole.count - 1] {
            var damaged = whole
            damaged[position] ^= 0x10
            damages.append(damaged)
        }
        for damaged in damages {
            try writeFileDurably(damaged, to: file)
            let again = try seccompProgram(for: profile("read"), cache: folder.path)
            #expect(!again.wasCached && again.instructions == program)
            #expect(try seccompProgram(for: profile("read"), cache: folder.path).wasCached)
        }
    }

    @Test("a file or directory that others can write, or that is a link, is not trusted")
    func distrust() throws {
        let folder = CacheFolder()
        _ = try seccompProgram(for: profile("read"), cache: folder.path)
        let file = try folder.file()
        try changeMode(file, to: 0o622)
        let distrusted = try seccompProgram(for: profile("read"), cache: folder.path)
        #expect(!distrusted.wasCached)
        #expect(distrusted.cacheProblem?.errno == EPERM)
        try changeMode(file, to: 0o600)
        try changeOwner(file, userID: 65534, groupID: 65534)
        #expect(try !seccompProgram(for: profile("read"), cache: folder.path).wasCached)
        try changeOwner(file, userID: geteuid(), groupID: getegid())
        #expect(try seccompProgram(for: profile("read"), cache: folder.path).wasCached)

        try renameFile(file, to: folder.path.appending("elsewhere"))
        try makeSymbolicLink(file, to: "elsewhere")
        #expect(try seccompProgram(for: profile("read"), cache: folder.path).cacheProblem?.errno == ELOOP)

        try changeMode(folder.path, to: 0o777)
        #expect(try seccompProgram(for: profile("write"), cache: folder.path).cacheProblem?.errno == EPERM)
    }

    @Test("a cache that cannot be written delays but does not fail")
    func unwritable() throws {
        let program = try seccompProgram(for: profile("read"), cache: "/proc/apus/cache")
        #expect(program.cacheProblem != nil)
        #expect(!program.instructions.isEmpty)
    }
}
