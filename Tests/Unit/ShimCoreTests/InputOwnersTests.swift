// Rows: features
import ShimCore
import Testing

@Suite struct InputOwnersTests {
    @Test("each client's bytes are counted over its turns, and read as they were written")
    func turns() {
        var owners = InputOwners()
        let changes = [owners.beginTurn(of: 7, 0), owners.beginTurn(of: 7, 10), owners.beginTurn(of: 8, 10), owners.beginTurn(of: 7, 13)]
        #expect(changes == [true, false, true, true])
        let read = InputOwners(owners.encoded())
        #expect(read == owners)
        #expect(read?.place(of: 7, 20) == 17 && read?.place(of: 8, 20) == 3 && read?.place(of: 9, 20) == 0)
        owners.isEnded = true
        #expect(InputOwners(owners.encoded())?.isEnded == true)
    }

    @Test("they fit into their page however many clients came, and the first are forgotten")
    func limit() {
        var owners = InputOwners()
        for client in 1...1000 { _ = owners.beginTurn(of: UInt64(client), UInt64(client) * 10) }
        #expect(owners.encoded().count <= InputOwners.byteCount)
        #expect(owners.place(of: 1, 10_100) == 0 && owners.place(of: 999, 10_100) == 10)
    }

    @Test("who came first and comes again and again is not forgotten")
    func faithful() {
        var owners = InputOwners()
        for client in 2...1000 {
            _ = owners.beginTurn(of: 1, UInt64(client) * 20)
            _ = owners.beginTurn(of: UInt64(client), UInt64(client) * 20 + 10)
        }
        #expect(owners.place(of: 1, 20_020) == 9990 && owners.place(of: 2, 20_020) == 0)
    }

    @Test(
        "bytes of another version, or too few, are none",
        arguments: [[2, 0, 0, 0, 0], [1, 0, 0], [1, 0, 5, 0, 2, 5, 1], [1, 0, 0, 0, 201]])
    func otherVersions(numbers: [UInt64]) {
        #expect(InputOwners(numbers.littleEndianBytes) == nil)
    }
}
