// Rows: attacks
import Archive
import Foundation
import LinuxSyscalls
import SystemPackage
import Testing

/// Counts what passes.
private final class ByteCounter: ByteObserver {
    var count = 0
    var sum: UInt64 = 0
    func observe(_ bytes: Span<UInt8>) {
        count += bytes.count
        for index in bytes.indices { sum = sum &* 31 &+ UInt64(bytes[index]) }
    }
}

@Suite("Compressed streams")
struct StreamTests {
    private func compressed(_ bytes: [UInt8], by command: String, in fixture: UnpackFixture) throws -> [UInt8] {
        let plain = fixture.folder.appending("plain")
        try writeFileDurably(bytes, to: plain)
        try run("sh", ["-ec", "\(command) < \(plain) > \(plain).packed"])
        return try readFile(FilePath("\(plain).packed"), limitBytes: 256 << 20)
    }

    @Test(
        "a stream reads the same plain, by gzip, zstd, xz and bzip2, each in one or several members, cut anywhere",
        arguments: [
            "cat", "gzip -1", "gzip -9", "head -c 700000 | gzip; tail -c +700001 PLAIN | gzip", "zstd -q",
            "head -c 9 | zstd -q; tail -c +10 PLAIN | zstd -q -19", "xz -1",
            "head -c 700000 | xz -1; tail -c +700001 PLAIN | xz -0 --check=crc32", "bzip2",
            "head -c 700000 | bzip2 -1; tail -c +700001 PLAIN | bzip2 -9",
        ])
    func formats(_ command: String) throws {
        let fixture = try UnpackFixture()
        let data = (0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }
        let tar = oneFile(data)
        let packed = try compressed(tar, by: command.replacing("PLAIN", with: fixture.folder.appending("plain").string), in: fixture)
        let expected = ByteCounter()
        expected.observe(tar.span)
        for size in [1 << 20, 4093, 7] where size > 7 || packed.count < 400_000 {
            let chunks = stride(from: 0, to: packed.count, by: size).map { Array(packed[$0..<min($0 + size, packed.count)]) }
            let counter = ByteCounter()
            let applied = try LayerApplier().apply(
                MemorySource(chunks: chunks), onto: try openFile(fixture.root, [.path, .directory]), observer: counter)
            #expect(counter.count == tar.count && counter.sum == expected.sum)
            #expect(applied.uncompressedBytes == Int64(tar.count))
            #expect(try readFile(fixture.root.appending("file"), limitBytes: 2 << 20) == data)
        }
    }

    @Test("D09: a stream that ends early, is damaged, or is followed by anything but zeros is refused")
    func damaged() throws {
        let fixture = try UnpackFixture()
        let tar = oneFile((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7919 >> 3) })
        for command in ["gzip", "zstd -q", "xz", "bzip2"] {
            let packed = try compressed(tar, by: command, in: fixture)
            #expect(try fixture.refusal(of: packed) == nil)
            #expect(try fixture.refusal(of: Array(packed.dropLast(1))) == .truncated, "\(command)")
            #expect(try fixture.refusal(of: Array(packed.prefix(packed.count / 2))) == .truncated, "\(command)")
            #expect(try fixture.refusal(of: packed + Array("garbage".utf8)) != nil, "\(command)")
            var flipped = packed
            flipped[packed.count - 3] ^= 0xff
            #expect(try fixture.refusal(of: flipped) == .corruptStream, "\(command)")
            // zstd has no checksum in the middle; the others and the frame's end notice.
            flipped = packed
            flipped[packed.count / 2] ^= 0x55
            #expect(try fixture.refusal(of: flipped) != nil, "\(command)")
        }
        let gzip = storedGzip(tar)
        #expect(try fixture.refusal(of: gzip + [UInt8](repeating: 0, count: 512)) == nil)
        #expect(try fixture.refusal(of: gzip + [0, 0, 1]) == .trailingBytes)
        #expect(try fixture.refusal(of: gzip + [0x1f, 0x8b]) == .truncated)
        for (magic, name) in [([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "xz"), ([0x42, 0x5a, 0x68, 0x39, 0x31, 0x41], "bzip2")]
            as [([UInt8], String)]
        {
            #expect(try fixture.refusal(of: magic + tar) == .corruptStream, "\(name)")
        }
    }

    @Test("D09: a bomb is stopped at the ratio, at the absolute size and at the window, before it is written")
    func bombs() throws {
        let fixture = try UnpackFixture()
        var limits = ArchiveLimits.layer
        limits.ratioFreeBytes = 1 << 20
        let zeros = fixture.folder.appending("zeros")
        for command in ["gzip", "zstd -q", "xz -0", "bzip2"] {
            try run("sh", ["-ec", "truncate -s 64M \(zeros) && tar -C \(fixture.folder) -cf - zeros | \(command) > \(zeros).packed"])
            let packed = try readFile(FilePath("\(zeros).packed"), limitBytes: 1 << 20)
            #expect(try fixture.refusal(of: packed, limits: limits) == .overLimit, "\(command)")
            #expect(try fileStatus(fixture.root.appending("zeros")).sizeBytes < 8 << 20)
            var absolute = ArchiveLimits.layer
            absolute.uncompressedBytes = 3 << 20
            #expect(try fixture.refusal(of: packed, limits: absolute) == .overLimit, "\(command)")
        }
        try run("sh", ["-ec", "head -c 300000000 /dev/zero | zstd -q --long=28 -1 > \(zeros).wide"])
        #expect(try fixture.refusal(of: try readFile(FilePath("\(zeros).wide"), limitBytes: 1 << 20)) == .overLimit)
        try run("sh", ["-ec", "head -c 1000 /dev/zero | xz -0 --lzma2=dict=256MiB > \(zeros).wide"])
        #expect(try fixture.refusal(of: try readFile(FilePath("\(zeros).wide"), limitBytes: 1 << 20)) == .overLimit)
    }

    @Test("what is packed here is a bomb to nobody, however much of it is zeros, and every reader of gzip unpacks it")
    func packedZeros() throws {
        let fixture = try UnpackFixture()
        let packed = fixture.folder.appending("packed")
        let file = try openFile(packed, [.writeOnly, .create, .exclusive], mode: 0o600)
        var place: Int64 = 0
        let encoder = GzipEncoder { bytes throws(ArchiveError) in
            do throws(SyscallError) { try writeAll(bytes.span, at: place, to: file.number) } catch {
                throw ArchiveError(.system, doing: "write", cause: error)
            }
            place += Int64(bytes.count)
        }
        let counter = ByteCounter()
        var passed: Int64 = 0
        let (limits, turn) = (ArchiveLimits.layer, ArchiveLimits.layer.ratioFreeBytes / 2)
        while passed < limits.ratioFreeBytes + 64 << 20 {
            // Of every length, some with data that packs not at all; there is much of that where the padding begins.
            var chunk = [UInt8](repeating: 0, count: Int.random(in: 1...400_000))
            let dense = passed < turn && passed + 400_000 > turn ? chunk.count : passed % 97 == 0 ? min(chunk.count, 3000) : 0
            for index in 0..<dense { chunk[index] = .random(in: 0...255) }
            counter.observe(chunk.span)
            try encoder.write(chunk)
            passed += Int64(chunk.count)
        }
        try encoder.finish()
        #expect(place < passed / 100)
        let read = ByteCounter()
        let source = FileSource(try openFile(packed, [.readOnly]), subject: "packed")
        #expect(try observeUnpacked(source, by: read) == passed)
        #expect(read.sum == counter.sum)
        try run("gzip", ["-t", packed.string])
    }

    @Test("a pipe hands chunks over in order, blocks a fast sender, and tells either end when the other leaves")
    func pipe() throws {
        let tar = oneFile((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 >> 5) })
        let fixture = try UnpackFixture()
        let pipe = BytePipe(timeout: .seconds(20))
        let sender = Thread {
            do {
                for start in stride(from: 0, to: tar.count, by: 10_000) {
                    try pipe.send(Array(tar[start..<min(start + 10_000, tar.count)]))
                }
                pipe.finish()
            } catch { Issue.record(error) }
        }
        sender.start()
        _ = try LayerApplier().apply(pipe, onto: try openFile(fixture.root, [.path, .directory]), observer: nil)
        #expect(try fileStatus(fixture.root.appending("file")).sizeBytes == 3_000_000)

        let failing = BytePipe(timeout: .seconds(20))
        try failing.send([1])
        failing.fail("connection reset")
        #expect(try failing.next() == [1])
        #expect { try failing.next() } throws: { ($0 as? ArchiveError)?.code == .source && "\($0)".contains("connection reset") }

        let left = BytePipe(timeout: .seconds(20))
        left.abandon()
        #expect { for _ in 0...BytePipe.chunkLimit { try left.send([1]) } } throws: { ($0 as? ArchiveError)?.code == .cancelled }
        let stalled = BytePipe(timeout: .milliseconds(20))
        #expect { try stalled.next() } throws: { ($0 as? ArchiveError)?.code == .timedOut }
        #expect { for _ in 0...BytePipe.chunkLimit { try stalled.send([1]) } } throws: { ($0 as? ArchiveError)?.code == .timedOut }
    }
}
