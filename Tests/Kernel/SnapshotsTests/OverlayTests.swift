import Archive
import CoreTypes
import Foundation
import LinuxSyscalls
import Snapshots
import SystemPackage
import Testing

@Suite("Overlay snapshots", .serialized)
struct OverlayTests {
    @Test("feature A16: a hundred containers of one image cost kilobytes each")
    func cheap() throws {
        let fixture = try SnapshotFixture(.overlay)
        let image = try fixture.layer("image", "head -c 20000000 /dev/urandom > big")
        for index in 0..<100 {
            let key = try SnapshotKey("c\(index)")
            let mounts = try fixture.snapshotter.prepare(key, parent: image)
            if index == 0 { try fixture.mounted(mounts, "echo x > own") }
            #expect(try fixture.snapshotter.usage(of: key).bytes <= 16_384)
        }
        let kilobytes = try shell("du -sk \(fixture.folder)/s/overlayfs/active | cut -f1").trimmingCharacters(in: .newlines)
        #expect(try #require(Int(kilobytes)) < 100 * 32)
    }

    @Test("where no overlay can be made the copies serve, and the reason is told")
    func fallback() throws {
        let folder = FilePath("/tmp/apus-snapshots-fallback-\(getpid())")
        defer { try? removeTree(folder) }
        var reasons: [SnapshotError] = []
        // An overlay's options cannot name this path.
        let snapshotter = try openSnapshotter(at: folder.appending("a,b")) { reasons.append($0) }
        #expect(snapshotter.name == "copy")
        #expect(reasons.count == 1)
        let usual = try openSnapshotter(at: folder.appending("ab")) { reasons.append($0) }
        #expect(usual.name == "overlayfs")
        #expect(reasons.count == 1)
    }

    @Test("where layers of overlayfs lie already no copies take their place")
    func noFallbackFromLayers() throws {
        let folder = FilePath("/tmp/apus-snapshots-kept-\(getpid())")
        defer { try? removeTree(folder) }
        // As an overlay was made here once, and cannot be made now.
        try makeDirectories(folder.appending("a,b/overlayfs/layers/sha256-x"), mode: 0o700)
        #expect {
            _ = try openSnapshotter(at: folder.appending("a,b")) { Issue.record($0) }
        } throws: {
            ($0 as? SnapshotError)?.code == .system && "\($0)".contains("move \(folder)/a,b/overlayfs away")
        }
        #expect(throws: SyscallError.self) { try fileStatus(folder.appending("a,b/copy")) }
    }

    @Test("copies that lie already stay in use though an overlay can be made, until none is left")
    func copiesStay() throws {
        let folder = FilePath("/tmp/apus-snapshots-copies-\(getpid())")
        defer { try? removeTree(folder) }
        try makeDirectories(folder.appending("copy/layers/sha256-x"), mode: 0o700)
        var reasons: [SnapshotError.Code] = []
        #expect(try openSnapshotter(at: folder) { reasons.append($0.code) }.name == "copy")
        try makeDirectories(folder.appending("overlayfs/active/x"), mode: 0o700)
        #expect(try openSnapshotter(at: folder) { reasons.append($0.code) }.name == "overlayfs")
        #expect(reasons == [.inUse, .inUse])
        try removeTree(folder.appending("copy/layers/sha256-x"))
        #expect(try openSnapshotter(at: folder) { reasons.append($0.code) }.name == "overlayfs")
        #expect(reasons.count == 2)
    }

    @Test("layers are committed from the lowest up though unpacked side by side, and a second pull of a chain adds nothing")
    func concurrent() async throws {
        let fixture = try SnapshotFixture(.overlay)
        let chains = (0..<4).map { fixture.chainID("layer\($0)") }
        try await pull(chains, into: fixture.snapshotter)
        #expect(fixture.snapshotter.list().count == 4)
        #expect(try shell("cd \(fixture.folder)/s/overlayfs && ls l layers building | grep -c .") == "11\n")
        let mounts = try fixture.snapshotter.view(try SnapshotKey("v"), parent: chains[3])
        #expect(try fixture.mounted(mounts, "cat f0 f1 f2 f3") == "0123")
        try fixture.reopen()
        #expect(fixture.snapshotter.list().count == 5)
    }

    /// Four pulls of the same layers at once.
    private func pull(_ chains: [Digest], into snapshotter: any Snapshotter) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for pull in 0..<4 {
                group.addTask {
                    for (index, chain) in chains.enumerated() {
                        let key = try SnapshotKey("pull\(pull)-\(index)")
                        let tree = try snapshotter.beginLayer(key)
                        try writeFileDurably(Array("\(index)".utf8), to: tree.appending("f\(index)"))
                        try snapshotter.commitLayer(key, as: chain, parent: index == 0 ? nil : chains[index - 1], applied: AppliedLayer())
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("attack D10: 128 layers are mounted, by fsconfig(2) where their options exceed a page, and one more is refused by name")
    func depth() throws {
        let fixture = try SnapshotFixture(.overlay)
        var parent: Digest?
        for index in 0..<layerDepthLimit {
            let key = try SnapshotKey("l\(index)")
            try writeFileDurably([1], to: try fixture.snapshotter.beginLayer(key).appending("f\(index)"))
            let chain = fixture.chainID("\(index)")
            try fixture.snapshotter.commitLayer(key, as: chain, parent: parent, applied: AppliedLayer())
            parent = chain
        }
        let over = try SnapshotKey("over")
        _ = try fixture.snapshotter.beginLayer(over)
        #expect {
            try fixture.snapshotter.commitLayer(over, as: fixture.chainID("over"), parent: parent, applied: AppliedLayer())
        } throws: {
            ($0 as? SnapshotError)?.code == .tooDeep
        }
        let mount = try #require(try fixture.snapshotter.prepare(try SnapshotKey("c"), parent: parent).first)
        #expect(mount.options.joined(separator: ",").utf8.count > 4095)
        let overlay = try detached(mount)
        let root = try openFile(".", [.readOnly, .directory], at: overlay.number)
        #expect(try directoryEntries(of: root).count == layerDepthLimit)
    }

    /// Mounts an overlay that is nowhere to be seen, as the shim mounts one of long options.
    private func detached(_ mount: SnapshotMount) throws -> OwnedFD {
        let context = try openFileSystem(type: "overlay")
        for option in mount.options {
            let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
            if parts[0] != "lowerdir" {
                try configureFileSystem(context, parts[0], parts[1])
            } else {
                for layer in parts[1].split(separator: ":") { try configureFileSystem(context, "lowerdir+", String(layer)) }
            }
        }
        try createFileSystem(context, subject: "overlay")
        return try mountFileSystem(context, [], subject: "overlay")
    }
}
