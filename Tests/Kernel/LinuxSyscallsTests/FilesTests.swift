import Glibc
import LinuxSyscalls
import SystemPackage
import Testing

@Suite("Files")
struct FilesTests {
    @Test("a refusal names the call, its subject and the errno")
    func refusal() {
        #expect(throws: SyscallError("open", "/nonexistent/file", errno: ENOENT)) {
            _ = try openFile("/nonexistent/file", .readOnly).number
        }
        #expect(SyscallError("bind", "/srv onto /data", errno: EACCES).description == "bind /srv onto /data: EACCES (13)")
    }

    @Test("an absolute symbolic link is resolved inside the root that openInRoot is given")
    func linkStaysInRoot() throws {
        let folder = FilePath("/tmp/apus-files-\(getpid())")
        try makeDirectories(folder.appending("root/etc"))
        defer { try? removeTree(folder) }
        try writeFileDurably(Array("inside".utf8), to: folder.appending("root/etc/passwd"))
        try makeSymbolicLink(folder.appending("root/link"), to: "/etc/passwd")
        let root = try openFile(folder.appending("root"), [.path, .directory])
        let file = try openInRoot("/../../link", .readOnly, root: root)
        #expect(try readAll(file.number, limitBytes: 100, subject: "link") == Array("inside".utf8))
    }
}
