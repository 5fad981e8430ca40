// Rows: attacks
import CoreTypes
import EngineAPI
import Testing

@testable import Engine

@Suite struct UserNamespaceTests {
    private let text =
        "root:1:65536\nlender:100000:131072\n1001:500000:65536\nlender:900000:70000\nbroken:x:1\nempty:5:0\nzero:0:65536\nhigh:4294967290:65536\nsmall:10:4\nsmall:100:6\n"

    @Test("B07 the lines of a user are found by name and by number, and what is no range is none")
    func lines() {
        #expect(SubordinateIDs(of: ["lender"], in: text).blocks.map(\.first) == [100000, 900000])
        #expect(SubordinateIDs(of: ["1001"], in: text).blocks == [SubordinateIDs.Block(first: 500000, count: 65536)])
        for user in ["broken", "empty", "zero", "high", "nobody", ""] { #expect(SubordinateIDs(of: [user], in: text).blocks.isEmpty) }
    }

    @Test("B07 ids come in shares that do not overlap; small ranges make one together")
    func shares() {
        let lender = SubordinateIDs(of: ["lender"], in: text).shares(of: 65536)
        #expect(lender.map { $0.map(\.outside) } == [[100000], [165536], [900000]])
        let small = SubordinateIDs(of: ["small"], in: text).shares(of: 65536)
        #expect(
            small == [[UserNamespaceIDs.Run(inside: 0, outside: 10, count: 4), UserNamespaceIDs.Run(inside: 4, outside: 100, count: 6)]])
    }

    @Test("B07 each container gets a share of its own while there are some, then one that few have, and gives it back")
    func pool() throws {
        let two = SubordinateIDs(blocks: [SubordinateIDs.Block(first: 100000, count: 131072)])
        let pool = UserNamespacePool(users: two, groups: two)
        let ids = try (0..<3).map { try ContainerID("c\($0)") }
        let taken = try ids.map { try pool.take(for: $0).rootUser }
        #expect(taken == [100000, 165536, 100000])
        pool.release(ids[1])
        #expect(try pool.take(for: ids[1]).rootUser == 165536)
        let next = UserNamespacePool(users: two, groups: two)
        next.adopt(
            UserNamespaceIDs(
                users: [.init(inside: 0, outside: 100000, count: 65536)], groups: [.init(inside: 0, outside: 100000, count: 65536)]),
            of: ids[0])
        #expect(try next.take(for: ids[2]).rootUser == 165536)
    }

    @Test("B07 userns-remap is the word default, or a user with a group or without")
    func words() {
        #expect(UserRemap(parsing: "default")?.isUsual == true)
        #expect(UserRemap(parsing: "lender")?.group == "lender" && UserRemap(parsing: "lender:others")?.group == "others")
        for word in ["", ":", "a:", ":b", "a:b:c"] { #expect(UserRemap(parsing: word) == nil) }
    }

    @Test("B07 what takes rights over the host does not go with a user namespace")
    func conflicts() throws {
        var host = HostConfig()
        #expect(try UserNamespaceChoice.isOwn(host, isUsual: false) == false)
        #expect(try UserNamespaceChoice.isOwn(host, isUsual: true))
        host.usernsMode = "private"
        #expect(try UserNamespaceChoice.isOwn(host, isUsual: false))
        host.networkMode = "container:other"
        #expect(try UserNamespaceChoice.isOwn(host, isUsual: true) == false)
        host.networkMode = "host"
        #expect(throws: EngineError.self) { try UserNamespaceChoice.isOwn(host, isUsual: false) }
        host.usernsMode = "host"
        #expect(try UserNamespaceChoice.isOwn(host, isUsual: true) == false)
    }
}
