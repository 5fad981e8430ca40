import CoreTypes
import Glibc
import LinuxSyscalls
import Snapshots
import SystemPackage
import Testing

@Suite("A root that nobody has mounted", .serialized)
struct ReadOnlyRootTests {
    private func text(_ name: FilePath, in root: borrowing OwnedFD) throws -> String? {
        do throws(SyscallError) {
            let file = try openInRoot(name, .readOnly, root: root, resolve: [.inRoot])
            return String(decoding: try readAll(file.number, limitBytes: 100, subject: name.string), as: UTF8.self)
        } catch {
            guard error.errno == ENOENT else { throw error }
            return nil
        }
    }

    @Test("is read as a container sees it, what it wrote and removed included", arguments: SnapshotBackEnd.allCases)
    func merged(backEnd: SnapshotBackEnd) throws {
        let fixture = try SnapshotFixture(backEnd)
        let base = try fixture.layer("base", "mkdir d; echo base > d/kept; echo base > d/gone; echo base > changed")
        let top = try fixture.layer("top", on: base, "mkdir e; echo top > e/own")
        let key = try SnapshotKey("c1")
        let mounts = try fixture.snapshotter.prepare(key, parent: top)
        try fixture.mounted(mounts, "rm d/gone; echo new > changed; ln -s /../../e/own link")
        let before = try readFile("/proc/self/mountinfo", limitBytes: 1 << 20)

        let root = try openReadOnly(try fixture.snapshotter.mounts(of: key), at: fixture.folder)

        #expect(try text("d/kept", in: root) == "base\n")
        #expect(try text("d/gone", in: root) == nil)
        #expect(try text("changed", in: root) == "new\n")
        #expect(try text("link", in: root) == "top\n")
        #expect(throws: SyscallError("mkdir", "x", errno: EROFS)) { try makeDirectory("x", at: root.number) }
        #expect(try readFile("/proc/self/mountinfo", limitBytes: 1 << 20) == before)
        // The store is the host's as before: what the copy back end works in is not covered by the mount.
        #expect(try fixture.snapshotter.usage(of: key).inodes > 0)
    }

    @Test("of a container without layers is its own directory")
    func single() throws {
        let fixture = try SnapshotFixture(.overlay)
        let mounts = try fixture.snapshotter.prepare(try SnapshotKey("c1"), parent: nil)
        try fixture.mounted(mounts, "echo x > own")
        #expect(try text("own", in: try openReadOnly(mounts, at: fixture.folder)) == "x\n")
    }
}
