/// One message of D-Bus. - Source: D-Bus specification 0.43, "Message Format".
package struct BusMessage: Equatable, Sendable {
    /// What it is for; the numbers are those of the wire.
    package enum Kind: UInt8, Sendable {
        case call = 1
        case reply, error, signal
    }

    package var kind: Kind
    /// The sender's number of it.
    package var serial: UInt32 = 0
    package var path: String?
    package var interface: String?
    package var member: String?
    package var errorName: String?
    /// The number of the call that is answered.
    package var replySerial: UInt32?
    package var destination: String?
    package var body: [BusValue] = []

    /// Bytes of the part of fixed length, and of the longest message that is read: no answer of systemd's comes near it.
    static let headBytes = 16
    static let limitBytes = 4 << 20

    /// The message as it is sent, little-endian.
    package var encoded: [UInt8] {
        var contents = BusWriter()
        for value in body { contents.write(value) }
        var fields: [BusValue] = []
        func add(_ code: UInt8, _ value: BusValue?) {
            if let value { fields.append(.structure([.byte(code), .variant(value)])) }
        }
        add(1, path.map { .objectPath($0) })
        add(2, interface.map { .string($0) })
        add(3, member.map { .string($0) })
        add(4, errorName.map { .string($0) })
        add(5, replySerial.map { .uint32($0) })
        add(6, destination.map { .string($0) })
        if !body.isEmpty { add(8, .signature(body.map(\.signature).joined())) }
        var writer = BusWriter()
        for byte: UInt8 in [UInt8(ascii: "l"), kind.rawValue, 0, 1] { writer.write(.byte(byte)) }
        writer.write(.uint32(UInt32(clamping: contents.bytes.count)))
        writer.write(.uint32(serial))
        writer.write(.array(of: "(yv)", fields))
        writer.align(to: 8)
        return writer.bytes + contents.bytes
    }

    /// How long the whole message is, told by its head.
    static func length(head: [UInt8]) throws(BusError) -> Int {
        guard head.count >= headBytes, head[0] == UInt8(ascii: "l"), head[3] == 1 else {
            throw .malformed("it is no little-endian message of version 1")
        }
        func number(at offset: Int) -> Int { head[offset..<(offset + 4)].reversed().reduce(0) { $0 << 8 | Int($1) } }
        let (contents, fields) = (number(at: 4), number(at: 12))
        guard contents <= limitBytes, fields <= limitBytes else { throw .malformed("it is longer than \(limitBytes) bytes") }
        return (headBytes + fields + 7) / 8 * 8 + contents
    }

    /// A message without anything in it.
    package init(_ kind: Kind) { self.kind = kind }

    /// Reads one whole message.
    /// - Throws: `malformed` for bytes that are none.
    package init(decoding bytes: [UInt8]) throws(BusError) {
        guard try Self.length(head: bytes) == bytes.count else { throw .malformed("its length is another") }
        guard let kind = Kind(rawValue: bytes[1]) else { throw .malformed("its kind \(bytes[1]) is unknown") }
        self.kind = kind
        var reader = BusReader(bytes)
        guard case .array(_, let fields)? = try reader.values("yyyyuua(yv)").last else { throw .malformed("it has no fields") }
        serial = bytes[8..<12].reversed().reduce(0) { $0 << 8 | UInt32($1) }
        var signature = ""
        for case .structure(let field) in fields {
            guard field.count == 2, case .byte(let code) = field[0], case .variant(let value) = field[1] else { continue }
            switch (code, value) {
            case (1, .objectPath(let text)): path = text
            case (2, .string(let text)): interface = text
            case (3, .string(let text)): member = text
            case (4, .string(let text)): errorName = text
            case (5, .uint32(let number)): replySerial = number
            case (6, .string(let text)): destination = text
            case (8, .signature(let text)): signature = text
            default: break
            }
        }
        try reader.align(to: 8)
        body = try reader.values(signature)
    }
}
