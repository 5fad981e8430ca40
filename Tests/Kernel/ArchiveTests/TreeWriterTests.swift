import Archive
import Foundation
import LinuxSyscalls
import SystemPackage
import Testing

@Suite("Writing layers")
struct TreeWriterTests {
    private func write(
        _ folder: FilePath, _ form: TreeWriter.Form, limits: ArchiveLimits = .layer, under prefix: String = "",
        leavingOut: Set<String> = [],
        keepsHoles: Bool = false
    ) throws -> [UInt8] {
        var archive: [UInt8] = []
        var writer = TreeWriter(form, limits: limits, leavingOut: leavingOut, keepsHoles: keepsHoles) {
            (chunk: [UInt8]) throws(ArchiveError) in archive += chunk
        }
        try writer.addContents(of: try openFile(folder, [.readOnly, .directory]), under: Array(prefix.utf8))
        try writer.finish()
        return archive
    }

    /// Every kind of file, with names, owners, times and attributes that ustar has no room for.
    private func fill(_ folder: FilePath) throws {
        let script = """
            cd \(folder) && umask 022 && mkdir -p d/\(String(repeating: "long", count: 40))/x && echo one > d/one && ln d/one d/two
            ln -s ../nowhere d/dangling && ln -s \(String(repeating: "l", count: 300)) d/far && mkfifo d/fifo && mknod d/dev c 5 600
            mknod d/disk b 259 1000 && truncate -s 3M d/sparse && printf x | dd of=d/sparse bs=1 seek=2000000 conv=notrunc status=none
            printf y > "d/\(String(repeating: "long", count: 40))/\(String(repeating: "n", count: 200))" && printf ü > d/ünïcode
            printf '\\377' > "$(printf 'd/\\377raw')" && : > d/empty && head -c 600000 /dev/urandom > d/random
            printf z > "$(printf 'd/%0100d\\377' 7)"
            chown 3000000000:3000000001 d/random && chown -h 12:34 d/dangling && chmod 4755 d/one && chmod 1777 d/\(String(repeating: "long", count: 40))
            python3 -c 'import os, socket
            os.setxattr("d/random", "user.k", bytes([0, 255, 10]))
            os.setxattr("d/empty", "security.capability", bytes([1, 0, 0, 2, 0, 4] + [0] * 14))
            os.setxattr("d", "user.dir", b"v")
            os.setxattr("d/one", "trusted.mine", b"stays")
            socket.socket(socket.AF_UNIX).bind("d/socket")' && find . -exec touch -h -d @1000000001 {} + && touch -d @-5 d/empty
            """
        try run("sh", ["-ec", script])
    }

    @Test("a tree comes back from our own reader as it was, without sockets and the machine's own attributes")
    func roundTrip() throws {
        let fixture = try UnpackFixture()
        let source = fixture.folder.appending("source")
        try makeDirectory(source)
        try fill(source)
        let archive = try write(source, .tree)
        #expect(archive.count % 512 == 0)
        _ = try fixture.unpack(archive)
        try run("sh", ["-ec", "rm \(source)/d/socket && setfattr -x trusted.mine \(source)/d/one && touch -d @1000000001 \(source)/d"])
        #expect(try fixture.listing() == UnpackFixture.listing(source, leavingOut: nil))
        #expect(try write(fixture.root, .tree) == archive, "what was unpacked is written as the same bytes")
    }

    @Test("GNU tar and Python read what is written")
    func others() throws {
        let fixture = try UnpackFixture()
        let source = fixture.folder.appending("source")
        try makeDirectory(source)
        try fill(source)
        let path = fixture.folder.appending("a.tar")
        try writeAll(try write(source, .tree, under: "in/"), toFile: path)
        let theirs = fixture.folder.appending("theirs")
        try makeDirectory(theirs)
        try run("tar", ["-xpf", path.string, "-C", theirs.string, "--numeric-owner", "--xattrs", "--xattrs-include=*"])
        try run("sh", ["-ec", "rm \(source)/d/socket && setfattr -x trusted.mine \(source)/d/one && touch -d @1000000001 \(source)/d"])
        #expect(try UnpackFixture.listing(theirs.appending("in"), leavingOut: nil) == UnpackFixture.listing(source, leavingOut: nil))
        let count = try run(
            "python3", ["-c", "import tarfile, sys; print(len(tarfile.open(sys.argv[1], errorlevel=2).getmembers()))", path.string])
        #expect(
            try run("sh", ["-c", "find \(source) -mindepth 1 | tr -cd '\\n' | wc -c"]).trimmingCharacters(in: .whitespacesAndNewlines)
                == count.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    @Test("files with holes are written without them, and GNU tar, Python and our own reader have them again")
    func sparse() throws {
        let fixture = try UnpackFixture()
        let source = fixture.folder.appending("source")
        let long = String(repeating: "n", count: 150)
        let script = """
            mkdir \(source) && cd \(source) && truncate -s 40G nothing && truncate -s 30M ends && printf x >> ends && printf x > begins
            truncate -s 9000000001 begins && printf x | dd of=\(long) bs=1 seek=5000000 conv=notrunc status=none && truncate -s 9M \(long)
            truncate -s 1M ünïcode && ln \(long) second && printf x > small && truncate -s 700 small && setfattr -n user.k -v v begins
            python3 -c 'import os
            with open("pieces", "wb") as file:
                for number in range(9000):
                    os.pwrite(file.fileno(), b"x", number * 16384)
                file.truncate(160 << 20)'
            find . -exec touch -h -d @1000000001 {} +
            """
        try run("sh", ["-ec", script])
        let zeros = try write(source, .tree, leavingOut: ["nothing", "begins", "pieces"])
        let archive = try write(source, .tree, leavingOut: ["pieces"], keepsHoles: true)
        #expect(archive.count % 512 == 0 && archive.count < 64 << 10 && zeros.count > 40 << 20)
        let path = fixture.folder.appending("a.tar")
        try writeAll(archive, toFile: path)
        let theirs = fixture.folder.appending("theirs")
        try makeDirectory(theirs)
        try run("tar", ["-xpf", path.string, "-C", theirs.string, "--numeric-owner", "--xattrs", "--xattrs-include=*"])
        _ = try fixture.unpack(archive)
        for root in [theirs, fixture.root] {
            #expect(try fileStatus(root.appending("nothing")).sizeBytes == 40 << 30)
            #expect(try fileStatus(root.appending(long)).linkCount == 2)
            for name in ["nothing", "ends", "begins", long] { #expect(try fileStatus(root.appending(name)).allocatedBytes < 1 << 20) }
            try run("cmp", [source.appending("ends").string, root.appending("ends").string])
            try run("cmp", [source.appending(long).string, root.appending(long).string])
            try run("cmp", ["-n", "100000", source.appending("begins").string, root.appending("begins").string])
        }
        let read = "import tarfile, sys; print(sorted((m.name, m.size) for m in tarfile.open(sys.argv[1], errorlevel=2)) )"
        #expect(try run("python3", ["-c", read, path.string]).contains("('begins', 9000000001)"))
        // More pieces than a map may have: zeros behind them, and all of the data.
        let pieces = fixture.folder.appending("pieces")
        try run("sh", ["-ec", "mkdir \(pieces) && mv \(source)/pieces \(pieces)/"])
        let many = try write(pieces, .tree, keepsHoles: true)
        #expect(many.count < 80 << 20)
        _ = try fixture.unpack(many)
        try run("cmp", [pieces.appending("pieces").string, fixture.root.appending("pieces").string])
    }

    @Test("what a container changed in an overlay is the layer that makes the same tree, deletions, replacements and renames included")
    func overlay() throws {
        let fixture = try UnpackFixture()
        let base = fixture.folder.appending("o")
        let script = """
            mkdir -p \(base)/lower/gone \(base)/lower/kept/deep \(base)/lower/swap \(base)/lower/moved/in \(base)/upper \(base)/work \(base)/m
            cd \(base) && for f in gone/a kept/deep/b kept/c swap/d moved/in/e top; do echo $f > lower/$f; done
            mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,index=off,redirect_dir=off,metacopy=off m
            rm -r m/gone m/top && echo changed > m/kept/c && rm -r m/swap && mkdir m/swap && echo new > m/swap/n
            rm -r m/moved && mkdir -p m/moved/in && echo f > m/moved/in/f && chmod 700 m/kept/deep && ln m/swap/n m/linked
            """
        try run("sh", ["-ec", script])
        defer { _ = try? run("umount", ["\(base)/m"]) }
        let archive = try write(base.appending("upper"), .overlayLayer)
        _ = try fixture.unpack(archive)
        let upper = try UnpackFixture.listing(base.appending("upper"), leavingOut: nil)
        let marks = ["trusted.overlay.origin", "trusted.overlay.impure"]
        // What overlayfs notes for itself. An attribute is printed as `name=[1, 2]`.
        func withoutMarks(_ lines: [String]) -> [String] {
            lines.map { line in
                marks.reduce(line) { line, mark in
                    guard let start = line.range(of: " \(mark)=["), let end = line[start.upperBound...].firstIndex(of: "]") else {
                        return line
                    }
                    return line.replacingCharacters(in: start.lowerBound...end, with: "")
                }
            }
        }
        // Times of whiteouts are nobody's.
        func timeless(_ lines: [String]) -> [String] { lines.map { $0.replacing(/\ [0-9]+\.[0-9]+/, with: "") } }
        #expect(timeless(withoutMarks(try fixture.listing())) == timeless(withoutMarks(upper)))
        let again = fixture.folder.appending("again")
        try run(
            "sh",
            ["-ec", "mkdir -p \(again)/m && mount -t overlay overlay -o ro,index=off,lowerdir=\(fixture.root):\(base)/lower \(again)/m"])
        defer { _ = try? run("umount", ["\(again)/m"]) }
        let (ours, theirs) = (
            timeless(try UnpackFixture.listing(again.appending("m"), leavingOut: nil)),
            timeless(try UnpackFixture.listing(base.appending("m"), leavingOut: nil))
        )
        #expect(withoutMarks(ours) == withoutMarks(theirs))
    }

    @Test("a directory that overlayfs redirects is refused by name, not written as an empty one")
    func redirected() throws {
        let fixture = try UnpackFixture()
        let folder = fixture.folder.appending("redirected")
        try run("sh", ["-ec", "mkdir -p \(folder)/d && setfattr -n trusted.overlay.redirect -v /elsewhere \(folder)/d"])
        #expect(throws: ArchiveError.self) { try write(folder, .overlayLayer) }
        #expect(try !write(folder, .tree).isEmpty)
    }

    @Test("limits hold while a tree is written: entries and depth")
    func limited() throws {
        let fixture = try UnpackFixture()
        let folder = fixture.folder.appending("deep")
        try run("sh", ["-ec", "mkdir -p \(folder)/1/2/3/4"])
        var limits = ArchiveLimits.layer
        limits.depth = 3
        #expect(throws: ArchiveError.self) { try write(folder, .tree, limits: limits) }
        limits.depth = 4
        #expect(try !write(folder, .tree, limits: limits).isEmpty)
        limits.entries = 3
        #expect(throws: ArchiveError.self) { try write(folder, .tree, limits: limits) }
    }

    @Test("one file is written under the name that is asked for")
    func oneFile() throws {
        let fixture = try UnpackFixture()
        var archive: [UInt8] = []
        var writer = TreeWriter(.tree) { (chunk: [UInt8]) throws(ArchiveError) in archive += chunk }
        try writer.add("host-canary", in: try openFile(fixture.folder, [.readOnly, .directory]), as: Array("copied".utf8))
        try writer.add("host-canary.d", in: try openFile(fixture.folder, [.readOnly, .directory]), as: Array("dir".utf8))
        try writer.finish()
        _ = try fixture.unpack(archive)
        #expect(try readFile(fixture.root.appending("copied"), limitBytes: 10) == Array("canary".utf8))
        #expect(try readFile(fixture.root.appending("dir/x"), limitBytes: 10) == Array("canary".utf8))
    }
}
