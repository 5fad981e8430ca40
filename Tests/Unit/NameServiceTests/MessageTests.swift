import CoreTypes
import LinuxSyscalls
import Testing

@testable import NameService

/// A question as a resolver sends it.
func question(_ name: String, type: UInt16 = 1, recordClass: UInt16 = 1, options: [UInt8] = []) -> [UInt8] {
    let labels = name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
    let header: [UInt8] = [0xab, 0xcd, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, options.isEmpty ? 0 : 1]
    return header + labels + [0, UInt8(type >> 8), UInt8(type & 0xff), UInt8(recordClass >> 8), UInt8(recordClass & 0xff)] + options
}

/// OPT with this payload and version.
func extensions(payload: UInt16, version: UInt8 = 0) -> [UInt8] {
    [0, 0, 41, UInt8(payload >> 8), UInt8(payload & 0xff), 0, version, 0, 0, 0, 0]
}

@Suite struct MessageTests {
    @Test func `a question is read without regard to case`() throws {
        let message = try #require(NameMessage(question("Db.Example.ORG", type: 28)))
        #expect(message.id == 0xabcd && !message.isResponse && message.operation == 0)
        #expect(message.question == NameQuestion(name: try #require(DomainName("db.example.org.")), type: .addressV6, recordClass: 1))
        #expect(message.extensions == nil && message.datagramLimitBytes == 512)
    }

    @Test func `a message says how large an answer may be, and gets no more than four kilobytes`() throws {
        #expect(try #require(NameMessage(question("db", options: extensions(payload: 1400)))).datagramLimitBytes == 1400)
        #expect(try #require(NameMessage(question("db", options: extensions(payload: 65_535)))).datagramLimitBytes == 4096)
        #expect(try #require(NameMessage(question("db", options: extensions(payload: 1)))).datagramLimitBytes == 512)
    }

    @Test func `what is no message is none`() {
        let whole = question("db", options: extensions(payload: 1400))
        for length in 0..<whole.count { #expect(NameMessage(Array(whole[..<length])) == nil) }
        let header: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        // A name that points at itself, forwards, and into the header.
        for pointer: [UInt8] in [[0xc0, 12], [0xc0, 14], [0xc0, 0], [0xff, 0xff], [0x80, 1], [0x40]] {
            #expect(NameMessage(header + pointer + [0, 0, 1, 0, 1]) == nil)
        }
        // Two questions, none, and a name that is too long.
        for count: UInt8 in [0, 2] {
            var bytes = question("db")
            bytes[5] = count
            #expect(NameMessage(bytes) == nil)
        }
        #expect(NameMessage(question(Array(repeating: String(repeating: "a", count: 63), count: 4).joined(separator: "."))) == nil)
        var twice = question("db", options: extensions(payload: 1) + extensions(payload: 1))
        twice[11] = 2
        #expect(NameMessage(twice) == nil)
    }

    @Test func `an answer of a server may point back at its question`() throws {
        var answer = question("db.example.org") + [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 1]
        (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1)
        let message = try #require(NameMessage(answer))
        #expect(message.isResponse && message.responseCode == 0)
        // Each name may point before itself only, so no chain of them is endless.
        answer += [0xc0, UInt8(answer.count + 2), 0xc0, UInt8(answer.count), 0, 1, 0, 1, 0, 0, 0, 1, 0, 0]
        answer[7] = 2
        #expect(NameMessage(answer) == nil)
    }

    @Test func `an answer repeats the question and holds what fits`() throws {
        let bytes = question("DB")
        let query = try #require(NameMessage(bytes))
        let reply = NameReply.make(to: query, of: bytes, .success, [.address([192, 0, 2, 1])], limitBytes: 512)
        #expect(Array(reply[..<12]) == [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])
        #expect(Array(reply[12..<20]) == Array(bytes[12...]))
        #expect(Array(reply[20...]) == [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 192, 0, 2, 1])
        let many = [NameRecord](repeating: .address([192, 0, 2, 1]), count: 100)
        let cut = NameReply.make(to: query, of: bytes, .success, many, limitBytes: 512)
        let message = try #require(NameMessage(cut))
        #expect(message.isTruncated && cut.count <= 512 && cut.count > 480)
        #expect(NameReply.make(to: query, of: bytes, .success, many, limitBytes: 65_535).count == 20 + 1600)
    }

    @Test func `a newer version of the extensions is refused in their own words`() throws {
        let bytes = question("db", options: extensions(payload: 1232, version: 1))
        let query = try #require(NameMessage(bytes))
        #expect(query.extensions?.version == 1)
        let reply = NameReply.make(to: query, of: bytes, .badVersion, limitBytes: 512)
        // BADVERS is 16: 1 in the upper bits, which stand in the OPT record.
        #expect(reply[3] & 0xf == 0 && Array(reply.suffix(11)) == [0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0])
    }

    @Test func `a name that leads back from an address says which`() throws {
        #expect(try #require(DomainName("2.0.18.172.in-addr.arpa")).reverseAddress == IPAddress("172.18.0.2"))
        let nibbles = Array("20010db8000000000000000000000001").reversed().map(String.init).joined(separator: ".")
        #expect(try #require(DomainName("\(nibbles).ip6.arpa")).reverseAddress == IPAddress("2001:db8::1"))
        for other in [
            "0.18.172.in-addr.arpa", "256.0.18.172.in-addr.arpa", "x.0.18.172.in-addr.arpa", "in-addr.arpa", "2.0.18.172.xin-addr.arpa",
        ] {
            #expect(try #require(DomainName(other)).reverseAddress == nil)
        }
    }

    @Test func `a name is what a message can hold`() {
        #expect(DomainName("a.b") == DomainName("A.B."))
        for wrong in ["", ".", "a..b", ".a", String(repeating: "a", count: 64)] { #expect(DomainName(wrong) == nil) }
    }

    @Test func `an exchange takes only the answer to its own question`() throws {
        let bytes = question("example.org")
        let query = try #require(NameMessage(bytes))
        let server = try #require(UpstreamServer("192.0.2.53"))
        let exchange = Exchange(
            .datagram(container: "a", from: .init(address: [127, 0, 0, 1], port: 9)), query, bytes, plan: [], sockets: nil, now: 0)
        let line = UpstreamLine(Attempt(server: server, isStream: false), try openNothing(), id: 77, outgoing: [])
        var answer = NameReply.renumbered(bytes, 77)
        #expect(exchange.worth(answer, on: line) == .none)
        answer[2] |= 0x80
        #expect(exchange.worth(answer, on: line) == .whole)
        answer[3] = 3
        #expect(exchange.worth(answer, on: line) == .whole)
        answer[3] = 2
        #expect(exchange.worth(answer, on: line) == .spare)
        answer[2] |= 0x02
        #expect(exchange.worth(answer, on: line) == .cut)
        #expect(exchange.worth(NameReply.renumbered(answer, 78), on: line) == .none)
        var other = NameReply.renumbered(question("example.com"), 77)
        other[2] |= 0x80
        #expect(exchange.worth(other, on: line) == .none)
    }

    @Test func `servers are asked in turn, the silent ones last, and by a connection when datagrams lead nowhere`() throws {
        let (first, second) = (try #require(UpstreamServer("192.0.2.1")), try #require(UpstreamServer("192.0.2.2")))
        #expect(
            Attempt.all([first, second], slow: [first]) == [
                Attempt(server: second, isStream: false), Attempt(server: first, isStream: false), Attempt(server: second, isStream: true),
                Attempt(server: first, isStream: true),
            ])
    }

    @Test func `a server is an address, with the link that it is of where it is one of that alone`() throws {
        let loopback = try #require(UpstreamServer("fe80::1%lo"))
        #expect(loopback.address == IPAddress("fe80::1") && loopback.zone == "lo" && "\(loopback)" == "fe80::1%lo")
        #expect(Attempt(server: loopback, isStream: false).endpoint.zone == 1)
        #expect(try #require(UpstreamServer("192.0.2.1")).zone == "")
        for wrong in ["192.0.2.1%lo", "fe80::1%", "%lo", "", "name"] { #expect(UpstreamServer(wrong) == nil) }
    }

    @Test func `ports of the loopback address in a row are one entry, and lead each to its own`() throws {
        let address = try #require(IPAddress("172.17.0.2"))
        var entry = NameEntry(namespace: "", memberships: [])
        entry.forwardedPorts = [
            NameEntry.ForwardedPort(isStream: true, hostPort: 20_000, address: address, containerPort: 10_000, count: 20_000),
            NameEntry.ForwardedPort(isStream: true, hostPort: 80, address: address, containerPort: 81),
        ]
        let bytes = entry.encoded()
        #expect(bytes.count < 400)
        let read = try NameEntry(decoding: bytes)
        #expect(read == entry)
        var table = NameTable()
        table.insert(read, of: "one")
        func port(_ port: UInt16, isStream: Bool = true) -> UInt16? { table.target(port, at: .loopbackV6, isStream: isStream)?.port }
        #expect(port(39_999) == 29_999 && port(80) == 81)
        #expect(port(40_000) == nil && port(20_000, isStream: false) == nil)
        table.remove("one")
        #expect(port(20_000) == nil && port(80) == nil)
        let tooMany = String(decoding: bytes, as: UTF8.self).replacing("20000}", with: "50000}")
        #expect(throws: (any Error).self) { try NameEntry(decoding: Array(tooMany.utf8)) }
    }

    @Test func `a port of one address of the host leads on from there alone, and one of all from each`() throws {
        let (inside, own, other) = (
            try #require(IPAddress("172.17.0.2")), try #require(IPAddress("2001:db8::1")), try #require(IPAddress("fd00::1"))
        )
        var entry = NameEntry(namespace: "", memberships: [])
        entry.forwardedPorts = [
            NameEntry.ForwardedPort(isStream: true, hostAddress: own, hostPort: 80, address: inside, containerPort: 81),
            NameEntry.ForwardedPort(isStream: true, hostAddress: IPAddress(.v6, bits: 0), hostPort: 90, address: inside, containerPort: 91),
            NameEntry.ForwardedPort(isStream: false, hostAddress: own, hostPort: 100, address: inside, containerPort: 200, count: 10),
            NameEntry.ForwardedPort(isStream: true, hostPort: 70, address: inside, containerPort: 71),
        ]
        let read = try NameEntry(decoding: entry.encoded())
        #expect(
            Set(read.forwardedPorts.map(\.hostPort)) == [70, 80, 90, 100]
                && read.forwardedPorts.first { $0.hostPort == 80 }?.hostAddress == own)
        var table = NameTable()
        table.insert(read, of: "one")
        #expect(table.target(80, at: own, isStream: true)?.port == 81 && table.target(80, at: other, isStream: true) == nil)
        #expect([own, other, .loopbackV6].allSatisfy { table.target(90, at: $0, isStream: true)?.port == 91 })
        #expect(table.target(109, at: own, isStream: false)?.port == 209 && table.target(109, at: other, isStream: false) == nil)
        #expect(table.target(70, at: own, isStream: true) == nil)
    }
}
