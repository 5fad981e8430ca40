import CoreTypes
import Images
import Records
import Testing

@Suite("What removing an image comes to")
struct RemovalPlanTests {
    private let id: Digest
    private let pinned: Digest

    init() throws {
        id = try Digest(.sha256, hex: String(repeating: "a", count: 64))
        pinned = try Digest(.sha256, hex: String(repeating: "d", count: 64))
    }

    private func image(tags: [String], pinnedIn repositories: [String] = []) throws -> NamedImage {
        let record = ImageRecord(
            id: id, manifestDigest: pinned, created: .zero, platform: .host, size: ByteCount(0), layers: [], blobs: [])
        return NamedImage(
            image: record, tags: try tags.map { try ImageReference($0).withDefaultTag },
            repositoryDigests: try repositories.map { try ImageReference($0).pinned(to: pinned) })
    }

    private func user(running: Bool) throws -> ImageUser {
        ImageUser(container: try ContainerID("0123456789abcdef"), isRunning: running)
    }

    private func untagged(_ plan: RemovalPlan) -> [String] { plan.untag.map(\.familiar) }

    @Test("the last tag of a repository takes the repository's digest with it, and the image when nothing is left")
    func lastTag() throws {
        let plan = try RemovalPlan.removing(try image(tags: ["a:1"], pinnedIn: ["a"]), by: "a:1", force: false, users: [])
        #expect(untagged(plan) == ["a:1", "a@\(pinned)"])
        #expect(plan.deletesImage)
    }

    @Test("one tag of several goes alone")
    func oneOfSeveral() throws {
        let named = try image(tags: ["a:1", "b:1"], pinnedIn: ["a"])
        let plan = try RemovalPlan.removing(named, by: "b:1", force: false, users: [try user(running: true)])
        #expect(untagged(plan) == ["b:1"])
        #expect(!plan.deletesImage)
    }

    @Test("an image that a container uses keeps its last name, unless forced; a running container keeps the image even then")
    func used() throws {
        let named = try image(tags: ["a:1"], pinnedIn: ["a"])
        let refusal = #expect(throws: ImageError.self) {
            try RemovalPlan.removing(named, by: "a:1", force: false, users: [try user(running: false)])
        }
        #expect(
            refusal?.message == "conflict: unable to remove repository reference \"a:1\" (must force) - container 0123456789ab is using "
                + "its referenced image aaaaaaaaaaaa")
        #expect(try RemovalPlan.removing(named, by: "a:1", force: true, users: [try user(running: false)]).deletesImage)
        let kept = try RemovalPlan.removing(named, by: "a:1", force: true, users: [try user(running: true)])
        #expect(!kept.deletesImage)
        #expect(kept.untag.count == 2)
    }

    @Test("by id, an image in several repositories or in use goes only by force, and not while its container runs")
    func byID() throws {
        let several = try image(tags: ["a:1", "b:1"])
        let refusal = #expect(throws: ImageError.self) { try RemovalPlan.removing(several, by: "aaaa", force: false, users: []) }
        #expect(
            refusal?.message == "conflict: unable to delete aaaaaaaaaaaa (must be forced) - image is referenced in multiple repositories")
        #expect(try RemovalPlan.removing(several, by: "aaaa", force: true, users: []).deletesImage)
        let single = try image(tags: ["a:1"], pinnedIn: ["a"])
        #expect(try RemovalPlan.removing(single, by: "aaaa", force: false, users: []).untag.count == 2)
        let stopped = #expect(throws: ImageError.self) {
            try RemovalPlan.removing(single, by: "aaaa", force: false, users: [try user(running: false)])
        }
        #expect(stopped?.message.hasSuffix("image is being used by stopped container 0123456789ab") ?? false)
        let running = #expect(throws: ImageError.self) {
            try RemovalPlan.removing(single, by: "aaaa", force: true, users: [try user(running: true)])
        }
        #expect(
            running?.message
                == "conflict: unable to delete aaaaaaaaaaaa (cannot be forced) - image is being used by running container 0123456789ab")
    }

    @Test("a word is an id, a name, or the beginning of an id, and a name goes first")
    func words() throws {
        #expect(ImageWord(id.hex) == .id(id))
        #expect(ImageWord(id.description) == .id(id))
        #expect(ImageWord("cafe") == .name(try ImageReference("cafe:latest"), prefix: "cafe"))
        #expect(ImageWord("busybox") == .name(try ImageReference("busybox:latest"), prefix: nil))
        #expect(ImageWord("busybox:1@\(pinned)") == .name(try ImageReference("busybox@\(pinned)"), prefix: nil))
        guard case .malformed = ImageWord("UPPER!") else { throw ImageError(.invalid, "a malformed word was taken for something") }
    }
}
