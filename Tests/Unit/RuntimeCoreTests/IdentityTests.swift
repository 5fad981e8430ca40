import OCISpec
import RuntimeCore
import Testing

@Suite("Ids of a user namespace, and accounts")
struct IdentityTests {
    private func mapping(
        _ users: [IDMapping], for user: UserConfiguration = UserConfiguration(), caller: UInt32
    ) throws(RuntimeError) -> IdentityMapping {
        var linux = LinuxConfiguration()
        linux.uidMappings = users
        linux.gidMappings = users
        return try IdentityMapping(linux, for: user, userID: caller, groupID: caller)
    }

    @Test("root writes any mapping; an ordinary user the own id alone, without groups; the rest is the helpers'")
    func ways() throws {
        let range = [IDMapping(containerID: 0, hostID: 100_000, size: 65_536)]
        let own = [IDMapping(containerID: 0, hostID: 1000, size: 1)]
        #expect(try mapping(range, caller: 0).way == .writing(denyingGroups: false))
        #expect(try mapping(own, caller: 1000).way == .writing(denyingGroups: true))
        #expect(try mapping(own, caller: 1000).deniesGroups)
        #expect(try mapping(own, caller: 1001).way == .helpers)
        #expect(try mapping(own + [IDMapping(containerID: 1, hostID: 100_000, size: 10)], caller: 1000).way == .helpers)
    }

    @Test("ids of the process that mean nothing in the namespace are refused by their field")
    func unmapped() {
        let few = [IDMapping(containerID: 0, hostID: 100_000, size: 10)]
        func refusal(_ user: UserConfiguration, _ mappings: [IDMapping], caller: UInt32 = 0) -> String? {
            problem { () throws(RuntimeError) in _ = try mapping(mappings, for: user, caller: caller) }?.doing
        }
        #expect(refusal(UserConfiguration(uid: 9, gid: 9, additionalGIDs: [0, 9]), few) == nil)
        #expect(refusal(UserConfiguration(uid: 10), few) == "process.user.uid")
        #expect(refusal(UserConfiguration(gid: .max), few) == "process.user.gid")
        #expect(refusal(UserConfiguration(additionalGIDs: [3, 10]), few) == "process.user.additionalGids[1]")
        #expect(refusal(UserConfiguration(), []) == "process.user.uid")
        let noRoot = [IDMapping(containerID: 1, hostID: 5, size: 1)]
        #expect(refusal(UserConfiguration(uid: 1), noRoot) == "process.user.gid")
        #expect(refusal(UserConfiguration(uid: 1, gid: 1), noRoot) == nil)
        let own = [IDMapping(containerID: 0, hostID: 1000, size: 1)]
        #expect(refusal(UserConfiguration(additionalGIDs: [0]), own, caller: 1000) == "process.user.additionalGids")
    }

    @Test("a range that ends with the last id there is includes it and no other")
    func lastID() throws {
        let last = [IDMapping(containerID: 0, hostID: 0, size: 1), IDMapping(containerID: .max, hostID: .max, size: 1)]
        #expect(try mapping(last, for: UserConfiguration(uid: .max), caller: 0).users == last)
    }

    @Test("a home is the sixth field of the line that has the number; lines that are none are passed over")
    func homes() {
        let accounts = Array(
            "root:x:0:0::/root:/bin/sh\nbroken:x:7\nuser:x:1000:1000:,,,:/home/user:\nempty:x:5:5:::\n1000:x:9:9::/no:\n".utf8)
        #expect(UserDatabase.home(of: 0, in: accounts) == "/root")
        #expect(UserDatabase.home(of: 1000, in: accounts) == "/home/user")
        for stranger: UInt32 in [5, 7, 8, .max] { #expect(UserDatabase.home(of: stranger, in: accounts) == nil) }
        #expect(UserDatabase.home(of: 0, in: []) == nil)
    }
}
