package import CoreTypes
internal import LinuxSyscalls

/// A conversation that the kernel keeps track of, as it began and as it is answered: where an address was translated, the two differ.
package struct TrackedFlow: Sendable {
    /// From where to where packets of one direction go.
    package struct Direction: Equatable, Sendable {
        package let source: IPAddress
        package let destination: IPAddress
        /// IPPROTO_UDP and its like.
        package let transport: UInt8
        /// 0 where the protocol has no ports.
        package let sourcePort: UInt16
        package let destinationPort: UInt16
    }

    package let original: Direction
    package let reply: Direction
    /// By which the kernel finds it again, of all those that such packets ever had.
    fileprivate let key: [UInt16: [UInt8]]

    /// - Source: linux/netfilter/nfnetlink_conntrack.h.
    init?(_ message: RouteMessage) {
        let attributes = message.attributes(after: 4)
        guard let original = attributes[1].flatMap({ Direction(attribute: $0) }),
            let reply = attributes[2].flatMap({ Direction(attribute: $0) })
        else { return nil }
        (self.original, self.reply) = (original, reply)
        // CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE
        key = attributes.filter { [1, 12, 18].contains($0.key) }
    }
}

extension TrackedFlow.Direction {
    /// CTA_TUPLE_IP and CTA_TUPLE_PROTO.
    fileprivate init?(attribute: [UInt8]) {
        let parts = RouteMessage.attributes(in: attribute[...])
        guard let addresses = parts[1].map({ RouteMessage.attributes(in: $0[...]) }),
            let source = (addresses[1] ?? addresses[3]).flatMap({ IPAddress(bytes: $0) }),
            let destination = (addresses[2] ?? addresses[4]).flatMap({ IPAddress(bytes: $0) }),
            let ports = parts[2].map({ RouteMessage.attributes(in: $0[...]) })
        else { return nil }
        func port(_ bytes: [UInt8]?) -> UInt16 { (bytes ?? []).prefix(2).reduce(0) { $0 << 8 | UInt16($1) } }
        (self.source, self.destination) = (source, destination)
        transport = ports[1]?.first ?? 0
        (sourcePort, destinationPort) = (port(ports[2]), port(ports[3]))
    }
}

/// Makes the kernel forget conversations, in the network namespace that it was begun in. Every function blocks; one caller at a time.
package struct TrackedFlows: ~Copyable {
    /// Those that may be meant: the kernel leaves the others out, so that who looks for a few does not read them all. Before Linux 5.8 it does
    /// not, and tells of all.
    package enum Choice: Sendable {
        case all
        /// Begun by this address.
        case from(IPAddress)
        /// Answered by this address, whichever was asked.
        case answered(by: IPAddress)
        /// Of a protocol.
        case of(transport: UInt8)
    }

    private static let trackingSubsystem: UInt16 = 1 << 8
    private var conversation: RouteConversation

    package init() throws(NetlinkError) { conversation = try RouteConversation(.netfilter) }

    /// How many there are.
    package mutating func count() throws(NetlinkError) -> UInt32 {
        let statistics: UInt16 = 5  // IPCTNL_MSG_CT_GET_STATS
        var request = conversation.nextRequest(Self.trackingSubsystem | statistics)
        request.appendRaw([0, 0, 0, 0])
        let answer = try conversation.perform(request, doing: "count tracked connections")
        return answer.lazy.compactMap { $0.attributes(after: 4)[1] }.first.map { $0.reduce(0) { $0 << 8 | UInt32($1) } } ?? 0
    }

    /// Forgets those that fit. - Returns: how many.
    @discardableResult
    package mutating func forget(
        _ family: IPAddress.Family, _ choice: Choice, where isMeant: (TrackedFlow) -> Bool
    ) throws(NetlinkError) -> Int {
        let (get, delete): (UInt16, UInt16) = (1, 2)
        var request = conversation.nextRequest(Self.trackingSubsystem | get, wantsDump: true)
        request.appendRaw([family.number, 0, 0, 0])
        request.append(choice)
        var found: [TrackedFlow] = []
        try conversation.perform(request, doing: "list tracked connections") { message in
            if let flow = TrackedFlow(message), isMeant(flow) { found.append(flow) }
        }
        for flow in found {
            var removal = conversation.nextRequest(Self.trackingSubsystem | delete)
            removal.appendRaw([family.number, 0, 0, 0])
            for (type, value) in flow.key.sorted(by: { $0.key < $1.key }) {
                removal.appendAttribute(type == 1 ? type | 0x8000 : type, value)  // nested
            }
            do throws(NetlinkError) { try conversation.perform(removal, doing: "forget a tracked connection") } catch {
                let noEntry: Int32 = 2  // over meanwhile
                if error.cause?.errno != noEntry { throw error }
            }
        }
        return found.count
    }
}

extension RouteRequest {
    /// CTA_FILTER, and the tuple whose marked parts count. - Source: linux/netfilter/nfnetlink_conntrack.h; Linux 5.8.
    fileprivate mutating func append(_ choice: TrackedFlows.Choice) {
        let (original, reply, filter): (UInt16, UInt16, UInt16) = (1, 2, 25)
        let (sourceAddress, protocolNumber): (UInt32, UInt32) = (1 << 0, 1 << 3)
        func address(_ address: IPAddress) -> (inout MessageWriter) -> Void {
            { $0.appendAttribute(1) { $0.appendAttribute(address.family == .v4 ? 1 : 3, address.bytes) } }
        }
        switch choice {
        case .all: break
        case .from(let source):
            appendAttribute(original, address(source))
            appendAttribute(filter) { $0.appendAttribute(original, nativeBytes(sourceAddress)) }
        case .answered(let source):
            appendAttribute(reply, address(source))
            appendAttribute(filter) { $0.appendAttribute(reply, nativeBytes(sourceAddress)) }
        case .of(let transport):
            appendAttribute(original) { $0.appendAttribute(2) { $0.appendAttribute(1, [transport]) } }
            appendAttribute(filter) { $0.appendAttribute(original, nativeBytes(protocolNumber)) }
        }
    }
}
