// Rows: features
import CoreTypes
import Foundation
import Glibc
import Records
import Testing

@Suite("Records")
struct RecordsTests {
    private func withFolder<Value>(_ body: (String) async throws -> Value) async throws -> Value {
        let folder = "/tmp/apus-records-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try await body(folder)
    }

    private func container(_ id: String, name: String, state: String = "created", second: Int64 = 1) throws -> ContainerRecord {
        ContainerRecord(
            id: try ContainerID(id), name: name, state: state, created: Timestamp(seconds: second), imageID: nil,
            document: Array("{\"v\":1}".utf8))
    }

    private func digest(_ digit: Character) throws -> Digest { try Digest(.sha256, hex: String(repeating: digit, count: 64)) }

    private func image(_ digit: Character, layers: [LayerRecord] = [], second: Int64 = 5) throws -> ImageRecord {
        ImageRecord(
            id: try digest(digit), manifestDigest: try digest("f"), created: Timestamp(seconds: second), platform: .host,
            size: ByteCount(7), layers: layers, blobs: [try digest(digit), try digest("f")])
    }

    @Test("a container is there again, byte for byte, after the file was closed and opened")
    func containersSurvive() async throws {
        try await withFolder { folder in
            let record = try container("aa", name: "web", state: "running")
            let first = try RecordStore(openingAt: folder + "/engine.sqlite")
            try await first.containers.insert(record)
            try first.close()
            let second = try RecordStore(openingAt: folder + "/engine.sqlite")
            #expect(try await second.containers.all() == [record])
            #expect(try await second.containers.find(named: "web") == record)
            try second.close()
        }
    }

    @Test("what is left of a removed container is there with its removal, is in the way of no name, and goes when it is forgotten")
    func destroyed() async throws {
        try await withFolder { folder in
            let store = try RecordStore(openingAt: folder + "/engine.sqlite")
            let (one, two) = (try container("aa", name: "web"), try container("bb", name: "db"))
            try await store.containers.insert(one)
            try await store.containers.insert(two)
            try await store.containers.remove(one.id, leaving: [1], forgetting: [])
            try await store.containers.insert(try container("cc", name: "web"))
            #expect(try await store.containers.all().map(\.id) == [two.id, try ContainerID("cc")])
            #expect(try await store.containers.destroyed() == [one.id: [1]])
            try await store.containers.remove(two.id, leaving: [2], forgetting: [one.id])
            #expect(try await store.containers.destroyed() == [two.id: [2]])
            try store.close()
            let next = try RecordStore(openingAt: folder + "/engine.sqlite")
            #expect(try await next.containers.destroyed() == [two.id: [2]])
            try await next.containers.keepDestroyed([two.id: [3]])
            #expect(try await next.containers.destroyed() == [two.id: [3]])
            try await next.containers.keepDestroyed([:])
            #expect(try await next.containers.destroyed().isEmpty)
            try next.close()
        }
    }

    /// Writes as the engine's containers do: whatever has changed, and none waits for the one before.
    private actor Writer {
        private let store: RecordStore
        private var latest: ContainerRecord

        init(_ store: RecordStore, _ first: ContainerRecord) { (self.store, latest) = (store, first) }

        func write() async throws -> ContainerRecord {
            latest.document[0] &+= 1
            try await store.containers.update(latest)
            return latest
        }
    }

    @Test("writes of one actor come in the order in which it made them")
    func writesKeepTheirOrder() async throws {
        try await withFolder { folder in
            let store = try RecordStore(openingAt: folder + "/engine.sqlite")
            let first = try container("aa", name: "web")
            try await store.containers.insert(first)
            let writer = Writer(store, first)
            for _ in 0..<200 {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<8 { group.addTask { _ = try await writer.write() } }
                    try await group.waitForAll()
                }
                let kept = try await store.containers.find(first.id)
                let next = try await writer.write()
                #expect(kept?.document.first == next.document[0] &- 1)
            }
            try store.close()
        }
    }

    @Test("C13: a second container of the same name is refused with the owner, on insert and on rename")
    func namesAreUnique() async throws {
        try await withFolder { folder in
            let store = try RecordStore(openingAt: folder + "/engine.sqlite")
            let owner = try container("aa", name: "web")
            try await store.containers.insert(owner)
            let refusal = await #expect(throws: RecordsError.self) { try await store.containers.insert(try container("bb", name: "web")) }
            #expect(refusal?.code == .nameInUse(name: "web", by: owner.id))
            var other = try container("bb", name: "db")
            try await store.containers.insert(other)
            other.name = "web"
            let renamed = other
            let second = await #expect(throws: RecordsError.self) { try await store.containers.update(renamed) }
            #expect(second?.code == .nameInUse(name: "web", by: owner.id))
            #expect(try await store.containers.find(other.id)?.name == "db")
            try store.close()
        }
    }

    @Test("a write that was begun is not undone by its task's cancellation")
    func cancellation() async throws {
        try await withFolder { folder in
            let store = try RecordStore(openingAt: folder + "/engine.sqlite")
            let record = try container("aa", name: "web")
            // Owned and awaited by this test.
            let task = Task {
                while !Task.isCancelled { await Task.yield() }
                try await store.containers.insert(record)
            }
            task.cancel()
            try await task.value
            #expect(try await store.containers.all() == [record])
            try store.close()
        }
    }

    @Test("an image keeps its layers in order, its names move with a tag, and its removal takes all of them")
    func images() async throws {
        try await withFolder { folder in
            let store = try RecordStore(openingAt: folder + "/engine.sqlite")
            let layers = try ["1", "2", "3"].map { LayerRecord(diffID: try digest($0), chainID: try digest($0), size: ByteCount(2)) }
            let first = try image("a", layers: layers.reversed())
            let name = try ImageReference("busybox:latest")
            try await store.images.store(first, names: [name, name.pinned(to: try digest("f"))])
            let found = try await store.images.find(named: name)
            #expect(found?.image == first)
            #expect(found?.tags == [name])
            #expect(found?.repositoryDigests.count == 1)
            try await store.images.store(try image("b"), names: [name])
            #expect(try await store.images.find(named: name)?.image.id == digest("b"))
            #expect(try await store.images.find(first.id)?.tags == [])
            #expect(try await store.images.ids(beginningWith: "aaa", limit: 2) == [first.id])
            #expect(try await store.images.referenced().chains.count == 3)
            _ = try await store.images.remove(first.id, named: [try #require(found).repositoryDigests[0]], unless: { false })
            #expect(try await store.images.referenced().chains.isEmpty)
            #expect(try await store.images.all().map(\.image.id) == [digest("b")])
            try store.close()
        }
    }

    @Test("an image stays that has got a name or a user since its removal was decided, and a name that went to another image")
    func overtakenRemovals() async throws {
        try await withFolder { folder in
            let store = try RecordStore(openingAt: folder + "/engine.sqlite")
            let (id, other) = (try digest("a"), try digest("b"))
            let (old, new) = (try ImageReference("busybox:old"), try ImageReference("busybox:new"))
            try await store.images.store(try image("a"), names: [old])
            try await store.images.store(try image("b"), names: [])
            try await store.images.tag(id, as: new, manifest: try digest("f"))
            #expect(try await store.images.remove(id, named: [old], unless: { false }) == .changed)
            #expect(try await store.images.remove(id, named: [old, new], unless: { true }) == .changed)
            #expect(try await store.images.confirm(id))
            #expect(try await store.images.find(id)?.tags == [new, old])
            try await store.images.tag(other, as: old, manifest: try digest("f"))
            _ = try await store.images.untag([old, new], of: id, keepsName: false)
            #expect(try await store.images.find(named: old)?.image.id == other)
            #expect(try await store.images.find(named: new) == nil)
            #expect(try await store.images.remove(id, named: [], unless: { false }) == .removed)
            #expect(try await store.images.remove(id, named: [], unless: { false }) == .absent)
            #expect(try await !store.images.confirm(id))
            try store.close()
        }
    }

    @Test(
        "each name keeps its manifest, also where others of the image have another, and in a file that an older daemon wrote or goes on with"
    )
    func manifestsOfNames() async throws {
        try await withFolder { folder in
            let path = folder + "/engine.sqlite"
            let names = try ["busybox:one", "busybox:two", "busybox:three", "busybox:four"].map { try ImageReference($0) }
            let manifests = [try digest("d"), try digest("e"), try digest("f")]
            var store = try RecordStore(openingAt: path)
            for (name, manifest) in zip(names, manifests[...1]) {
                let image = ImageRecord(
                    id: try digest("a"), manifestDigest: manifest, created: Timestamp(seconds: 5), platform: .host, size: ByteCount(7),
                    layers: [],
                    blobs: [manifest])
                try await store.images.store(image, names: [name])
            }
            try await store.images.tag(try digest("a"), as: names[2], manifest: manifests[0])
            func check(_ expected: [Digest]) async throws {
                for found in [try await store.images.find(named: names[0]), try await store.images.all().first] {
                    let named = try #require(found)
                    #expect(zip(names, expected).allSatisfy { named.manifest(of: $0) == $1 })
                    #expect(named.image.manifestDigest == manifests[1] && named.manifestDigests.first == manifests[1])
                }
            }
            try await check([manifests[0], manifests[1], manifests[0]])
            try store.close()
            // What a daemon does that does not know of it, and then such a daemon's own file.
            try sql(path, "INSERT INTO imageName VALUES ('docker.io/library/busybox:four', (SELECT id FROM image))")
            store = try RecordStore(openingAt: path)
            try await check([manifests[0], manifests[1], manifests[0], manifests[1]])
            try store.close()
            try sql(path, "DROP TABLE imageNameManifest; DROP TRIGGER imageNameGiven; DROP TRIGGER imageNameMoved")
            store = try RecordStore(openingAt: path)
            try await check([manifests[1], manifests[1], manifests[1], manifests[1]])
            try store.close()
        }
    }

    @Test("an image lets go of what no manifest needs that a name stands for, also in a file that an older daemon wrote")
    func blobsOfManifests() async throws {
        try await withFolder { folder in
            let path = folder + "/engine.sqlite"
            let names = try ["busybox:one", "busybox:two", "busybox:three"].map { try ImageReference($0) }
            let (id, other) = (try digest("a"), try digest("b"))
            let (one, two) = (try digest("d"), try digest("e"))
            let (common, ofOne, ofTwo) = (try digest("1"), try digest("2"), try digest("3"))
            func image(_ manifest: Digest, _ own: Digest) throws -> ImageRecord {
                ImageRecord(
                    id: id, manifestDigest: manifest, created: Timestamp(seconds: 5), platform: .host, size: ByteCount(7), layers: [],
                    blobs: [id, manifest, common, own])
            }
            var store = try RecordStore(openingAt: path)
            #expect(try await store.images.store(try image(one, ofOne), names: [names[0]]) == [])
            #expect(try await store.images.store(try image(two, ofTwo), names: [names[1]]) == [])
            #expect(try await store.images.find(id)?.image.blobs == [id, one, two, common, ofOne, ofTwo])
            // To another image, and to the other manifest; the last that it was pulled by is one of those that have a name.
            try await store.images.store(
                ImageRecord(
                    id: other, manifestDigest: try digest("f"), created: Timestamp(seconds: 5), platform: .host, size: ByteCount(7),
                    layers: [], blobs: [other, ofTwo]), names: [])
            #expect(try await store.images.tag(other, as: names[1], manifest: try digest("f")) == [two, ofTwo])
            #expect(try await store.images.find(id)?.image == (try image(one, ofOne)))
            #expect(try await store.images.all().map(\.image.blobs.count) == [4, 2])
            await #expect(throws: RecordsError.self) { try await store.images.tag(id, as: names[2], manifest: two) }
            #expect(try await store.images.store(try image(two, ofTwo), names: [names[0]]) == [one, ofOne])
            // Without a name it stays as it is, and what has no name beside one that has it goes at once.
            #expect(try await store.images.untag([names[0]], of: id, keepsName: false) == [])
            #expect(try await store.images.store(try image(one, ofOne), names: []) == [two, ofTwo])
            #expect(try await store.images.tag(id, as: names[0], manifest: one) == [])
            #expect(try await store.images.store(try image(two, ofTwo), names: []) == [two, ofTwo])
            #expect(try await store.images.store(try image(two, ofTwo), names: [names[2]]) == [])
            try store.close()
            // Nobody knows in such a file what belongs to which: nothing goes that may be needed.
            try sql(path, "DROP TABLE imageManifestBlob")
            store = try RecordStore(openingAt: path)
            #expect(try await store.images.untag([names[0]], of: id, keepsName: true) == [])
            #expect(try await store.images.find(id)?.image.blobs == [id, one, two, common, ofOne, ofTwo])
            try store.close()
        }
    }

    @Test("what a repository's digest was pulled as stays so until the digest goes, whatever becomes of the tag")
    func pulls() async throws {
        try await withFolder { folder in
            let path = folder + "/engine.sqlite"
            let (name, second) = (try ImageReference("busybox:latest"), try ImageReference("busybox:second"))
            let (pinned, other) = (try ImageReference("busybox").pinned(to: try digest("f")), try ImageReference("other:latest"))
            var store = try RecordStore(openingAt: path)
            func check(_ id: Character, _ pulls: [ImageReference: [ImageReference]]) async throws {
                #expect(try await store.images.find(try digest(id))?.pulls == pulls)
                #expect(try await store.images.all().first { $0.image.id == (try? digest(id)) }?.pulls == pulls)
            }
            try await store.images.store(try image("a"), names: [name, pinned], isPulled: true)
            try await store.images.store(try image("b"), names: [])
            for made in [second, other, name] { try await store.images.tag(try digest("a"), as: made, manifest: try digest("f")) }
            try await check("a", [pinned: [name]])
            try store.close()
            store = try RecordStore(openingAt: path)
            try await check("a", [pinned: [name]])
            // A tag that goes, or goes to another image, changes nothing about what was pulled as it.
            try await store.images.tag(try digest("b"), as: name, manifest: try digest("f"))
            try await check("a", [pinned: [name]])
            try await check("b", [:])
            #expect(try await store.images.untag([name], of: try digest("b"), keepsName: false) == [])
            try await store.images.store(try image("a"), names: [second, pinned], isPulled: true)
            try await check("a", [pinned: [name, second]])
            #expect(try await store.images.untag([pinned], of: try digest("a"), keepsName: true) == [])
            try await store.images.tag(try digest("a"), as: pinned, manifest: try digest("f"))
            try await check("a", [:])
            try store.close()
            // In a file of a daemon that did not write it down, what stands for the same manifest was pulled as it.
            try sql(path, "DROP TABLE imagePulledAs")
            store = try RecordStore(openingAt: path)
            try await check("a", [pinned: [second]])
            try store.close()
            try sql(path, "DELETE FROM imagePulledAs")
            store = try RecordStore(openingAt: path)
            try await check("a", [:])
            try store.close()
        }
    }

    @Test("of two who take an image's names away at once, the later learns that it would have none left")
    func lastNames() async throws {
        try await withFolder { folder in
            let store = try RecordStore(openingAt: folder + "/engine.sqlite")
            let names = try ["busybox:one", "busybox:two"].map { try ImageReference($0) }
            try await store.images.store(try image("a"), names: names)
            #expect(try await store.images.untag([names[0]], of: try digest("a"), keepsName: true) == [])
            #expect(try await store.images.untag([names[1]], of: try digest("a"), keepsName: true) == nil)
            #expect(try await store.images.find(named: names[1]) != nil)
            #expect(try await store.images.untag([names[1]], of: try digest("a"), keepsName: false) == [])
            #expect(try await store.images.all().map(\.tags) == [[]])
            try store.close()
        }
    }

    private func sql(_ path: String, _ statements: String) throws {
        let program =
            "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('PRAGMA foreign_keys=ON'); c.executescript(sys.argv[2]); c.commit()"
        let process = try Process.run(URL(fileURLWithPath: "/usr/bin/python3"), arguments: ["-c", program, path, statements])
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }

    @Test("a list that was read before says after each write what a list that is read anew says")
    func rememberedImages() async throws {
        try await withFolder { folder in
            let path = folder + "/engine.sqlite"
            let store = try RecordStore(openingAt: path)
            func check(_ ids: [Character]?) async throws {
                let list = try await store.images.all()
                if let ids { #expect(list.map(\.image.id) == (try ids.map { try digest($0) })) }
                // Another store of the same file remembers nothing.
                let other = try RecordStore(openingAt: path)
                #expect(try await other.images.all() == list)
                try other.close()
            }
            let (name, second) = (try ImageReference("busybox:latest"), try ImageReference("busybox:second"))
            try await check([])
            for (id, second) in [("c", 5), ("a", 5), ("e", 9)] as [(Character, Int64)] {
                try await store.images.store(try image(id, second: second), names: [])
            }
            try await check(["e", "a", "c"])
            try await store.images.store(try image("b"), names: [name, second])
            try await check(["e", "a", "b", "c"])
            // The name goes from one to another, and both are read again.
            try await store.images.tag(try digest("e"), as: name, manifest: try digest("f"))
            try await check(["e", "a", "b", "c"])
            try await store.images.store(try image("c"), names: [second])
            _ = try await store.images.remove(try digest("a"), named: [], unless: { false })
            try await check(["e", "b", "c"])
            _ = try await store.images.untag([name], of: try digest("e"), keepsName: false)
            _ = try await store.images.untag([second], of: try digest("c"), keepsName: false)
            try await check(["e", "b", "c"])
            await #expect(throws: RecordsError.self) { try await store.images.tag(try digest("f"), as: name, manifest: try digest("f")) }
            try await check(["e", "b", "c"])
            _ = try await store.images.remove(try digest("b"), named: [], unless: { false })
            try await check(["e", "c"])
            // More changes than are remembered one by one.
            for number in 10..<80 {
                let id = try Digest(.sha256, hex: String(repeating: "0", count: 62) + "\(number)")
                try await store.images.store(
                    ImageRecord(
                        id: id, manifestDigest: try digest("f"), created: Timestamp(seconds: Int64(number)), platform: .host,
                        size: ByteCount(7),
                        layers: [], blobs: [id]), names: [try ImageReference("many:t\(number)")])
            }
            try await check(nil)
            #expect(try await store.images.all().count == 72)
            try store.close()
        }
    }

    @Test("a file that is no database, a torn one and one of a newer version are refused by their path")
    func damage() async throws {
        try await withFolder { folder in
            let garbage = folder + "/garbage.sqlite"
            try Data(repeating: 0x5a, count: 8192).write(to: URL(fileURLWithPath: garbage))
            let notOne = #expect(throws: RecordsError.self) { try RecordStore(openingAt: garbage) }
            #expect(notOne?.code == .damaged)
            #expect("\(String(describing: notOne))".contains(garbage))

            let path = folder + "/engine.sqlite"
            let store = try RecordStore(openingAt: path)
            for number in 0..<200 { try await store.containers.insert(try container("c\(number)", name: "n\(number)")) }
            try store.close()
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            for offset in stride(from: 4096, to: bytes.count, by: 512) { bytes[offset] = 0xff }
            let torn = folder + "/torn.sqlite"
            try bytes.write(to: URL(fileURLWithPath: torn))
            let tornError = #expect(throws: RecordsError.self) { try RecordStore(openingAt: torn) }
            #expect(tornError?.code == .damaged)

            let sql =
                "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute(\"INSERT INTO grdb_migrations VALUES ('v99')\"); c.commit()"
            let process = try Process.run(URL(fileURLWithPath: "/usr/bin/python3"), arguments: ["-c", sql, path])
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            let newer = #expect(throws: RecordsError.self) { try RecordStore(openingAt: path) }
            #expect(newer?.code == .tooNew)
            #expect("\(String(describing: newer))".contains(path))
        }
    }
}
