import CoreTypes
import LinuxSyscalls
import SystemPackage
import Testing

@testable import NameService

func openNothing() throws -> OwnedFD { try openFile("/dev/null", .readOnly) }

@Suite struct TableTests {
    private func membership(_ network: String, _ names: [String], _ addresses: [String], links: [String: String] = [:])
        -> NameEntry.Membership
    {
        NameEntry.Membership(
            network: network, networkName: "\(network)-net", names: names, addresses: addresses.compactMap { IPAddress($0) }, links: links)
    }

    private func entry(_ memberships: NameEntry.Membership...) -> NameEntry { NameEntry(namespace: "/run/ns", memberships: memberships) }

    private func ask(_ table: inout NameTable, _ name: String, _ container: String, type: RecordType = .address) throws -> NameTable.Finding
    {
        table.find(NameQuestion(name: try #require(DomainName(name)), type: type, recordClass: 1), for: container)
    }

    private func addresses(_ texts: String...) -> NameTable.Finding { .addresses(texts.compactMap { IPAddress($0) }) }

    @Test func `containers of one network find each other by each of their names, others do not`() throws {
        var table = NameTable()
        table.insert(entry(membership("front", ["web", "alias", "0123456789ab"], ["10.0.0.2", "fd00::2"])), of: "web")
        table.insert(entry(membership("front", ["proxy"], ["10.0.0.3"]), membership("back", ["proxy"], ["10.1.0.3"])), of: "proxy")
        table.insert(entry(membership("back", ["db"], ["10.1.0.2"])), of: "db")
        for name in ["web", "WEB", "alias", "0123456789ab", "web.front-net"] {
            #expect(try ask(&table, name, "proxy") == addresses("10.0.0.2"))
        }
        #expect(try ask(&table, "web", "proxy", type: .addressV6) == addresses("fd00::2"))
        #expect(try ask(&table, "db", "proxy") == addresses("10.1.0.2"))
        #expect(try ask(&table, "db", "proxy", type: .addressV6) == .nothing)
        #expect(try ask(&table, "db", "proxy", type: RecordType(number: 15)) == .nothing)
        #expect(try ask(&table, "db", "web") == .unknown && ask(&table, "web", "db") == .unknown)
        #expect(try ask(&table, "web.back-net", "proxy") == .unknown && ask(&table, "xweb", "proxy") == .unknown)
        #expect(try ask(&table, "proxy", "web") == addresses("10.0.0.3"))
    }

    @Test func `an address leads back to the container's first name and its network`() throws {
        var table = NameTable()
        table.insert(entry(membership("front", ["web", "alias"], ["10.0.0.2"])), of: "web")
        table.insert(entry(membership("other", ["db"], ["10.1.0.2"])), of: "db")
        let name = try #require(SpelledName("web.front-net"))
        #expect(try ask(&table, "2.0.0.10.in-addr.arpa", "web", type: .pointer) == .name(name))
        #expect(try ask(&table, "2.0.0.10.IN-addr.ARPA", "web", type: .pointer) == .name(name))
        #expect(try ask(&table, "2.0.0.10.in-addr.arpa", "web") == .nothing)
        #expect(try ask(&table, "2.0.1.10.in-addr.arpa", "web", type: .pointer) == .unknown)
    }

    @Test func `an address leads back to a name as it is written, and questions are found however they are`() throws {
        var table = NameTable()
        table.insert(entry(membership("front", ["Web"], ["10.0.0.2", "fd00::ab"])), of: "web")
        let name = try #require(SpelledName("Web.front-net"))
        let reverse = String(repeating: "0.", count: 28)
        #expect(try ask(&table, "B.a." + reverse + "D.f.Ip6.ARPA", "web", type: .pointer) == .name(name))
        #expect(try ask(&table, "wEB", "web") == addresses("10.0.0.2"))
        var question: [UInt8] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        question += try #require(SpelledName("2.0.0.10.In-Addr.aRPA")).wire + [0, 0, 12, 0, 1]
        let query = try #require(NameMessage(question))
        guard case .name(let found) = table.find(query.question, for: "web") else {
            Issue.record("no name")
            return
        }
        let answer = NameReply.make(to: query, of: question, .success, [.pointer(found)], limitBytes: 512)
        // The question's letters are as they were, and the name's as its owner wrote them.
        #expect(answer[12..<(question.count)] == question[12...])
        #expect(answer.suffix(name.wire.count + 1) == name.wire + [0])
    }

    @Test func `several of one name take turns`() throws {
        var table = NameTable()
        for number in 2...4 { table.insert(entry(membership("front", ["c\(number)", "service"], ["10.0.0.\(number)"])), of: "c\(number)") }
        let firsts = try (0..<6).map { _ in try ask(&table, "service", "c2") }.map { finding -> String in
            guard case .addresses(let found) = finding, found.count == 3 else { return "" }
            return found[0].description
        }
        #expect(firsts == ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.2", "10.0.0.3", "10.0.0.4"])
    }

    @Test func `a link is a name for one container alone`() throws {
        var table = NameTable()
        table.insert(entry(membership("front", ["db"], ["10.0.0.2"])), of: "db")
        table.insert(entry(membership("front", ["web"], ["10.0.0.3"], links: ["store": "db"])), of: "web")
        #expect(try ask(&table, "store", "web") == addresses("10.0.0.2") && ask(&table, "store", "db") == .unknown)
    }

    @Test func `who is gone has no name, and a new name takes the place of the old one`() throws {
        var table = NameTable()
        table.insert(entry(membership("front", ["web"], ["10.0.0.2"])), of: "web")
        table.insert(entry(membership("front", ["old"], ["10.0.0.3"])), of: "db")
        table.insert(entry(membership("front", ["new"], ["10.0.0.3"])), of: "db")
        #expect(try ask(&table, "old", "web") == .unknown && ask(&table, "new", "web") == addresses("10.0.0.3"))
        table.remove("db")
        #expect(try ask(&table, "new", "web") == .unknown && ask(&table, "3.0.0.10.in-addr.arpa", "web", type: .pointer) == .unknown)
        table.remove("web")
        #expect(table.isEmpty)
    }

    @Test func `an entry survives being written`() throws {
        var whole = entry(
            membership("front", ["web", "a\"b"], ["10.0.0.2", "fd00::2"], links: ["store": "db"]), membership("back", [], []))
        whole.servers = [try #require(IPAddress("192.0.2.53"))]
        whole.asksHost = false
        #expect(try NameEntry(decoding: whole.encoded()) == whole)
        #expect(throws: (any Error).self) { try NameEntry(decoding: Array(#"{"version":3}"#.utf8)) }
        #expect(throws: (any Error).self) { try NameEntry(decoding: Array(#"{"servers":["x"]}"#.utf8)) }
    }

    @Test func `an order is what it was written as`() {
        for order in [NameOrder.load("ab"), .drop("ab"), .reload, .watch, .version, .forwarder(wish: nil), .forwarder(wish: 40_000)] {
            #expect(NameOrder(order.text) == order)
        }
        for wrong in ["", "1", "2 reload", "1 load", "1 load a b", "1 reload x", "1 leave", "1 loopback x", "1 loopback 65536"] {
            #expect(NameOrder(wrong) == nil)
        }
    }

    @Test func `the port of the loopback is said and read`() {
        #expect(NameOrder.port(in: NameOrder.answer(port: 40_000)) == 40_000)
        for nothing in [NameOrder.answer(port: nil), "done", "port x", "port 65536"] { #expect(NameOrder.port(in: nothing) == nil) }
    }

    @Test func `a message on a connection is taken when it is whole`() {
        var buffer: [UInt8] = []
        #expect(StreamClient.takeMessage(from: &buffer) == nil)
        buffer = [0, 3, 1, 2]
        #expect(StreamClient.takeMessage(from: &buffer) == nil)
        buffer += [3, 0]
        #expect(StreamClient.takeMessage(from: &buffer) == [1, 2, 3] && buffer == [0])
    }
}
