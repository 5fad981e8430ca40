internal import Glibc
internal import LinuxSyscalls

/// A table of the firewall that is ours alone.
package struct FirewallTable: Hashable, Sendable {
    /// Whose packets its chains see.
    package enum Family: UInt8, Sendable {
        /// IPv4 and IPv6.
        case inet = 1
        /// Frames of bridges.
        case bridge = 7
    }

    package let family: Family
    package let name: String

    package init(_ family: Family, _ name: String) {
        self.family = family
        self.name = name
    }
}

/// Where the kernel enters a chain.
package struct FirewallHook: Sendable {
    package enum Place: UInt32, Sendable { case prerouting = 0, input = 1, forward = 2, output = 3, postrouting = 4 }
    package enum Kind: String, Sendable { case filter, nat }

    package let kind: Kind
    package let place: Place
    /// Lower is earlier.
    package let priority: Int32

    package init(_ kind: Kind, _ place: Place, priority: Int32) {
        self.kind = kind
        self.place = place
        self.priority = priority
    }
}

/// A field of a set's keys or values, by the number that nft(8) prints it by.
package enum FirewallField: UInt32, Sendable {
    case addressV4 = 7, addressV6 = 8, linkAddress = 9, transport = 12, port = 13, linkName = 41

    /// Bytes in a key, padded to four.
    var paddedByteCount: UInt32 {
        switch self {
        case .addressV4, .transport, .port: 4
        case .linkAddress: 8
        case .addressV6, .linkName: 16
        }
    }
}

/// A set of keys, or a map of them to values.
package struct FirewallSet: Sendable {
    package let name: String
    package let key: [FirewallField]
    /// Empty for a set.
    package let value: [FirewallField]

    package init(_ name: String, key: [FirewallField], value: [FirewallField] = []) {
        self.name = name
        self.key = key
        self.value = value
    }
}

/// A key with its value; both in network order, each field padded with zeros to four bytes.
package struct FirewallElement: Hashable, Sendable {
    package let key: [UInt8]
    package let value: [UInt8]

    package init(key: [UInt8], value: [UInt8] = []) {
        self.key = key
        self.value = value
    }
}

/// Changes that the kernel makes all at once, or not at all.
package struct FirewallTransaction: Sendable {
    private var writer = MessageWriter()
    private var count: UInt32 = 0
    /// Elements in one message: its attribute may have 65 535 bytes, an element has at most 100.
    private static let elementsPerMessage = 600
    private static let tablesSubsystem: UInt16 = 10
    private static let (create, acknowledge, request): (UInt16, UInt16, UInt16) = (0x400, 0x04, 0x01)

    package init() {}

    /// Whether nothing would change.
    package var isEmpty: Bool { count == 0 }

    /// Makes a table where it is missing.
    /// - Parameter isOwned: nobody but the socket that this is committed through can change it, or take it away, until the socket is closed;
    ///   then it stays as it is, and is anybody's (Linux 6.9, NFT_TABLE_F_OWNER and _PERSIST).
    package mutating func makeTable(_ table: FirewallTable, isOwned: Bool = false) {
        let ownedAndPersistent: UInt32 = 0x2 | 0x4
        append(0, table.family.rawValue, flags: Self.create) { writer in
            writer.appendAttribute(1, text: table.name)
            if isOwned { writer.appendAttribute(2, bigEndian: ownedAndPersistent) }
        }
    }

    /// Takes a table away with all that is in it, where it is there (Linux 6.3).
    package mutating func destroyTable(_ table: FirewallTable) {
        append(26, table.family.rawValue) { $0.appendAttribute(1, text: table.name) }
    }

    /// Takes a table away with all that is in it.
    package mutating func deleteTable(_ table: FirewallTable) {
        append(2, table.family.rawValue) { $0.appendAttribute(1, text: table.name) }
    }

    /// Adds a chain that other chains jump to, or one that the kernel enters and whose packets pass unless a rule drops them.
    package mutating func makeChain(_ name: String, in table: FirewallTable, hook: FirewallHook? = nil) {
        append(3, table.family.rawValue, flags: Self.create) { writer in
            writer.appendAttribute(1, text: table.name)
            writer.appendAttribute(3, text: name)
            guard let hook else { return }
            writer.appendAttribute(4) {
                $0.appendNumbers([(1, hook.place.rawValue), (2, UInt32(bitPattern: hook.priority))])
            }
            writer.appendAttribute(5, bigEndian: 1)  // NF_ACCEPT
            writer.appendAttribute(7, text: hook.kind.rawValue)
        }
    }

    /// Adds a rule at a chain's end.
    package mutating func addRule(_ expressions: [FirewallExpression], to chain: String, in table: FirewallTable) {
        let append: UInt16 = 0x800
        self.append(6, table.family.rawValue, flags: Self.create | append) { writer in
            writer.appendAttribute(1, text: table.name)
            writer.appendAttribute(2, text: chain)
            writer.appendAttribute(4) { list in for expression in expressions { expression.append(to: &list) } }
        }
    }

    /// Adds an empty set or map.
    package mutating func makeSet(_ set: FirewallSet, in table: FirewallTable) {
        let id = count
        append(9, table.family.rawValue, flags: Self.create) { writer in
            writer.appendAttribute(1, text: table.name)
            writer.appendAttribute(2, text: set.name)
            let isMap: UInt32 = 8
            writer.appendNumbers([(3, set.value.isEmpty ? 0 : isMap), (4, Self.type(set.key)), (5, Self.length(set.key))])
            if !set.value.isEmpty { writer.appendNumbers([(6, Self.type(set.value)), (7, Self.length(set.value))]) }
            writer.appendAttribute(10, bigEndian: id)
            // For nft(8), which prints the keys by it: in the machine's byte order.
            if set.key == [.linkName] { writer.appendAttribute(13, [0, 4] + nativeBytes(1)) }
        }
    }

    /// Adds elements; those that are there already with the same value stay.
    package mutating func addElements(_ elements: [FirewallElement], to set: String, in table: FirewallTable) {
        appendElements(12, elements, set, table, flags: Self.create)
    }

    /// Takes elements away. One that is not there fails the whole transaction with ENOENT.
    package mutating func removeElements(_ elements: [FirewallElement], from set: String, in table: FirewallTable) {
        appendElements(14, elements, set, table, flags: 0)
    }

    private mutating func appendElements(
        _ type: UInt16, _ elements: [FirewallElement], _ set: String, _ table: FirewallTable, flags: UInt16
    ) {
        for start in stride(from: 0, to: elements.count, by: Self.elementsPerMessage) {
            append(type, table.family.rawValue, flags: flags) { writer in
                writer.appendAttribute(1, text: table.name)
                writer.appendAttribute(2, text: set)
                writer.appendAttribute(3) { list in
                    for element in elements[start..<min(start + Self.elementsPerMessage, elements.count)] {
                        list.appendAttribute(1) { writer in
                            writer.appendAttribute(1) { $0.appendAttribute(1, element.key) }
                            if !element.value.isEmpty { writer.appendAttribute(2) { $0.appendAttribute(1, element.value) } }
                        }
                    }
                }
            }
        }
    }

    private static func type(_ fields: [FirewallField]) -> UInt32 { fields.reduce(0) { $0 << 6 | $1.rawValue } }

    private static func length(_ fields: [FirewallField]) -> UInt32 {
        // A key of one field has its own length; in a key of several each is padded.
        fields == [.linkAddress] ? 6 : fields == [.port] ? 2 : fields == [.transport] ? 1 : fields.reduce(0) { $0 + $1.paddedByteCount }
    }

    // MARK: - Bytes

    private mutating func append(_ type: UInt16, _ family: UInt8, flags: UInt16 = 0, _ body: (inout MessageWriter) -> Void) {
        var inner = MessageWriter()
        body(&inner)
        count += 1
        writer.appendNetfilterMessage(
            type: Self.tablesSubsystem << 8 | type, flags: Self.request | Self.acknowledge | flags, sequence: count,
            family: family, resource: 0, body: inner.bytes)
    }

    /// Everything between the beginning and the end of a batch.
    private var batch: [UInt8] {
        var whole = MessageWriter()
        let (begin, end): (UInt16, UInt16) = (0x10, 0x11)
        whole.appendNetfilterMessage(type: begin, flags: Self.request, sequence: 0, family: 0, resource: Self.tablesSubsystem, body: [])
        whole.append(contentsOf: writer.bytes)
        whole.appendNetfilterMessage(
            type: end, flags: Self.request, sequence: count + 1, family: 0, resource: Self.tablesSubsystem, body: [])
        return whole.bytes
    }

    /// Makes the changes in the network namespace of the calling thread. Blocks.
    /// - Throws: `refused` with the first refusal; nothing has changed then.
    package func commit(doing: String) throws(NetlinkError) { try commit(through: try FirewallSocket(), doing: doing) }

    /// The same in the network namespace of a socket, whose changes are the callers' one at a time.
    package func commit(through socket: FirewallSocket, doing: String) throws(NetlinkError) {
        if isEmpty { return }
        let answers: [RouteMessage]
        do throws(SyscallError) {
            let bytes = batch
            // The socket counts more than the bytes themselves, and a kilobyte or so for each acknowledgement.
            try forceSendBuffer(of: socket.socket, bytes: Int32(clamping: bytes.count * 2 + 65_536))
            try forceReceiveBuffer(of: socket.socket, bytes: Int32(clamping: Int(count) * 2048 + 65_536))
            try writeAll(bytes, to: socket.socket.number, subject: "NETLINK_NETFILTER")
            answers = try socket.answers()
        } catch { throw NetlinkError(code: .transport, doing: doing, cause: error) }
        if let refusal = answers.lazy.compactMap({ $0.refusal(doing: doing) }).first { throw refusal }
        guard answers.count >= Int(count) else { throw NetlinkError(code: .malformedAnswer, doing: doing, cause: nil) }
    }
}

extension FirewallSocket {
    /// The kernel has answered every message before the write returned: what is there now is all.
    func answers() throws(SyscallError) -> [RouteMessage] {
        var found: [RouteMessage] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case .bytes(let count) = try readAvailable(socket.number, into: &buffer) {
            guard let messages = RouteMessage.all(in: buffer[..<count]) else {
                throw SyscallError("read", "NETLINK_NETFILTER", errno: EPROTO)
            }
            found += messages
        }
        return found
    }
}

extension MessageWriter {
    /// A whole message of nfnetlink: header, struct nfgenmsg, attributes.
    mutating func appendNetfilterMessage(type: UInt16, flags: UInt16, sequence: UInt32, family: UInt8, resource: UInt16, body: [UInt8]) {
        append(UInt32(20 + body.count))
        append(type)
        append(flags)
        append(sequence)
        append(UInt32(0))
        append(contentsOf: [family, 0, UInt8(resource >> 8), UInt8(resource & 0xff)])
        append(contentsOf: body)
    }
}
