import Archive
import Foundation
import LinuxSyscalls
import SystemPackage
import Testing

@Suite("Layers")
struct LayerApplierTests {
    @Test("owner, set-id mode, times, device numbers, links and attributes of every kind of entry are kept")
    func metadata() throws {
        let fixture = try UnpackFixture()
        var tar = TarBuilder()
        tar.addDirectory("./", mode: 0o750, modified: 11)
        tar.addDirectory("d", mode: 0o1777, modified: 22)
        tar.add("d/setuid", mode: 0o4755, owner: 1000, group: 3_000_000_000, modified: 33, data: [1, 2, 3])
        tar.addHardLink("d/second", to: "d/setuid")
        tar.addLink("d/verbatim", to: "..//../x/./")
        tar.add("d/null", type: "3", mode: 0o666, major: 1, minor: 3)
        tar.add("d/disk", type: "4", mode: 0o660, group: 6, major: 259, minor: 1_000)
        tar.add("d/pipe", type: "6", mode: 0o620)
        let capability: [UInt8] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        tar.add(
            "ping",
            pax: [
                ("SCHILY.xattr.security.capability", capability), ("SCHILY.xattr.user.note", Array("hi".utf8)),
                ("mtime", Array("44.5".utf8)),
            ])
        let applied = try fixture.unpack(tar.finished)
        #expect(applied.entryCount == 9)
        #expect(applied.impliedDirectories.isEmpty)
        func status(_ path: String) throws -> FileStatus { try fileStatus(fixture.root.appending(path)) }
        let setuid = try status("d/setuid")
        #expect(setuid.mode == 0o4755 && setuid.userID == 1000 && setuid.groupID == 3_000_000_000 && setuid.linkCount == 2)
        #expect(setuid.modified == FileTime(seconds: 33))
        #expect(try status("d/second").inode == setuid.inode)
        #expect(try status("d").mode == 0o1777)
        #expect(try status("d").modified == FileTime(seconds: 22))
        #expect(try status(".").mode == 0o750)
        #expect(try status(".").modified == FileTime(seconds: 11))
        #expect(try status("d/null").device == DeviceNumber(major: 1, minor: 3))
        #expect(try status("d/null").mode == 0o666)
        #expect(try status("d/disk").device == DeviceNumber(major: 259, minor: 1_000))
        #expect(try status("d/disk").type == .blockDevice)
        #expect(try status("d/pipe").type == .pipe)
        #expect(try symbolicLinkText(fixture.root.appending("d/verbatim")) == Array("..//../x/./".utf8))
        let ping = try openFile(fixture.root.appending("ping"), .readOnly)
        #expect(try extendedAttribute("security.capability", of: ping.number) == capability)
        #expect(try extendedAttribute("user.note", of: ping.number) == Array("hi".utf8))
        #expect(try status("ping").modified == FileTime(seconds: 44, nanoseconds: 500_000_000))
    }

    @Test("an archive of GNU tar, with long names, sparse files and links, unpacks to what GNU tar unpacks")
    func sameAsTar() throws {
        let fixture = try UnpackFixture()
        let source = fixture.folder.appending("source").string
        let script = """
            mkdir -p \(source)/a/\(String(repeating: "long", count: 40)) && cd \(source) && umask 022
            echo one > a/one && ln a/one a/two && ln -s ../nowhere a/dangling && mkfifo a/fifo && mknod a/dev c 5 6
            truncate -s 9M a/sparse && printf x | dd of=a/sparse bs=1 seek=5000000 conv=notrunc status=none && truncate -s 0 a/empty
            printf y > "a/\(String(repeating: "long", count: 40))/\(String(repeating: "n", count: 200))" && printf ü > a/ünïcode
            printf '\\377' > "$(printf 'a/\\377raw')" && chown -h 12:34 a/dangling a/one && chmod 2711 a && chmod 4755 a/one && touch -d @5 a/one a
            head -c 3000000 /dev/urandom > a/random && python3 -c 'import os; os.setxattr("a/random", "user.k", bytes([0, 255, 10]))'
            """
        try run("sh", ["-ec", script])
        for format in ["gnu", "pax", "ustar"] {
            let archive = fixture.folder.appending("\(format).tar.gz").string
            // ustar has no room for the long names, nor for holes.
            let flags = ["gnu": "--sparse", "pax": "--sparse --xattrs"][format] ?? ""
            let tree = format == "ustar" ? "a/one a/two a/dangling a/fifo a/dev a/empty a/random" : "."
            try run(
                "sh",
                ["-ec", "cd \(source) && tar --format=\(format) \(flags) -czf \(archive) \(tree)"])
            let ours = fixture.folder.appending("ours-\(format)")
            let theirs = fixture.folder.appending("theirs-\(format)")
            for folder in [ours, theirs] { try makeDirectory(folder) }
            _ = try LayerApplier().apply(
                FileSource(try openFile(FilePath(archive), .readOnly), subject: archive), onto: try openFile(ours, [.path, .directory]),
                observer: nil)
            try run("tar", ["-xzpf", archive, "-C", theirs.string, "--numeric-owner", "--xattrs"])
            let expected = try UnpackFixture.listing(theirs, leavingOut: nil)
            #expect(expected.count >= 8)
            if format == "ustar" {
                // The directory is implied there, so its time is that of the unpacking.
                #expect(
                    try UnpackFixture.listing(ours, leavingOut: nil).filter { !$0.hasPrefix("a ") }
                        == expected.filter { !$0.hasPrefix("a ") })
            } else {
                #expect(try UnpackFixture.listing(ours, leavingOut: nil) == expected)
                #expect(try fileStatus(ours.appending("a/sparse")).allocatedBytes < 1 << 20)
            }
        }
    }

    @Test("whiteouts become what overlayfs knows, and never hide what the same layer holds, in whatever order")
    func whiteouts() throws {
        let fixture = try UnpackFixture()
        var tar = TarBuilder()
        tar.add("a/.wh.gone")
        tar.add("a/kept", data: [1])
        tar.add("a/.wh.kept")
        tar.add(".wh.replaced")
        tar.add("replaced", data: [2])
        tar.add(".wh.renewed")
        tar.addDirectory("renewed")
        tar.addDirectory("late")
        tar.add(".wh.late")
        tar.add(".wh.implied")
        tar.add("implied/x")
        tar.add("opaque/.wh..wh..opq")
        tar.add("opaque/x")
        tar.add(".wh..wh.plnk/1.2", data: [3])
        let applied = try fixture.unpack(tar.finished)
        #expect(try fileStatus(fixture.root.appending("a/gone")).isWhiteout)
        #expect(try fileStatus(fixture.root.appending("a/kept")).type == .regular)
        #expect(try fileStatus(fixture.root.appending("replaced")).type == .regular)
        for path in ["renewed", "late", "implied", "opaque"] {
            let directory = try openFile(fixture.root.appending(path), [.readOnly, .directory])
            #expect(try extendedAttribute(OverlayMarks.opaque, of: directory.number) == Array("y".utf8), "\(path)")
        }
        #expect(!applied.hidesAllBelow)
        #expect(applied.impliedDirectories == [".", "a", "implied", "opaque"])
        let top = try directoryEntries(of: try openFile(fixture.root, [.readOnly, .directory])).map(\.name.string).sorted()
        #expect(top == ["a", "implied", "late", "opaque", "renewed", "replaced"])
    }

    @Test("a later entry takes the place of an earlier one of the same name, whatever the two are")
    func replacement() throws {
        let fixture = try UnpackFixture()
        var tar = TarBuilder()
        tar.addDirectory("x")
        tar.add("x/inside", data: [1])
        tar.add("x", data: [2])
        tar.add("y", data: [3])
        tar.addDirectory("y")
        tar.add("y/inside", data: [4])
        tar.addLink("z", to: "y")
        tar.addDirectory("z")
        tar.add("z/new", data: [5])
        tar.add("same", data: [6])
        tar.addHardLink("same", to: "same")
        _ = try fixture.unpack(tar.finished)
        #expect(try readFile(fixture.root.appending("x"), limitBytes: 9) == [2])
        #expect(try readFile(fixture.root.appending("y/inside"), limitBytes: 9) == [4])
        #expect(try fileStatus(fixture.root.appending("z")).type == .directory)
        #expect(throws: SyscallError.self) { try fileStatus(fixture.root.appending("y/new")) }
        #expect(try readFile(fixture.root.appending("same"), limitBytes: 9) == [6])
    }

    @Test("entries below a symbolic link of the same layer go where the link leads inside the root")
    func linkedParent() throws {
        let fixture = try UnpackFixture()
        var tar = TarBuilder()
        tar.addDirectory("usr/lib")
        tar.addLink("lib", to: "/usr/lib")
        tar.add("lib/libc", data: [7])
        _ = try fixture.unpack(tar.finished)
        #expect(try readFile(fixture.root.appending("usr/lib/libc"), limitBytes: 9) == [7])
        #expect(try fileStatus(fixture.root.appending("lib")).type == .symbolicLink)
    }

    @Test("an empty archive, with or without its end mark, is an empty layer")
    func empty() throws {
        for bytes in [[UInt8](), [UInt8](repeating: 0, count: 1024), storedGzip([UInt8](repeating: 0, count: 10240))] {
            let fixture = try UnpackFixture()
            #expect(try fixture.unpack(bytes).entryCount == 0)
            #expect(try fixture.listing().isEmpty)
        }
    }

    @Test("a tar that was never closed, its last padding and end mark missing, is whole; one that ends inside an entry is not")
    func unclosed() throws {
        let data = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var tar = TarBuilder()
        tar.add("first", data: data)
        tar.add("last", data: data)
        let end = tar.bytes.count - 24
        for length in [tar.bytes.count, tar.bytes.count - 1, end + 1, end] {
            let fixture = try UnpackFixture()
            #expect(try fixture.unpack(Array(tar.bytes.prefix(length))).uncompressedBytes == Int64(length))
            for name in ["first", "last"] { #expect(try readFile(fixture.root.appending(name), limitBytes: 2000) == data, "\(length)") }
        }
        // Of a header's 512 bytes the last hundred are zeros mostly: only its length tells that it is cut.
        for length in [end - 1, end - 600, end - 1000 - 12, end - 1000 - 200, end - 1000 - 500, 512 + 999, 512 + 1] {
            #expect(try UnpackFixture().refusal(of: Array(tar.bytes.prefix(length))) != nil, "\(length)")
        }
        #expect(try UnpackFixture().refusal(of: Array(tar.bytes.prefix(512 + 1000))) == nil, "one entry, whole")
    }

    @Test("what overlayfs shows of unpacked layers is what umoci unpacks from the same image")
    func sameAsUmoci() throws {
        let fixture = try UnpackFixture()
        let folder = fixture.folder.string
        try run(
            "sh",
            [
                "-ec",
                """
                cd \(folder) && umoci init --layout img && umoci new --image img:t && mkdir one && cd one
                mkdir -p etc/sub deep/er && echo a > etc/a && echo b > etc/b && ln etc/a etc/hard && echo s > etc/sub/s && echo d > deep/er/d
                ln -s /etc/a link && chmod 1777 deep && touch -d @77 etc/b etc/sub etc deep/er deep . && cd ..
                umoci insert --image img:t --rootless one / >/dev/null 2>&1 || umoci insert --image img:t one /
                umoci unpack --image img:t bundle && cd bundle/rootfs && rm etc/b && rm -r etc/sub && mkdir etc/sub && echo n > etc/sub/new
                rm link && echo file > link && rm -r deep && touch -d @99 etc/sub link etc . && cd ../.. && umoci repack --image img:t bundle
                rm -rf bundle && umoci unpack --image img:t bundle
                """,
            ])
        let manifest = try run("sh", ["-ec", "cd \(folder)/img && jq -r '.manifests[0].digest' index.json | cut -d: -f2"])
            .trimmingCharacters(in: .newlines)
        let layers = try run("sh", ["-ec", "jq -r '.layers[].digest' \(folder)/img/blobs/sha256/\(manifest) | cut -d: -f2"]).split(
            separator: "\n")
        #expect(layers.count == 2)
        var trees: [String] = []
        for (index, layer) in layers.enumerated() {
            let tree = fixture.folder.appending("layer\(index)")
            try makeDirectory(tree)
            let blob = fixture.folder.appending("img/blobs/sha256/\(layer)")
            _ = try LayerApplier().apply(
                FileSource(try openFile(blob, .readOnly), subject: "blob"), onto: try openFile(tree, [.path, .directory]), observer: nil)
            trees.insert(tree.string, at: 0)
        }
        let seen = fixture.folder.appending("seen")
        try makeDirectory(seen)
        // A mount namespace of its own: the host sees nothing, and nothing stays.
        let script = "mount -t overlay o -o ro,lowerdir=\(trees.joined(separator: ":")) /mnt && cp -a /mnt/. \(seen)"
        try run("unshare", ["-m", "sh", "-ec", script])
        #expect(
            try UnpackFixture.listing(seen, leavingOut: nil)
                == UnpackFixture.listing(fixture.folder.appending("bundle/rootfs"), leavingOut: nil))
    }
}
