// Rows: attacks
import ContentStore
import CoreTypes
import Glibc
import LinuxSyscalls
import Synchronization
import SystemPackage
import Testing

/// A store in a folder of its own, gone when the test ends.
private final class StoreFixture {
    private static let counter = Atomic<Int>(0)
    let folder = FilePath("/tmp/apus-content-\(getpid())-\(StoreFixture.counter.add(1, ordering: .relaxed).newValue)")
    let store: BlobStore

    init() throws { store = try BlobStore(openingAt: folder) }

    deinit { try? removeTree(folder) }

    /// Every regular file below the folder.
    func files() throws -> [String] {
        var found: [String] = []
        var waiting = [folder]
        while let next = waiting.popLast() {
            for entry in try directoryEntries(of: try openFile(next, [.readOnly, .directory])) {
                if entry.type == .directory { waiting.append(next.appending(entry.name.string)) } else { found.append(entry.name.string) }
            }
        }
        return found.sorted()
    }
}

private let content = Array("the quick brown fox".utf8)

@Suite("Blobs")
struct BlobStoreTests {
    @Test("the digests are those of the published test vectors")
    func vectors() {
        #expect(Digest(of: Array("abc".utf8)).hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(Digest(of: []).hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(Digest(of: Array("abc".utf8), .sha512).hex.hasPrefix("ddaf35a193617abacc417349ae204131"))
    }

    @Test("a blob is there after its commit, whole, and not a byte of it before")
    func ingest() throws {
        let fixture = try StoreFixture()
        let digest = Digest(of: content)
        let ingest = try fixture.store.beginIngest(of: digest, sizeBytes: Int64(content.count))
        try ingest.append(Array(content[..<7]))
        #expect(try !fixture.store.contains(digest))
        #expect { try ingest.commit() } throws: { ($0 as? ContentError)?.code == .sizeMismatch }
        try ingest.append(Array(content[7...]))
        try ingest.commit()
        #expect(try fixture.store.size(of: digest) == Int64(content.count))
        #expect(try fixture.store.readBlob(digest, limitBytes: 100) == content)
        #expect(try fixture.store.digests() == [digest])
        #expect(try fixture.store.unfinishedIngests().isEmpty)
        #expect { try ingest.append([1]) } throws: { ($0 as? ContentError)?.code == .closed }
        #expect { try fixture.store.readBlob(digest, limitBytes: 3) } throws: { ($0 as? ContentError)?.code == .tooLarge }
        #expect { _ = try fixture.store.openBlob(Digest(of: [1])).number } throws: { ($0 as? ContentError)?.code == .notFound }
        #expect(try fixture.store.addBlob(content) == digest)
    }

    @Test("an ingest goes on where a dropped one stopped, also in a store opened anew")
    func resume() throws {
        let fixture = try StoreFixture()
        let digest = Digest(of: content)
        do { try fixture.store.beginIngest(of: digest, sizeBytes: nil).append(Array(content[..<9])) }
        let again = try BlobStore(openingAt: fixture.folder)
        #expect(try again.unfinishedIngests() == [digest])
        let ingest = try again.beginIngest(of: digest, sizeBytes: Int64(content.count))
        #expect(ingest.receivedBytes == 9)
        #expect { _ = try fixture.store.beginIngest(of: digest, sizeBytes: nil) } throws: { ($0 as? ContentError)?.code == .busy }
        try ingest.append(Array(content[9...]))
        try ingest.commit()
        #expect(try again.contains(digest))
    }

    @Test("D11: bytes of another digest or size are never kept under the good digest, and the next attempt starts anew")
    func badBytes() throws {
        let fixture = try StoreFixture()
        let digest = Digest(of: content)
        let wrong = try fixture.store.beginIngest(of: digest, sizeBytes: Int64(content.count))
        try wrong.append(content.reversed())
        #expect { try wrong.commit() } throws: { ($0 as? ContentError)?.code == .digestMismatch }
        #expect(try fixture.files() == ["version"])

        let unsized = try fixture.store.beginIngest(of: digest, sizeBytes: nil)
        #expect(unsized.receivedBytes == 0)
        try unsized.append(content + [0])
        #expect { try unsized.commit() } throws: { ($0 as? ContentError)?.code == .digestMismatch }

        let extra = try fixture.store.beginIngest(of: digest, sizeBytes: Int64(content.count))
        try extra.append(content)
        #expect { try extra.append([0]) } throws: { ($0 as? ContentError)?.code == .sizeMismatch }
        #expect(extra.receivedBytes == Int64(content.count))
        try extra.discard()
        #expect { try extra.commit() } throws: { ($0 as? ContentError)?.code == .closed }

        let short = try fixture.store.beginIngest(of: digest, sizeBytes: nil)
        try short.append(Array(content.dropLast()))
        #expect { try short.commit() } throws: { ($0 as? ContentError)?.code == .digestMismatch }
        #expect(try !fixture.store.contains(digest))
        #expect(try fixture.files() == ["version"])
    }

    @Test("D11: a torn remainder of a crash cannot reach the good digest")
    func tornRemainder() throws {
        let fixture = try StoreFixture()
        let digest = Digest(of: content)
        do { try fixture.store.beginIngest(of: digest, sizeBytes: nil).append(Array(content[..<9])) }
        let partial = try openFile(fixture.folder.appending("ingests/sha256-\(digest.hex)"), [.readWrite])
        try writeAll([0, 0, 0].span, at: 2, to: partial.number)
        let ingest = try fixture.store.beginIngest(of: digest, sizeBytes: Int64(content.count))
        #expect(ingest.receivedBytes == 9)
        try ingest.append(Array(content[9...]))
        #expect { try ingest.commit() } throws: { ($0 as? ContentError)?.code == .digestMismatch }
        #expect(try fixture.store.beginIngest(of: digest, sizeBytes: nil).receivedBytes == 0)
    }

    @Test("a blob that lost bytes on the disk is not handed out as a document")
    func decayed() throws {
        let fixture = try StoreFixture()
        let digest = try fixture.store.addBlob(content)
        let file = try openFile(fixture.store.path(of: digest), [.writeOnly])
        try writeAll([0x21].span, at: 3, to: file.number)
        #expect { try fixture.store.readBlob(digest, limitBytes: 100) } throws: { ($0 as? ContentError)?.code == .digestMismatch }
    }

    @Test("a sweep keeps roots and leased blobs, and frees the rest")
    func sweep() throws {
        let fixture = try StoreFixture()
        let root = try fixture.store.addBlob([1])
        let leased = try fixture.store.addBlob([2, 2])
        let loose = try fixture.store.addBlob([3, 3, 3])
        let lease = fixture.store.takeLease()
        fixture.store.protect(leased, by: lease)
        #expect(try fixture.store.sweep(.among([root, leased]), keeping: [root]).removed == [])
        #expect(try fixture.store.sweep(.idle(.seconds(3600)), keeping: [root]).removed == [])
        let first = try fixture.store.sweep(keeping: [root])
        #expect(first.removed == [loose] && first.freedBytes == 3)
        fixture.store.release(lease)
        let file = try openFile(fixture.store.path(of: leased), [.readWrite])
        try setTimes(of: file.number, to: FileTime(seconds: unixNanoseconds() / 1_000_000_000 - 4000))
        #expect(try fixture.store.sweep(.idle(.seconds(3600)), keeping: [root]).removed == [leased])
        #expect(try fixture.store.digests() == [root])
    }

    @Test("abandoned ingests are removed on request, an open one is left alone")
    func abandoned() throws {
        let fixture = try StoreFixture()
        let open = try fixture.store.beginIngest(of: Digest(of: [1]), sizeBytes: nil)
        try open.append([1])
        do { try fixture.store.beginIngest(of: Digest(of: [2]), sizeBytes: nil).append([2, 2]) }
        #expect(try fixture.store.removeAbandonedIngests(idleFor: .seconds(3600)) == 0)
        #expect(try fixture.store.removeAbandonedIngests() == 2)
        try open.commit()
        #expect(try fixture.store.unfinishedIngests().isEmpty)
    }

    @Test("a store of a later version is left alone")
    func laterVersion() throws {
        let fixture = try StoreFixture()
        try writeFileDurably(Array("2\n".utf8), to: fixture.folder.appending("version"))
        let folder = fixture.folder
        try removeTree(folder.appending("blobs"))
        try writeFileDurably(Array("of a later format".utf8), to: folder.appending("takings/1"))
        #expect { _ = try BlobStore(openingAt: folder) } throws: { ($0 as? ContentError)?.code == .unsupportedFormat }
        #expect(try fixture.files() == ["1", "version"])
        #expect { _ = try fileStatus(folder.appending("blobs")) } throws: { ($0 as? SyscallError)?.errno == ENOENT }
    }

    @Test("what a process took in and did not look through is told to each after it, until one has looked through it")
    func takings() throws {
        let fixture = try StoreFixture()
        let (store, folder) = (fixture.store, fixture.folder)
        let (blob, other) = (try store.addBlob([1]), try store.addBlob([2]))
        let (lease, done) = (store.takeLease(isTaking: true), store.takeLease(isTaking: true))
        store.protect(blob, by: lease)
        store.protect(other, by: done)
        store.release(done)
        #expect(store.endLease(lease) == [blob])
        for _ in 0..<2 { #expect(try BlobStore(openingAt: folder).abandoned == [blob]) }
        let next = try BlobStore(openingAt: folder)
        try next.forgetAbandoned()
        #expect(try BlobStore(openingAt: folder).abandoned == [])
        let last = next.takeLease(isTaking: true)
        next.protect(other, by: last)
        #expect(next.endLease(last) == [other])
        next.forgetTaking(of: last)
        #expect(try BlobStore(openingAt: folder).abandoned == [])
    }

    @Test("a blob whose bytes were found to be others is none that nobody has written to")
    func distrusted() throws {
        let fixture = try StoreFixture()
        let digest = Digest(of: content)
        let ingest = try fixture.store.beginIngest(of: digest, sizeBytes: nil)
        try ingest.append(content)
        try ingest.commit()
        #expect(try fixture.store.isUntouched(digest, sizeBytes: Int64(content.count)))
        fixture.store.distrust(digest)
        #expect(try !fixture.store.isUntouched(digest, sizeBytes: Int64(content.count)))
    }
}
