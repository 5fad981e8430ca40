// Rows: attacks
import Archive
import CoreTypes
import Foundation
import LinuxSyscalls
import Snapshots
import Synchronization
import SystemPackage
import Testing

/// What every back end must do, run against each.
@Suite("Snapshotter", .serialized)
struct SnapshotterSuite {
    @Test("layers show as one tree: replaced, hidden and opaque names as the image says", arguments: SnapshotBackEnd.allCases)
    func stacking(_ backEnd: SnapshotBackEnd) throws {
        let fixture = try SnapshotFixture(backEnd)
        let base = try fixture.layer(
            "base",
            """
            mkdir -p etc opaque keep/deep && echo old > etc/conf && echo gone > etc/gone && echo x > opaque/below && echo k > keep/deep/k
            ln etc/conf etc/second && mkdir type && echo in > type/in && echo file > other && mkdir -m 1777 tmp && chown 7:8 keep
            """)
        let top = try fixture.layer(
            "top", on: base, members: "etc opaque type other tmp/new .wh.nothing",
            """
            mkdir -p etc opaque tmp other && echo new > etc/conf && touch etc/.wh.gone opaque/.wh..wh..opq .wh.nothing
            echo y > opaque/above && echo now-a-file > type && echo o > other/o && echo t > tmp/new
            """)
        let mounts = try fixture.snapshotter.prepare(try SnapshotKey("container"), parent: top)
        let seen = try fixture.mounted(
            mounts,
            "find . -mindepth 1 | sort; cat etc/conf etc/second type other/o keep/deep/k tmp/new; stat -c '%a %u %g' tmp keep")
        #expect(
            seen == """
                ./etc
                ./etc/conf
                ./etc/second
                ./keep
                ./keep/deep
                ./keep/deep/k
                ./opaque
                ./opaque/above
                ./other
                ./other/o
                ./tmp
                ./tmp/new
                ./type
                new
                old
                now-a-file
                o
                k
                t
                1777 0 0
                755 7 8

                """)
    }

    /// What a thread has done, and what went wrong.
    private final class Told: Sendable {
        let count = Atomic(0)
        let failures = Mutex<[String]>([])
    }

    @Test("a layer that is being committed is never taken for a stranger", arguments: SnapshotBackEnd.allCases)
    func committedLayersAreKnown(_ backEnd: SnapshotBackEnd) throws {
        let fixture = try SnapshotFixture(backEnd)
        let (snapshotter, told) = (fixture.snapshotter, Told())
        let chains = (0..<40).map { fixture.chainID("c\($0)") }
        let committing = Thread {
            for (number, chain) in chains.enumerated() {
                do {
                    let key = try SnapshotKey("pull-\(number)")
                    _ = try snapshotter.beginLayer(key)
                    try snapshotter.commitLayer(key, as: chain, parent: nil, applied: AppliedLayer())
                } catch { told.failures.withLock { $0.append("\(error)") } }
                told.count.add(1, ordering: .sequentiallyConsistent)
            }
        }
        committing.start()
        while told.count.load(ordering: .sequentiallyConsistent) < chains.count {
            let strangers = try snapshotter.strangers()
            if !strangers.isEmpty { told.failures.withLock { $0 += strangers.map(\.string) } }
        }
        #expect(told.failures.withLock { $0 } == [])
        #expect(chains.allSatisfy { snapshotter.contains(layer: $0) })
    }

    @Test("a layer that is opaque at its root hides all below, and a bare root looks as the one below", arguments: SnapshotBackEnd.allCases)
    func opaqueRoot(_ backEnd: SnapshotBackEnd) throws {
        let fixture = try SnapshotFixture(backEnd)
        let base = try fixture.layer("base", "echo 1 > below && chmod 711 . && chown 5:6 .")
        let bare = try fixture.layer("bare", on: base, members: "x", "echo 2 > x")
        let bareMounts = try fixture.snapshotter.prepare(try SnapshotKey("bare"), parent: bare)
        #expect(try fixture.mounted(bareMounts, "stat -c '%a %u %g' .; ls") == "711 5 6\nbelow\nx\n")
        let opaque = try fixture.layer("opaque", on: bare, members: ".wh..wh..opq y", "touch .wh..wh..opq y")
        let mounts = try fixture.snapshotter.prepare(try SnapshotKey("opaque"), parent: opaque)
        #expect(try fixture.mounted(mounts, "ls -A") == "y\n")
        try fixture.reopen()
        #expect(try fixture.mounted(try fixture.snapshotter.mounts(of: try SnapshotKey("opaque")), "ls -A") == "y\n")
    }

    @Test("D02: a lower layer's link to the host gives an upper layer no way out", arguments: SnapshotBackEnd.allCases)
    func linkInLowerLayer(_ backEnd: SnapshotBackEnd) throws {
        let fixture = try SnapshotFixture(backEnd)
        let canary = fixture.folder.appending("host-canary.d")
        try shell("mkdir \(canary) && echo canary > \(canary)/x && chmod 700 \(canary)")
        let before = try shell("stat -c '%n %i %a %u %Y %Z' \(canary) \(canary)/x; cat \(canary)/x; ls -A \(canary)")
        let base = try fixture.layer("base", "ln -s \(canary) etc; ln -s \(canary)/x file; ln -s ../../../../../..\(canary) up")
        let top = try fixture.layer(
            "top", on: base, members: "etc/x etc/.wh.y etc/.wh..wh..opq etc file up/.wh.x",
            "mkdir -m 777 etc up && echo evil > etc/x && touch etc/.wh.y etc/.wh..wh..opq up/.wh.x && echo evil > file && chmod 777 file")
        let mounts = try fixture.snapshotter.prepare(try SnapshotKey("container"), parent: top)
        #expect(try fixture.mounted(mounts, "cat etc/x file; test -d up && ls -A up") == "evil\nevil\n")
        #expect(try shell("stat -c '%n %i %a %u %Y %Z' \(canary) \(canary)/x; cat \(canary)/x; ls -A \(canary)") == before)
    }

    @Test("what a container writes stays its own, over a restart too, and its image does not change", arguments: SnapshotBackEnd.allCases)
    func isolation(_ backEnd: SnapshotBackEnd) throws {
        let fixture = try SnapshotFixture(backEnd)
        let image = try fixture.layer("image", "echo original > file && mkdir dir && echo d > dir/d")
        let one = try SnapshotKey("one")
        let two = try SnapshotKey("two")
        try fixture.mounted(try fixture.snapshotter.prepare(one, parent: image), "echo changed > file; rm -r dir; echo mine > own")
        #expect(try fixture.mounted(try fixture.snapshotter.prepare(two, parent: image), "ls; cat file") == "dir\nfile\noriginal\n")
        try fixture.reopen()
        #expect(try fixture.mounted(try fixture.snapshotter.mounts(of: one), "ls; cat file") == "file\nown\nchanged\n")
        let view = try fixture.snapshotter.view(try SnapshotKey("view"), parent: image)
        #expect(try fixture.mounted(view, "cat file; ! touch x 2>/dev/null && echo read-only") == "original\nread-only\n")
        try fixture.snapshotter.remove(one)
        #expect { try fixture.snapshotter.mounts(of: one) } throws: { ($0 as? SnapshotError)?.code == .notFound }
        #expect(try fixture.mounted(try fixture.snapshotter.prepare(one, parent: image), "ls; cat file") == "dir\nfile\noriginal\n")
    }

    @Test("a writable snapshot becomes a layer that others are built on", arguments: SnapshotBackEnd.allCases)
    func commit(_ backEnd: SnapshotBackEnd) throws {
        let fixture = try SnapshotFixture(backEnd)
        let image = try fixture.layer("image", "echo a > a; echo b > b")
        let key = try SnapshotKey("work")
        try fixture.mounted(try fixture.snapshotter.prepare(key, parent: image), "rm a; echo c > c; ln c hard")
        let chain = fixture.chainID("committed")
        try fixture.snapshotter.commit(key, as: chain)
        #expect(fixture.snapshotter.contains(layer: chain))
        try fixture.reopen()
        #expect(
            try fixture.mounted(try fixture.snapshotter.prepare(key, parent: chain), "ls; cat c; stat -c %h hard") == "b\nc\nhard\nc\n2\n")
        let empty = try fixture.snapshotter.prepare(try SnapshotKey("empty"), parent: nil)
        #expect(try fixture.mounted(empty, "ls -A; echo x > x") == "")
        #expect(try fixture.mounted(try fixture.snapshotter.mounts(of: try SnapshotKey("empty")), "ls -A") == "x\n")
    }

    @Test("names are taken once, parents must be there, and what carries others is not removed", arguments: SnapshotBackEnd.allCases)
    func rules(_ backEnd: SnapshotBackEnd) throws {
        let fixture = try SnapshotFixture(backEnd)
        let snapshotter = fixture.snapshotter
        func code(_ body: () throws -> Void) -> SnapshotError.Code? {
            do {
                try body()
                return nil
            } catch { return (error as? SnapshotError)?.code }
        }
        let base = try fixture.layer("base", "echo 1 > f")
        let top = try fixture.layer("top", on: base, "echo 2 > g")
        let key = try SnapshotKey("c")
        _ = try snapshotter.prepare(key, parent: top)
        let absent = fixture.chainID("absent")
        #expect(code { _ = try snapshotter.prepare(key, parent: top) } == .alreadyExists)
        #expect(code { _ = try snapshotter.beginLayer(key) } == .alreadyExists)
        #expect(code { _ = try snapshotter.prepare(try SnapshotKey("d"), parent: absent) } == .notFound)
        #expect(code { _ = try snapshotter.view(try SnapshotKey("d"), parent: absent) } == .notFound)
        #expect(code { _ = try snapshotter.mounts(of: try SnapshotKey("d")) } == .notFound)
        #expect(code { try snapshotter.remove(layer: base) } == .inUse)
        #expect(code { try snapshotter.remove(layer: top) } == .inUse)
        let orphan = try SnapshotKey("orphan")
        _ = try snapshotter.beginLayer(orphan)
        #expect(
            code { try snapshotter.commitLayer(orphan, as: fixture.chainID("o"), parent: absent, applied: AppliedLayer()) } == .notFound)
        try snapshotter.commitLayer(orphan, as: top, parent: base, applied: AppliedLayer())
        #expect(Set(snapshotter.list().map(\.kind)) == [.layer(base), .layer(top), .active(key)])
        try snapshotter.remove(key)
        try snapshotter.remove(key)
        try snapshotter.remove(layer: top)
        try snapshotter.remove(layer: base)
        try snapshotter.remove(layer: base)
        #expect(snapshotter.list().isEmpty)
        for text in ["", "..", "a/b", ".hidden", "-x", "a\u{0}", String(repeating: "k", count: 129), "é"] {
            #expect(code { _ = try SnapshotKey(text) } == .invalidKey, "\(text)")
        }
        let left = try shell("cd \(fixture.folder)/s/*/ && find layers l active views building trash -mindepth 1")
        #expect(left.isEmpty)
    }

    @Test("what a crash left half made is gone when the store is opened, and what was whole is there", arguments: SnapshotBackEnd.allCases)
    func crash(_ backEnd: SnapshotBackEnd) throws {
        let fixture = try SnapshotFixture(backEnd)
        let base = try fixture.layer("base", "echo 1 > f")
        _ = try fixture.snapshotter.prepare(try SnapshotKey("whole"), parent: base)
        _ = try fixture.snapshotter.beginLayer(try SnapshotKey("pull-unfinished"))
        let store = try shell("echo \(fixture.folder)/s/*").trimmingCharacters(in: .newlines)
        try fixture.reopen {
            try shell(
                "cd \(store) && mkdir -p active/half/fs/deep trash/1/x && echo x > active/half/fs/deep/x && ln -s ../layers/none/fs l/zz && rm l/1"
            )
        }
        #expect(Set(fixture.snapshotter.list().map(\.kind)) == [.layer(base), .active(try SnapshotKey("whole"))])
        #expect(try shell("cd \(store) && ls active building trash l") == "active:\nwhole\n\nbuilding:\n\nl:\n1\n\ntrash:\n")
        #expect(try fixture.mounted(try fixture.snapshotter.mounts(of: try SnapshotKey("whole")), "cat f") == "1\n")
        let again = FilePath(store).removingLastComponent()
        #expect { _ = try openSnapshotter(at: again, backEnd: backEnd) { _ in } } throws: { ($0 as? SnapshotError)?.code == .inUse }
    }

    @Test("usage counts a file of two names once, and a removed tree may be deeper than any path", arguments: SnapshotBackEnd.allCases)
    func usage(_ backEnd: SnapshotBackEnd) throws {
        let fixture = try SnapshotFixture(backEnd)
        let chain = try fixture.layer("image", "head -c 1000000 /dev/urandom > big; ln big second; mkdir d")
        let usage = try fixture.snapshotter.usage(ofLayer: chain)
        #expect(usage.inodes == 3)
        #expect((1_000_000...1_100_000).contains(usage.bytes))
        let key = try SnapshotKey("c")
        let mounts = try fixture.snapshotter.prepare(key, parent: chain)
        try fixture.mounted(
            mounts,
            """
            python3 -c '
            import os
            for _ in range(1000):
                os.mkdir("directory-name")
                os.chdir("directory-name")
            open("x", "w").close()'
            """)
        try fixture.snapshotter.remove(key)
        #expect { try fixture.snapshotter.usage(of: key) } throws: { ($0 as? SnapshotError)?.code == .notFound }
        #expect(try shell("cd \(fixture.folder)/s/*/ && ls active trash") == "active:\n\ntrash:\n")
    }
}
