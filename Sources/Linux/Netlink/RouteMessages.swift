/// Requests to rtnetlink, and what their answers hold. - Source: netlink(7), rtnetlink(7), linux/if_link.h, linux/if_addr.h.
struct RouteRequest {
    private var writer = MessageWriter()
    static let newLink: UInt16 = 16
    static let getLink: UInt16 = 18
    static let newAddress: UInt16 = 20
    static let getAddress: UInt16 = 22
    private static let isRequest: UInt16 = 0x01
    private static let acknowledge: UInt16 = 0x04
    private static let dump: UInt16 = 0x300

    /// - Parameter wantsDump: every object of the kind is the answer; otherwise an acknowledgement follows it.
    init(_ type: UInt16, sequence: UInt32, wantsDump: Bool = false) {
        writer.append(UInt32(0))  // the length, known at the end
        writer.append(type)
        writer.append(Self.isRequest | (wantsDump ? Self.dump : Self.acknowledge))
        writer.append(sequence)
        writer.append(UInt32(0))
    }

    /// struct ifinfomsg: which link, and which flags to set of those to change.
    mutating func appendLink(index: Int32, flags: UInt32 = 0, change: UInt32 = 0) {
        writer.append(UInt32(0))
        writer.append(UInt32(bitPattern: index))
        writer.append(flags)
        writer.append(change)
    }

    /// struct ifaddrmsg.
    mutating func appendAddress(family: UInt8, prefixLength: UInt8, scope: UInt8, index: Int32) {
        writer.append(family)
        writer.append(prefixLength)
        writer.append(UInt8(0x80))  // IFA_F_PERMANENT
        writer.append(scope)
        writer.append(UInt32(bitPattern: index))
    }

    mutating func appendAttribute(_ type: UInt16, _ value: [UInt8]) {
        writer.append(UInt16(4 + value.count))
        writer.append(type)
        writer.append(contentsOf: value)
        while writer.bytes.count % 4 != 0 { writer.append(UInt8(0)) }
    }

    mutating func appendAttribute(_ type: UInt16, text: String) { appendAttribute(type, Array(text.utf8) + [0]) }

    mutating func appendAttribute(_ type: UInt16, number: UInt32) { appendAttribute(type, nativeBytes(number)) }

    /// The whole message.
    var bytes: [UInt8] {
        var whole = writer.bytes
        whole.replaceSubrange(0..<4, with: nativeBytes(UInt32(whole.count)))
        return whole
    }
}

/// One message of an answer.
struct RouteMessage {
    let type: UInt16
    let body: ArraySlice<UInt8>

    static let error: UInt16 = 2
    static let done: UInt16 = 3

    /// The errno of an NLMSG_ERROR, 0 for success; nil for another message.
    var errno: Int32? {
        guard type == Self.error, body.count >= 4 else { return nil }
        let value = Int32(truncatingIfNeeded: nativeInteger(body.prefix(4)))
        return value <= 0 && value != .min ? -value : nil
    }

    /// The attributes behind a fixed part of this length.
    func attributes(after length: Int) -> [UInt16: [UInt8]] {
        var found: [UInt16: [UInt8]] = [:]
        var rest = body.dropFirst(length)
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
                RouteMessage(type: UInt16(nativeInteger(rest.dropFirst(4).prefix(2))), body: rest.dropFirst(16).prefix(size - 16)))
            rest = rest.dropFirst((size + 3) & ~3)
        }
        return messages
    }
}
