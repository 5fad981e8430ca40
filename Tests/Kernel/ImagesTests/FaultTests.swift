import CoreTypes
import Foundation
import Images
import Records
import Registry
import Testing

@Suite("Pulls from a registry that misbehaves", .serialized)
struct FaultTests {
    private func withFault<Value>(_ fault: String, _ body: (Library, FaultyRegistry) async throws -> Value) async throws -> Value {
        try await withFolder { folder in
            let layout = try makeLayout(in: folder)
            let registry = try FaultyRegistry(fault, layout: layout, in: folder)
            defer { registry.companion.stop() }
            return try await body(try await Library(at: folder + "/data"), registry)
        }
    }

    @Test(
        "attack D11: bytes that are not their digest's leave nothing behind, and nothing under the good digest",
        arguments: [
            ("wrong-bytes", "filesystem layer verification failed"), ("extra-bytes", "announced"), ("stream-more", "announced"),
            ("wrong-manifest", "manifest verification failed"),
        ])
    func wrongContent(fault: String, words: String) async throws {
        try await withFault(fault) { library, registry in
            let error = await #expect(throws: ImageError.self) { try await library.pull(registry.name) }
            #expect(error?.message.contains(words) ?? false, "\(String(describing: error))")
            let disk = try library.disk()
            #expect(disk.building == [])
            for blob in disk.blobs {
                let found = try shell("sha256sum '\(library.root)/content/blobs/sha256/\(blob)'").prefix(64)
                #expect(found == blob)
            }
            #expect(try await library.images.list().isEmpty)
        }
    }

    @Test("attack D11: a blob that always breaks off ends the pull after a few attempts")
    func alwaysTruncated() async throws {
        try await withFault("truncate-always") { library, registry in
            let error = await #expect(throws: ImageError.self) { try await library.pull(registry.name) }
            #expect(error?.code == .registry)
            let listed = try await library.images.list()
            #expect(listed.isEmpty)
            let attempts = try registry.requests().filter { $0[1].contains("/blobs/") }.count
            #expect(attempts < 12)
        }
    }

    @Test(
        "a blob that breaks off once goes on where it stopped, or from the start where the registry knows no ranges",
        arguments: ["truncate-once", "truncate-no-range"])
    func resumed(fault: String) async throws {
        try await withFault(fault) { library, registry in
            try await library.pull(registry.name)
            let ranges = try registry.requests().map(\.[4]).filter { $0 != "-" }
            #expect(ranges.count == 1)
            #expect(try await library.images.list().count == 1)
        }
    }

    @Test("feature B14: a Bearer token is asked for when challenged, once, and the password goes to its service alone")
    func bearer() async throws {
        try await withFault("bearer") { library, registry in
            try await library.pull(registry.name, credentials: .password(user: "ann", password: "s3cret"))
            let requests = try registry.requests()
            #expect(requests.filter { $0[1].hasPrefix("/token") }.count == 1)
            #expect(requests.filter { $0[3] == "Basic" }.allSatisfy { $0[1].hasPrefix("/token") })
            let wrong = await #expect(throws: ImageError.self) {
                try await library.pull(registry.name, credentials: .password(user: "ann", password: "other"))
            }
            #expect(wrong?.code == .unauthorized)
        }
    }

    @Test("attack E02: a realm elsewhere without TLS is not asked with a password")
    func evilRealm() async throws {
        try await withFault("evil-realm") { library, registry in
            let error = await #expect(throws: ImageError.self) {
                try await library.pull(registry.name, credentials: .password(user: "ann", password: "s3cret"))
            }
            #expect(error?.message.contains("without TLS") ?? false, "\(String(describing: error))")
        }
    }

    @Test(
        "attack E03: a redirect to a file, to link-local addresses or round in circles is refused",
        arguments: ["redirect-file", "redirect-link-local", "redirect-loop"])
    func redirects(fault: String) async throws {
        try await withFault(fault) { library, registry in
            let error = await #expect(throws: ImageError.self) { try await library.pull(registry.name) }
            #expect(error?.code == .registry, "\(String(describing: error))")
            let listed = try await library.images.list()
            #expect(listed.isEmpty)
        }
    }

    @Test(
        "attack D12, D13: a manifest that is also an index, and one without end, are refused",
        arguments: ["both-kinds", "endless-manifest"])
    func hostileManifests(fault: String) async throws {
        try await withFault(fault) { library, registry in
            let error = await #expect(throws: ImageError.self) { try await library.pull(registry.name) }
            #expect([.badContent, .registry].contains(error?.code), "\(String(describing: error))")
        }
    }

    @Test("a busy registry is asked again when it says so")
    func busy() async throws {
        try await withFault("busy") { library, registry in
            try await library.pull(registry.name)
            #expect(try registry.requests().filter { $0[2] == "429" }.count == 2)
        }
    }

    @Test("an index gives the manifest of this machine's platform, and none for a platform that it lacks")
    func index() async throws {
        try await withFault("index") { library, registry in
            let result = try await library.pull(registry.name)
            #expect(try await library.images.lookUp(registry.name).repositoryDigests.first?.digest == result.digest)
            let platform = Platform(operatingSystem: "linux", architecture: "riscv64")
            if platform != .host {
                let error = await #expect(throws: ImageError.self) { try await library.pull(registry.name, platform: platform) }
                #expect(error?.message == "no matching manifest for linux/riscv64 in the manifest list entries")
            }
        }
    }

    @Test("layers are fetched side by side, and unpacked side by side while their bytes still arrive")
    func parallel() async throws {
        try await withFault("together") { library, registry in
            let events = EventList()
            async let pulled = library.pull(registry.name, into: events)
            let deadline = ContinuousClock.now + .seconds(60)
            // No layer's second half is sent before both unpackers are at work.
            while events.layers("Extracting").count < 2, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
            #expect(events.layers("Extracting").count == 2)
            #expect(events.layers("Download complete").isEmpty)
            try shell("curl -sf 'http://\(registry.name.split(separator: "/")[0])/go'")
            _ = try await pulled
            #expect(events.count("Pull complete") == 2)
        }
    }

    @Test("a cancelled pull ends at once, leaves no layer in the making, and the next one succeeds")
    func cancellation() async throws {
        try await withFault("slow-once") { library, registry in
            let events = EventList()
            // Owned, cancelled and awaited by this test.
            let pull = Task { try await library.pull(registry.name, into: events) }
            while !events.hasCounted(layerOf: 2_500_000) { try await Task.sleep(for: .milliseconds(20)) }
            let cancelled = ContinuousClock.now
            pull.cancel()
            let error = await #expect(throws: ImageError.self) { try await pull.value }
            #expect(error?.code == .cancelled)
            #expect(ContinuousClock.now - cancelled < .seconds(3))
            #expect(try library.disk().building == [])
            try await library.pull(registry.name)
            #expect(try registry.requests().contains { $0[4] != "-" }, "what had arrived was not fetched again")
        }
    }
}
