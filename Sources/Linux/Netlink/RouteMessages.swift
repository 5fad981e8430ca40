internal import LinuxSyscalls

/// Requests to rtnetlink, and what their answers hold. - Source: netlink(7), rtnetlink(7), linux/if_link.h, linux/if_addr.h.
struct RouteRequest {
    private var writer = MessageWriter()
    let sequence: UInt32

    static let newLink: UInt16 = 16
    static let deleteLink: UInt16 = 17
    static let getLink: UInt16 = 18
    static let setLink: UInt16 = 19
    static let newAddress: UInt16 = 20
    static let deleteAddress: UInt16 = 21
    static let getAddress: UInt16 = 22
    static let newRoute: UInt16 = 24
    static let getRoute: UInt16 = 26
    static let newNeighbour: UInt16 = 28
    static let deleteNeighbour: UInt16 = 29
    static let getNeighbour: UInt16 = 30
    /// IFF_UP.
    static let up: UInt32 = 1

    /// - Parameter creates: the object must not be there yet.
    /// - Parameter replaces: the object may be there, and is made as asked.
    /// - Parameter wantsDump: every object of the kind is the answer; otherwise an acknowledgement follows it.
    init(_ type: UInt16, sequence: UInt32, creates: Bool = false, replaces: Bool = false, wantsDump: Bool = false) {
        let (isRequest, acknowledge, dump): (UInt16, UInt16, UInt16) = (0x01, 0x04, 0x300)
        let (exclusiveCreate, replaceOrCreate): (UInt16, UInt16) = (0x600, 0x500)
        self.sequence = sequence
        writer.append(UInt32(0))  // the length, known at the end
        writer.append(type)
        writer.append(isRequest | (wantsDump ? dump : acknowledge) | (creates ? exclusiveCreate : 0) | (replaces ? replaceOrCreate : 0))
        writer.append(sequence)
        writer.append(UInt32(0))
    }

    /// struct ifinfomsg: which link, and which flags to set of those to change.
    mutating func appendLink(index: Int32, flags: UInt32 = 0, change: UInt32 = 0) {
        writer.appendLink(index: index, flags: flags, change: change)
    }

    /// struct ifinfomsg of a port of a bridge.
    mutating func appendBridgePort(index: Int32) {
        writer.append(contentsOf: [7, 0, 0, 0])  // PF_BRIDGE
        writer.append(UInt32(bitPattern: index))
        writer.append(UInt32(0))
        writer.append(UInt32(0))
    }

    /// struct ifaddrmsg.
    mutating func appendAddress(family: UInt8, prefixLength: UInt8, scope: UInt8, index: Int32) {
        writer.append(family)
        writer.append(prefixLength)
        writer.append(UInt8(0x80))  // IFA_F_PERMANENT
        writer.append(scope)
        writer.append(UInt32(bitPattern: index))
    }

    /// struct rtmsg of a route in the main table that an administrator made.
    mutating func appendRoute(family: UInt8, prefixLength: UInt8, scope: UInt8) {
        let (mainTable, bootProtocol, unicast): (UInt8, UInt8, UInt8) = (254, 3, 1)
        writer.append(contentsOf: [family, prefixLength, 0, 0, mainTable, bootProtocol, scope, unicast])
        writer.append(UInt32(0))
    }

    /// struct ndmsg.
    mutating func appendNeighbour(family: UInt8, index: Int32) {
        writer.append(contentsOf: [family, 0, 0, 0])
        writer.append(UInt32(bitPattern: index))
        writer.append(UInt32(0))
    }

    /// Bytes of a fixed part.
    mutating func appendRaw(_ bytes: [UInt8]) { writer.append(contentsOf: bytes) }

    mutating func appendAttribute(_ type: UInt16, _ value: [UInt8]) { writer.appendAttribute(type, value) }

    mutating func appendAttribute(_ type: UInt16, text: String) { writer.appendAttribute(type, text: text) }

    mutating func appendAttribute(_ type: UInt16, number: UInt32) { writer.appendAttribute(type, nativeBytes(number)) }

    /// Attributes within an attribute.
    mutating func appendAttribute(_ type: UInt16, _ body: (inout MessageWriter) -> Void) { writer.appendAttribute(type, body) }

    /// The whole message.
    var bytes: [UInt8] {
        var whole = writer.bytes
        whole.replaceSubrange(0..<4, with: nativeBytes(UInt32(whole.count)))
        return whole
    }
}

extension MessageWriter {
    /// struct ifinfomsg.
    mutating func appendLink(index: Int32, flags: UInt32 = 0, change: UInt32 = 0) {
        append(UInt32(0))
        append(UInt32(bitPattern: index))
        append(flags)
        append(change)
    }

    /// One attribute with its padding. A value of more than 65 531 bytes is none: its maker cuts it before.
    mutating func appendAttribute(_ type: UInt16, _ value: [UInt8]) {
        precondition(value.count <= 65_531, "an attribute of \(value.count) bytes")
        append(UInt16(4 + value.count))
        append(type)
        append(contentsOf: value)
        append(contentsOf: [UInt8](repeating: 0, count: (4 - value.count % 4) % 4))
    }

    mutating func appendAttribute(_ type: UInt16, text: String) { appendAttribute(type, Array(text.utf8) + [0]) }

    /// A number in network order, as nfnetlink writes them.
    mutating func appendAttribute(_ type: UInt16, bigEndian number: UInt32) {
        appendAttribute(type, (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - $0 * 8)) })
    }

    mutating func appendAttribute(_ type: UInt16, _ body: (inout MessageWriter) -> Void) {
        var inner = MessageWriter()
        body(&inner)
        let nested: UInt16 = 0x8000
        appendAttribute(type | nested, inner.bytes)
    }
}

/// One message of an answer.
struct RouteMessage {
    let type: UInt16
    let flags: UInt16
    let sequence: UInt32
    /// The socket that asked for what the message tells of; 0 is the kernel itself.
    let port: UInt32
    let body: ArraySlice<UInt8>

    static let error: UInt16 = 2
    static let done: UInt16 = 3

    /// The errno of an NLMSG_ERROR, 0 for success; nil for another message.
    var errno: Int32? {
        guard type == Self.error, body.count >= 4 else { return nil }
        let value = Int32(truncatingIfNeeded: nativeInteger(body.prefix(4)))
        return value <= 0 && value != .min ? -value : nil
    }

    /// Whether no further message of this answer follows.
    var endsAnswer: Bool { type == Self.done || type == Self.error }
    /// NLM_F_DUMP_INTR: what is listed changed meanwhile.
    var wasInterrupted: Bool { flags & 0x10 != 0 }

    /// What an NLMSG_ERROR refuses, with the kernel's own words; nil for success and for other messages.
    func refusal(doing: String) -> NetlinkError? {
        guard type == Self.error else { return nil }
        guard let errno else { return NetlinkError(code: .malformedAnswer, doing: doing, cause: nil) }
        guard errno != 0 else { return nil }
        // The errno, the header of the request, and then attributes where the flag NLM_F_ACK_TLVS says so.
        let words =
            flags & 0x200 != 0 ? attributes(after: 20)[1].map { String(decoding: $0.prefix { $0 != 0 }.prefix(256), as: UTF8.self) } : nil
        return NetlinkError(code: .refused, doing: doing, cause: SyscallError("netlink", errno: errno), words: words ?? "")
    }

    /// The attributes behind a fixed part of this length.
    func attributes(after length: Int) -> [UInt16: [UInt8]] { Self.attributes(in: body.dropFirst(length)) }

    /// The attributes that some bytes hold, as far as they are well-formed.
    static func attributes(in bytes: ArraySlice<UInt8>) -> [UInt16: [UInt8]] {
        var found: [UInt16: [UInt8]] = [:]
        var rest = bytes
        while rest.count >= 4 {
            let size = Int(nativeInteger(rest.prefix(2)))
            let type = UInt16(nativeInteger(rest.dropFirst(2).prefix(2))) & 0x3fff
            guard size >= 4, size <= rest.count else { break }
            found[type] = Array(rest.dropFirst(4).prefix(size - 4))
            rest = rest.dropFirst((size + 3) & ~3)
        }
        return found
    }

    /// The messages in what one read returned; nil where the bytes are none.
    static func all(in bytes: ArraySlice<UInt8>) -> [RouteMessage]? {
        var messages: [RouteMessage] = []
        var rest = bytes
        while !rest.isEmpty {
            guard rest.count >= 16 else { return nil }
            let size = Int(nativeInteger(rest.prefix(4)))
            guard size >= 16, size <= rest.count else { return nil }
            messages.append(
                RouteMessage(
                    type: UInt16(nativeInteger(rest.dropFirst(4).prefix(2))), flags: UInt16(nativeInteger(rest.dropFirst(6).prefix(2))),
                    sequence: UInt32(nativeInteger(rest.dropFirst(8).prefix(4))),
                    port: UInt32(nativeInteger(rest.dropFirst(12).prefix(4))), body: rest.dropFirst(16).prefix(size - 16)))
            rest = rest.dropFirst((size + 3) & ~3)
        }
        return messages
    }
}
