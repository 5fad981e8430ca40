import CoreTypes
import LinuxSyscalls
import Netlink
import Synchronization
import SystemPackage
import Testing

/// Runs `body` on a thread in a network namespace of its own, with a descriptor of a second one.
func inNamespace(_ body: @escaping @Sendable (_ other: Int32) throws -> Void) throws {
    let pipe = try Pipe()
    let writeEnd = pipe.writeEnd.number
    let failure = Mutex<(any Error)?>(nil)
    try startThread(named: "links") {
        do {
            try unshareNamespaces(.network, subject: "test")
            let other = try openFile("/proc/thread-self/ns/net", .readOnly)
            try unshareNamespaces(.network, subject: "test")
            try body(other.number)
        } catch { failure.withLock { $0 = error } }
        try? writeAll([1], to: writeEnd)
    }
    _ = try readChunk(pipe.readEnd.number, limitBytes: 1)
    if let error = failure.withLock({ $0 }) { throw error }
}

@Suite("Links, addresses and routes in the kernel")
struct InterfacesTests {
    @Test("a cable joins a bridge to another namespace, with address and MAC, and goes away with either end")
    func cable() throws {
        try inNamespace { other in
            let address = try #require(MACAddress("02:42:0a:00:00:02"))
            let gateway = try #require(IPAddress("10.9.0.1"))
            var here = try RouteConversation()
            try here.makeBridge("br-test", address: nil, mtu: 1400)
            let bridge = try here.link(named: "br-test")
            #expect(bridge.kind == "bridge" && bridge.isUp)
            try here.addAddress(gateway, prefixLength: 24, to: bridge)
            var pair = VethPair(name: "veth-test", bridge: bridge.index, peerName: "eth0", peerNamespace: other)
            pair.peerAddress = address
            try here.makeVethPair(pair)
            let port = try here.link(named: "veth-test")
            #expect(port.bridge == bridge.index)
            #expect(try here.routes().map(\.destination.description).contains("10.9.0.0/24"))
            try here.setHairpin(of: port)
            #expect(throws: NetlinkError.self) { try makeAgain("br-test") }
            try joinNamespace(other, .network, subject: "other")
            var inside = try RouteConversation()
            let end = try inside.link(named: "eth0")
            #expect(end.address == address && !end.isUp)
            try inside.setLink(end, up: true)
            let own = try #require(IPAddress("10.9.0.2"))
            try inside.addAddress(own, prefixLength: 24, to: end)
            let everywhere = try #require(AddressBlock("0.0.0.0/0"))
            try inside.setRoute(to: everywhere, through: gateway, link: end)
            #expect(try inside.routes().contains { $0.destination == everywhere && $0.gateway == gateway })
            try inside.deleteLink("eth0")
            #expect(try here.links().map(\.name).sorted() == ["br-test", "lo"])
        }
    }

    @Test("a refusal says what was asked for, the errno and the kernel's words")
    func refusal() throws {
        try inNamespace { _ in
            var here = try RouteConversation()
            try bringLoopbackUp()
            let loopback = try here.link(named: "lo")
            let (block, gateway) = (try #require(AddressBlock("10.1.0.0/16")), try #require(IPAddress("10.2.0.1")))
            do {
                try here.setRoute(to: block, through: gateway, link: loopback)
                Issue.record("a route through an unreachable gateway was taken")
            } catch let error as NetlinkError {
                #expect(error.description == "set the route to 10.1.0.0/16: netlink: ENETUNREACH (101): Nexthop has invalid gateway")
            }
        }
    }

    private func makeAgain(_ name: String) throws {
        var here = try RouteConversation()
        try here.makeBridge(name, address: nil, mtu: nil)
    }
}
