// Rows: features
import CoreTypes
import Foundation
import Images
import OCISpec
import Records
import Registry
import Snapshots
import Testing

@Suite("Pulls from a real registry", .serialized)
struct PullTests {
    private func withRegistry<Value>(password: Bool = false, _ body: (String, RealRegistry) async throws -> Value) async throws -> Value {
        try await withFolder { folder in
            let layout = try makeLayout(in: folder)
            let registry = try RealRegistry(in: folder, password: password)
            defer { registry.companion.stop() }
            for image in ["one", "two"] { try registry.push(layout, image, options: password ? "--dest-creds ann:s3cret" : "") }
            return try await body(folder, registry)
        }
    }

    @Test("B01: a pulled image is here by name, by id and by the beginning of its id, and its root runs")
    func pullAndRun() async throws {
        try await withRegistry { folder, registry in
            let library = try await Library(at: folder + "/data")
            let events = EventList()
            let result = try await library.pull(registry.name("one"), into: events)
            #expect(result.isNew)
            #expect(events.count("Pulling from one") == 1)
            #expect(events.count("Pulling fs layer") == 2)
            #expect(events.count("Download complete") == 2)
            #expect(events.count("Pull complete") == 2)
            #expect(
                events.all.suffix(2).map(\.status) == [
                    "Digest: \(result.digest)", "Status: Downloaded newer image for \(registry.name("one")):latest",
                ])
            for word in [
                registry.name("one"), result.imageID.description, result.imageID.short, "\(registry.name("one"))@\(result.digest)",
            ] {
                #expect(try await library.images.lookUp(word).image.id == result.imageID, "\(word)")
            }
            let details = try await library.images.details(of: result.imageID)
            #expect(details.configuration.execution.entrypoint == ["/bin/busybox"])
            #expect(details.named.tags.map(\.description) == [registry.name("one") + ":latest"])
            #expect(details.named.image.layers.count == 2)
            #expect(details.named.image.size.bytes > 3_000_000)

            let container = try ContainerID("c1")
            let mounts = try await library.images.prepareRoot(of: container, image: result.imageID)
            #expect(try await library.images.prepareRoot(of: container, image: result.imageID) == mounts)
            let root = try #require(mounts.last)
            let printed = try shell(
                """
                mkdir '\(folder)/root'
                unshare -m sh -ec 'mount -t \(root.type) -o "\(root.options.joined(separator: ","))" \(root.source) "\(folder)/root"
                chroot "\(folder)/root" /bin/busybox sh -c "echo inside; /bin/busybox wc -c < /large"'
                """)
            #expect(printed == "inside\n3000000\n")
            try await library.images.removeRoot(of: container)
            #expect(try library.disk().active == [])
        }
    }

    @Test("B02, B03: a layer of two images is fetched and stored once")
    func sharedLayer() async throws {
        try await withRegistry { folder, registry in
            let library = try await Library(at: folder + "/data")
            try await library.pull(registry.name("one"))
            let events = EventList()
            try await library.pull(registry.name("two"), into: events)
            #expect(events.count("Already exists") == 2)
            #expect(events.count("Pull complete") == 1)
            let fetches = try registry.blobFetches()
            #expect(fetches.count == 5, "three layers and two configurations")
            #expect(fetches.values.allSatisfy { $0 == 1 }, "\(fetches)")
            #expect(try library.disk().layers.count == 3)
        }
    }

    @Test("eight pulls at once of two images that share layers fetch each layer once")
    func simultaneousPulls() async throws {
        try await withRegistry { folder, registry in
            let library = try await Library(at: folder + "/data")
            let names = (0..<8).map { registry.name($0 % 2 == 0 ? "one" : "two") }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for name in names { group.addTask { try await library.pull(name) } }
                try await group.waitForAll()
            }
            // A configuration is small, and asked for by each pull that does not find it yet.
            let configurations = Set(try await library.images.list().map(\.image.id.description))
            let layers = try registry.blobFetches().filter { !configurations.contains($0.key) }
            #expect(layers.count == 3 && layers.values.allSatisfy { $0 == 1 }, "\(layers)")
            #expect(try library.disk().layers.count == 3)
            #expect(try library.disk().building == [])
            #expect(try await library.images.list().count == 2)
        }
    }

    @Test("a second pull of what is here fetches nothing and says that the image is up to date")
    func upToDate() async throws {
        try await withRegistry { folder, registry in
            let library = try await Library(at: folder + "/data")
            try await library.pull(registry.name("one"))
            let before = try registry.blobFetches()
            let events = EventList()
            let result = try await library.pull(registry.name("one"), into: events)
            #expect(!result.isNew)
            #expect(events.all.last?.status == "Status: Image is up to date for \(registry.name("one")):latest")
            #expect(try registry.blobFetches() == before)
        }
    }

    @Test("B07, B10: a name goes with its tag; the image, its layers and its blobs with its last name")
    func removal() async throws {
        try await withRegistry { folder, registry in
            let library = try await Library(at: folder + "/data")
            let one = try await library.pull(registry.name("one"))
            try await library.pull(registry.name("two"))
            try await library.images.tag(registry.name("one"), as: try ImageReference("mine:v1"))
            let untagged = try await library.images.remove("mine:v1", force: false) { _ in
                []
            } isUsed: { _, _ in
                false
            }
            #expect(untagged == [.untagged("mine:v1")])
            let user = ImageUser(container: try ContainerID("0123456789abcdef"), isRunning: true)
            let inUse = await #expect(throws: ImageError.self) {
                try await library.images.remove(registry.name("one"), force: false) { _ in
                    [user]
                } isUsed: { _, _ in
                    false
                }
            }
            #expect(inUse?.code == .conflict)

            let removed = try await library.images.remove(registry.name("one"), force: false) { _ in
                []
            } isUsed: { _, _ in
                false
            }
            #expect(
                removed == [
                    .untagged(registry.name("one") + ":latest"), .untagged("\(registry.name("one"))@\(one.digest)"), .deleted(one.imageID),
                ], "its layers belong to the other image too")
            #expect(try library.disk().layers.count == 3)
            let rest = try await library.images.remove(registry.name("two"), force: false) { _ in
                []
            } isUsed: { _, _ in
                false
            }
            #expect(rest.count == 6, "two names, the image and three layers")
            #expect(try library.disk() == Library.Disk())
            let gone = await #expect(throws: ImageError.self) { try await library.images.lookUp("mine:v1") }
            #expect(gone?.message == "No such image: mine:v1")
        }
    }

    @Test("the layers of a container's root outlive their image")
    func rootKeepsLayers() async throws {
        try await withRegistry { folder, registry in
            let library = try await Library(at: folder + "/data")
            let pulled = try await library.pull(registry.name("one"))
            let container = try ContainerID("c1")
            _ = try await library.images.prepareRoot(of: container, image: pulled.imageID)
            _ = try await library.images.remove(registry.name("one"), force: true) { _ in
                []
            } isUsed: { _, _ in
                false
            }
            #expect(try library.disk().layers.count == 2)
            #expect(try await library.images.rootMounts(of: container).count == 1)
            try await library.images.removeRoot(of: container)
            try library.stop()
            let again = try await Library(at: folder + "/data")
            #expect(try again.disk() == Library.Disk())
        }
    }

    @Test("a layer whose blob a pull is fetching keeps no removal waiting")
    func removalBesidePull() async throws {
        try await withFolder { folder in
            let registry = try FaultyRegistry("together", layout: try makeLayout(in: folder), in: folder)
            defer { registry.companion.stop() }
            let library = try await Library(at: folder + "/data")
            func go() throws { try shell("curl -sf 'http://\(registry.name.split(separator: "/")[0])/go'") }
            try go()
            let pulled = try await library.pull(registry.name)
            let container = try ContainerID("c1")
            _ = try await library.images.prepareRoot(of: container, image: pulled.imageID)
            _ = try await library.images.remove(registry.name, force: true) { _ in
                []
            } isUsed: { _, _ in
                false
            }
            try shell("curl -sf 'http://\(registry.name.split(separator: "/")[0])/wait'")
            async let again = library.pull(registry.name)
            let deadline = ContinuousClock.now + .seconds(60)
            while try registry.requests().filter({ $0[1].contains("/blobs/") }).count < 6, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(20))
            }
            let removed = EventList()
            async let removal: Void = {
                try await library.images.removeRoot(of: container)
                removed.add(.complete(try ImageReference(registry.name), isNew: false))
            }()
            while removed.all.isEmpty, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
            let wasInTime = !removed.all.isEmpty
            try go()
            try await removal
            _ = try await again
            #expect(wasInTime, "the removal has waited for the download")
            #expect(try library.disk().layers.count == 2)
        }
    }

    @Test("a private registry serves the right password alone, and no error shows one")
    func passwords() async throws {
        try await withRegistry(password: true) { folder, registry in
            let library = try await Library(at: folder + "/data")
            let none = await #expect(throws: ImageError.self) { try await library.pull(registry.name("one")) }
            #expect(none?.code == .unauthorized)
            #expect(none?.message.hasSuffix("no basic auth credentials") ?? false, "\(String(describing: none))")
            let wrong = await #expect(throws: ImageError.self) {
                try await library.pull(registry.name("one"), credentials: .password(user: "ann", password: "wr0ng"))
            }
            #expect(wrong?.code == .unauthorized)
            #expect(!String(reflecting: wrong).contains("wr0ng"))
            #expect(try library.disk() == Library.Disk())
            try await library.pull(registry.name("one"), credentials: .password(user: "ann", password: "s3cret"))
            #expect(try shell("grep -rl s3cret '\(folder)/data' || true") == "")
        }
    }

    @Test("what is not there, and who does not answer, is said in Docker's words")
    func refusals() async throws {
        try await withRegistry { folder, registry in
            let library = try await Library(at: folder + "/data")
            let tag = registry.name("one") + ":nosuch"
            let missing = await #expect(throws: ImageError.self) { try await library.pull(tag) }
            #expect(missing?.code == .notFound)
            #expect(missing?.message == "manifest for \(tag) not found: manifest unknown: manifest unknown")
            let silent = await #expect(throws: ImageError.self) { try await library.pull("127.0.0.1:1/one") }
            #expect(silent?.code == .registry)
            #expect(silent?.message.contains("dial tcp 127.0.0.1:1: connect: connection refused") ?? false, "\(String(describing: silent))")
            #expect(try library.disk() == Library.Disk())
        }
    }

    @Test("what a crash left is gone after the next start, recorded images are not, and what a pull may go on with waits a day")
    func crash() async throws {
        try await withRegistry { folder, registry in
            let library = try await Library(at: folder + "/data")
            try await library.pull(registry.name("one"))
            let whole = try library.disk()
            try library.stop()
            let stray = String(repeating: "ab", count: 32)
            try shell(
                """
                cd '\(folder)/data'
                echo partial > content/ingests/sha256-\(stray)
                echo unknown > content/blobs/sha256/\(stray)
                echo half > content/blobs/sha256/.\(stray).1.1.tmp
                mkdir -p snapshots/overlayfs/building/layer-x-1/bin snapshots/overlayfs/active/half/fs
                """)
            let next = try await Library(at: folder + "/data")
            var expected = whole
            expected.ingests = ["sha256-\(stray)"]
            expected.blobs = (whole.blobs + [stray]).sorted()
            #expect(try next.disk() == expected)
            try next.stop()
            try shell("touch -d '2 days ago' '\(folder)'/data/content/ingests/sha256-* '\(folder)'/data/content/blobs/sha256/*")
            let again = try await Library(at: folder + "/data")
            #expect(try again.disk() == whole)
            #expect(try await again.images.list().count == 1)
        }
    }
}
