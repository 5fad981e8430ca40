internal import Netlink

/// The rules of our two tables; they never change, only the sets that they look into. docs/networking.md shows them as nft prints them.
struct FirewallRules: Sendable {
    let packets: FirewallTable
    let frames: FirewallTable
    /// Whether packets from one card to another are dropped: where it was us who made the host forward.
    var dropsForeignForwarding = false

    /// The port of IPv6 where somebody goes on whom the kernel cannot lead to containers, and to which it leads him; 0 for none.
    var forwarderPort: UInt16 = 0

    private static let (priorityRaw, priorityDestination, priorityFilter, prioritySource): (Int32, Int32, Int32, Int32) = (
        -300, -100, 0, 100
    )
    private static let (localAddress, destinationChanged, establishedOrRelated): ([UInt8], UInt32, UInt32) = ([2, 0, 0, 0], 0x20, 0x6)
    private static let loopbackV6 = [UInt8](repeating: 0, count: 15) + [1]
    private static let isV4: [FirewallExpression] = [.load(.family, into: 0), .equal(0, [2])]
    private static let isV6: [FirewallExpression] = [.load(.family, into: 0), .equal(0, [10])]

    init(name: String) {
        packets = FirewallTable(.inet, name)
        frames = FirewallTable(.bridge, name)
    }

    /// Adds both tables, empty of elements.
    /// - Parameter isOwned: nobody else may change them.
    func make(in changes: inout FirewallTransaction, isOwned: Bool) {
        for table in [packets, frames] {
            // Whatever is there by this name goes away within the same transaction: it is never open in between.
            if isOwned {
                changes.destroyTable(table)
            } else {
                changes.makeTable(table)
                changes.deleteTable(table)
            }
            changes.makeTable(table, isOwned: isOwned)
        }
        for set in FirewallSetName.allCases { changes.makeSet(set.definition, in: set.isOfBridgeTable ? frames : packets) }
        makeGuard(&changes)
        makePublishing(&changes)
        makeForwarding(&changes)
        makeLeaving(&changes)
        makeFrames(&changes)
    }

    private func add(
        _ chain: String, _ rules: [[FirewallExpression]], hook: FirewallHook? = nil, in table: FirewallTable? = nil,
        _ changes: inout FirewallTransaction
    ) {
        let table = table ?? packets
        changes.makeChain(chain, in: table, hook: hook)
        for rule in rules { changes.addRule(rule, to: chain, in: table) }
    }

    /// Addresses of the loopback link come from nowhere else, whatever `route_localnet` allows.
    private func makeGuard(_ changes: inout FirewallTransaction) {
        // The link last: its name takes longer to look at than all the rest, and hardly a packet comes that far.
        let rules = [UInt32(12), 16].map { offset in
            Self.isV4 + [
                .loadBytes(.network, offset: offset, count: 1, into: 0), .equal(0, [127]), .load(.inputLink, into: 0),
                .unequal(0, padded("lo")), .verdict(.drop),
            ]
        }
        add("guard", rules, hook: FirewallHook(.filter, .prerouting, priority: Self.priorityRaw), &changes)
    }

    private func makePublishing(_ changes: inout FirewallTransaction) {
        let transport: FirewallExpression = .load(.transport, into: 0)
        func port(_ register: UInt32) -> FirewallExpression { .loadBytes(.transport, offset: 2, count: 2, into: register) }
        let publish: [[FirewallExpression]] = [
            Self.isV4 + [
                transport, .loadBytes(.network, offset: 16, count: 4, into: 1), port(2), Self.translate(.portsV4),
                .destination(.v4, address: 0, port: 1),
            ],
            Self.isV4 + [transport, port(1), Self.translate(.anyPortsV4), .destination(.v4, address: 0, port: 1)],
            Self.isV6 + [
                transport, .loadBytes(.network, offset: 24, count: 16, into: 1), port(5), Self.translate(.portsV6),
                .destination(.v6, address: 0, port: 4),
            ],
            Self.isV6 + [transport, port(1), Self.translate(.anyPortsV6), .destination(.v6, address: 0, port: 4)],
        ]
        // At whatever address of the host it was sent to; what is mapped to is for who reads it.
        let onwards: [FirewallExpression] = [
            .loadBytes(.network, offset: 24, count: 16, into: 0), .constant(forwarderPortBytes, into: 4),
            .destination(.v6, address: 0, port: 4),
        ]
        let forwarded: [[FirewallExpression]] = [
            Self.isV6 + [transport, .loadBytes(.network, offset: 24, count: 16, into: 1), port(5), Self.isMapped(.forwarded)] + onwards,
            Self.isV6 + [transport, port(1), Self.isMapped(.anyForwarded)] + onwards,
        ]
        // The forwarder would go on from the host's own addresses, where no rule sees any more who asks.
        let fromInternal: [FirewallExpression] = [.load(.inputLink, into: 0), Self.isIn(.internalBridges), .verdict(.leave)]
        add("publish", publish + (forwarderPort == 0 ? [] : [fromInternal] + forwarded), &changes)
        let toThisHost: [FirewallExpression] = [.loadDestinationKind(into: 0), .equal(0, Self.localAddress), .verdict(.jump("publish"))]
        // To the forwarder itself nobody has anything to say.
        let toForwarder = [TransportProtocol.tcp, .udp].map { each in
            Self.isV6 + [
                transport, .equal(0, [each.number]), port(0), .equal(0, forwarderPortBytes), .loadDestinationKind(into: 0),
                .equal(0, Self.localAddress), .verdict(.drop),
            ]
        }
        add(
            "arriving", [toThisHost] + (forwarderPort == 0 ? [] : toForwarder),
            hook: FirewallHook(.nat, .prerouting, priority: Self.priorityDestination), &changes)
        makeLoopback(&changes)
        let toLoopback: [FirewallExpression] =
            Self.isV6 + [
                .loadBytes(.network, offset: 24, count: 16, into: 0), .equal(0, Self.loopbackV6), .verdict(.jump("loopback")),
            ]
        add("local", [toLoopback, toThisHost], hook: FirewallHook(.nat, .output, priority: Self.priorityDestination), &changes)
    }

    /// From `::1` the kernel leads nowhere but back to it: there somebody listens who goes on from the host's other addresses.
    private func makeLoopback(_ changes: inout FirewallTransaction) {
        let onwards: [FirewallExpression] = [
            .constant(Self.loopbackV6, into: 0), .constant(forwarderPortBytes, into: 4), .destination(.v6, address: 0, port: 4),
        ]
        let transport: FirewallExpression = .load(.transport, into: 0)
        func port(_ register: UInt32) -> FirewallExpression { .loadBytes(.transport, offset: 2, count: 2, into: register) }
        let rules: [[FirewallExpression]] = [
            [transport, .equal(0, [TransportProtocol.sctp.number]), .verdict(.leave)],
            [transport, .loadBytes(.network, offset: 24, count: 16, into: 1), port(5), Self.isMapped(.portsV6)] + onwards,
            [transport, port(1), Self.isMapped(.anyPortsV4)] + onwards,
            [transport, port(1), Self.isMapped(.anyPortsV6)] + onwards,
        ]
        add("loopback", forwarderPort == 0 ? [] : rules, &changes)
    }

    private var forwarderPortBytes: [UInt8] { [UInt8(forwarderPort >> 8), UInt8(forwarderPort & 0xff)] }

    private func makeForwarding(_ changes: inout FirewallTransaction) {
        let withinOne: [FirewallExpression] = [
            .load(.inputLink, into: 0), .load(.outputLink, into: 4), Self.isIn(.talking), .verdict(.accept),
        ]
        let answers: [FirewallExpression] = [
            .loadTracking(.state, into: 0), .anyBit(0, mask: Self.establishedOrRelated), .verdict(.accept),
        ]
        let published: [FirewallExpression] = [
            .loadTracking(.status, into: 0), .anyBit(0, mask: Self.destinationChanged), .verdict(.accept),
        ]
        add("closed", [withinOne, [.verdict(.drop)]], &changes)
        makeOpen(&changes)
        add("inwards", [answers, published, withinOne, [.verdict(.jump("directly"))], [.verdict(.drop)]], &changes)
        var rules: [[FirewallExpression]] = [
            // First, since it is most of the traffic; whichever way it goes on, this is accepted.
            withinOne, [.load(.inputLink, into: 0), Self.isIn(.internalBridges), .verdict(.jump("closed"))],
            [.load(.outputLink, into: 0), Self.isIn(.internalBridges), .verdict(.jump("closed"))],
            [.load(.outputLink, into: 0), Self.isIn(.bridges), .verdict(.jump("inwards"))],
        ]
        if dropsForeignForwarding {
            // Bridges and tunnels of others are their makers' business.
            rules += [
                [.load(.inputKind, into: 0), .verdict(.accept)], [.load(.outputKind, into: 0), .verdict(.accept)], [.verdict(.drop)],
            ]
        }
        add("forward", rules, hook: FirewallHook(.filter, .forward, priority: Self.priorityFilter), &changes)
    }

    /// What is let to the containers' own addresses.
    private func makeOpen(_ changes: inout FirewallTransaction) {
        let transport: FirewallExpression = .load(.transport, into: 0)
        func port(_ register: UInt32) -> FirewallExpression { .loadBytes(.transport, offset: 2, count: 2, into: register) }
        let ports: [[FirewallExpression]] = [
            Self.isV4 + [
                transport, .loadBytes(.network, offset: 16, count: 4, into: 1), port(2), Self.isIn(.openPortsV4), .verdict(.accept),
            ],
            Self.isV6 + [
                transport, .loadBytes(.network, offset: 24, count: 16, into: 1), port(5), Self.isIn(.openPortsV6), .verdict(.accept),
            ],
        ]
        add("open", ports, &changes)
        let (icmp, icmpV6): ([UInt8], [UInt8]) = ([1], [58])
        func into(_ bridges: FirewallSetName) -> [FirewallExpression] { [.load(.outputLink, into: 0), Self.isIn(bridges)] }
        func routed(_ family: [FirewallExpression], _ bridges: FirewallSetName, errors: [UInt8]) -> [[FirewallExpression]] {
            [
                family + into(bridges) + [transport, .equal(0, errors), .verdict(.accept)],
                family + into(bridges) + [.verdict(.jump("open"))],
            ]
        }
        func unprotected(_ family: [FirewallExpression], _ bridges: FirewallSetName) -> [FirewallExpression] {
            let fromElsewhere: [FirewallExpression] = [
                .load(.inputLink, into: 0), .isNotIn(set: FirewallSetName.bridges.rawValue, key: 0),
            ]
            return family + fromElsewhere + into(bridges) + [.verdict(.accept)]
        }
        let byTrustedLinks: [FirewallExpression] = [
            .load(.inputLink, into: 0), .load(.outputLink, into: 4), Self.isIn(.trusted), .verdict(.jump("open")),
        ]
        add(
            "directly",
            routed(Self.isV4, .routedV4, errors: icmp) + routed(Self.isV6, .routedV6, errors: icmpV6) + [
                byTrustedLinks, unprotected(Self.isV4, .unprotectedV4), unprotected(Self.isV6, .unprotectedV6),
            ], &changes)
    }

    private func makeLeaving(_ changes: inout FirewallTransaction) {
        let published: [FirewallExpression] = [.loadTracking(.status, into: 0), .anyBit(0, mask: Self.destinationChanged)]
        // By a link that is no bridge of ours; the link that it came in by is left in the first registers.
        func outwards(_ family: [FirewallExpression]) -> [FirewallExpression] {
            family + [
                .load(.outputLink, into: 0), .isNotIn(set: FirewallSetName.bridges.rawValue, key: 0), .load(.inputLink, into: 0),
            ]
        }
        func certain(_ map: FirewallSetName) -> FirewallExpression { .translate(map: map.rawValue, key: 0, into: 4) }
        let rules: [[FirewallExpression]] = [
            // Both ends on one bridge: the answer would take the short way, past the translation.
            published + [.load(.inputLink, into: 0), .load(.outputLink, into: 4), Self.isIn(.sameBridge), .masquerade],
            published + Self.isV4 + [
                .loadBytes(.network, offset: 12, count: 4, into: 0), .loadBytes(.network, offset: 16, count: 4, into: 1),
                Self.isIn(.themselvesV4), .masquerade,
            ],
            published + Self.isV6 + [
                .loadBytes(.network, offset: 8, count: 16, into: 0), .loadBytes(.network, offset: 24, count: 16, into: 4),
                Self.isIn(.themselvesV6), .masquerade,
            ],
            Self.isV4 + [
                .loadBytes(.network, offset: 12, count: 1, into: 0), .equal(0, [127]), .load(.outputLink, into: 0), Self.isIn(.bridges),
                .masquerade,
            ],
            outwards(Self.isV4) + [certain(.sourcesV4), .source(.v4, address: 4)],
            outwards(Self.isV6) + [certain(.sourcesV6), .source(.v6, address: 4)],
            outwards(Self.isV4) + [Self.isIn(.masqueradedV4), .masquerade],
            outwards(Self.isV6) + [Self.isIn(.masqueradedV6), .masquerade],
        ]
        add("leaving", rules, hook: FirewallHook(.nat, .postrouting, priority: Self.prioritySource), &changes)
    }

    /// A container speaks under its own addresses only, and is nobody's router.
    private func makeFrames(_ changes: inout FirewallTransaction) {
        let cable: FirewallExpression = .load(.inputLink, into: 0)
        func type(_ bytes: [UInt8]) -> [FirewallExpression] { [.loadBytes(.link, offset: 12, count: 2, into: 0), .equal(0, bytes)] }
        func only(_ header: FirewallExpression.Header, _ offset: UInt32, _ count: UInt32, _ set: FirewallSetName) -> [FirewallExpression] {
            [cable, .loadBytes(header, offset: offset, count: count, into: 4), .isNotIn(set: set.rawValue, key: 0), .verdict(.drop)]
        }
        let (v4, arp, v6): ([UInt8], [UInt8], [UInt8]) = ([0x08, 0x00], [0x08, 0x06], [0x86, 0xdd])
        func discovery(_ type6: UInt8) -> [FirewallExpression] {
            type(v6) + [
                .load(.transport, into: 0), .equal(0, [58]), .loadBytes(.transport, offset: 0, count: 1, into: 0), .equal(0, [type6]),
            ]
        }
        let (routerAdvertisement, neighbourAdvertisement, redirect): (UInt8, UInt8, UInt8) = (134, 136, 137)
        // A tag of virtual LAN 0 is a priority's alone: who gets the frame takes it for one without a tag, which the rules below would not.
        let belongsToNoLAN: [FirewallExpression] = [
            .loadBytes(.link, offset: 14, count: 2, into: 0), .noBit(0, mask: [0x0f, 0xff, 0, 0]), .verdict(.drop),
        ]
        let (tag, serviceTag): ([UInt8], [UInt8]) = ([0x81, 0x00], [0x88, 0xa8])
        let rules: [[FirewallExpression]] = [
            type(tag) + belongsToNoLAN, type(serviceTag) + belongsToNoLAN,
            only(.link, 6, 6, .linkAddresses), type(v4) + only(.network, 12, 4, .addressesV4),
            type(arp) + only(.network, 14, 4, .addressesV4),
            type(arp) + only(.network, 8, 6, .linkAddresses), type(v6) + only(.network, 8, 16, .addressesV6),
            discovery(routerAdvertisement) + [.verdict(.drop)], discovery(redirect) + [.verdict(.drop)],
            discovery(neighbourAdvertisement) + only(.transport, 8, 16, .addressesV6),
        ]
        add("cable", rules, in: frames, &changes)
        // Both addresses at once, and nothing else looked at: all that is no resolution of addresses.
        func sender(_ offset: UInt32, _ count: UInt32, _ set: FirewallSetName) -> [FirewallExpression] {
            [
                cable, .loadBytes(.link, offset: 6, count: 6, into: 4), .loadBytes(.network, offset: offset, count: count, into: 6),
                Self.isIn(set), .verdict(.accept),
            ]
        }
        let isOrdinaryV6 = type(v6) + [.load(.transport, into: 0), .unequal(0, [58])]
        // The rules for packets, which keep containers apart, never see frames of other types, nor those with the tag of a virtual LAN.
        let isHidden: [FirewallExpression] =
            [.loadBytes(.link, offset: 12, count: 2, into: 0)] + [v4, arp, v6].map { .unequal(0, $0) } + [cable, Self.isIn(.apart)]
        add(
            "entering",
            [
                type(v4) + sender(12, 4, .sendersV4), isOrdinaryV6 + sender(8, 16, .sendersV6), isHidden + [.verdict(.drop)],
                [cable, Self.isIn(.cables), .verdict(.jump("cable"))],
            ],
            hook: FirewallHook(.filter, .prerouting, priority: Self.priorityRaw), in: frames, &changes)
    }

    private static func isIn(_ set: FirewallSetName) -> FirewallExpression { .isIn(set: set.rawValue, key: 0) }
    /// What the map holds is left where it is in nobody's way.
    private static func isMapped(_ map: FirewallSetName) -> FirewallExpression { .translate(map: map.rawValue, key: 0, into: 8) }
    private static func translate(_ map: FirewallSetName) -> FirewallExpression { .translate(map: map.rawValue, key: 0, into: 0) }
}
