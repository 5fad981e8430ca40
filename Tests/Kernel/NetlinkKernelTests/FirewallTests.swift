import Netlink
import Testing

@Suite("Firewall transactions in the kernel")
struct FirewallTests {
    private static let table = FirewallTable(.inet, "apus-test")
    private static let ports = FirewallSet("ports", key: [.transport, .port], value: [.addressV4, .port])

    private static func element(_ number: Int) -> FirewallElement {
        FirewallElement(
            key: [6, 0, 0, 0, UInt8(number >> 8), UInt8(number & 0xff), 0, 0], value: [10, 0, 0, 2, 0, 80, 0, 0])
    }

    private static func make(_ changes: inout FirewallTransaction) {
        changes.makeTable(table)
        changes.makeSet(ports, in: table)
        changes.makeChain("publish", in: table)
        changes.makeChain("prerouting", in: table, hook: FirewallHook(.nat, .prerouting, priority: -100))
        changes.addRule([.loadDestinationKind(into: 0), .equal(0, [2, 0, 0, 0]), .verdict(.jump("publish"))], to: "prerouting", in: table)
        changes.addRule(
            [
                .load(.transport, into: 0), .loadBytes(.transport, offset: 2, count: 2, into: 1), .translate(map: "ports", key: 0, into: 0),
                .destination(.v4, address: 0, port: 1),
            ], to: "publish", in: table)
        changes.makeChain("postrouting", in: table, hook: FirewallHook(.nat, .postrouting, priority: 100))
        changes.addRule([.loadTracking(.status, into: 0), .anyBit(0, mask: 0x20), .masquerade], to: "postrouting", in: table)
    }

    @Test("a table with a map of ten thousand ports is made, changed, replaced and taken away")
    func life() throws {
        try inNamespace { _ in
            var changes = FirewallTransaction()
            #expect(changes.isEmpty)
            changes.makeTable(Self.table)
            changes.deleteTable(Self.table)
            changes.makeTable(Self.table)
            changes.makeSet(Self.ports, in: Self.table)
            changes.addElements((1...10_000).map(Self.element), to: "ports", in: Self.table)
            try changes.commit(doing: "make a table")
            var removal = FirewallTransaction()
            removal.removeElements((1...10_000).map(Self.element), from: "ports", in: Self.table)
            try removal.commit(doing: "empty the map")
            var replacement = FirewallTransaction()
            replacement.deleteTable(Self.table)
            try replacement.commit(doing: "take the table away")
        }
    }

    @Test("the kernel takes every expression that rules are made of")
    func rules() throws {
        try inNamespace { _ in
            var changes = FirewallTransaction()
            Self.make(&changes)
            try changes.commit(doing: "make rules")
        }
    }

    @Test("a transaction that the kernel refuses in part changes nothing")
    func atomic() throws {
        try inNamespace { _ in
            var changes = FirewallTransaction()
            changes.makeTable(Self.table)
            changes.makeSet(Self.ports, in: Self.table)
            changes.removeElements([Self.element(1)], from: "ports", in: Self.table)
            #expect(throws: NetlinkError.self) { try changes.commit(doing: "remove what is not there") }
            var removal = FirewallTransaction()
            removal.deleteTable(Self.table)
            #expect(throws: NetlinkError.self) { try removal.commit(doing: "take away a table that was never made") }
        }
    }
}
