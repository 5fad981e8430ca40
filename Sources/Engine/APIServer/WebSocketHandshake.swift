internal import FoundationEssentials
internal import NIOHTTP1

/// What turns a request into a websocket.
/// - Source: RFC 6455, section 4.2.
enum WebSocketHandshake {
    /// What is said to every client.
    private static let guide = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// The answer's head, without its end.
    /// - Throws: `APIError` where the request asks for something else.
    static func answer(to headers: HTTPHeaders) throws(APIError) -> String {
        func names(_ word: String, in header: String) -> Bool { headers[canonicalForm: header].contains { $0.lowercased() == word } }
        guard names("websocket", in: "upgrade"), names("upgrade", in: "connection") else { throw .badRequest("not websocket protocol") }
        guard headers.first(name: "sec-websocket-version") == "13" else {
            throw .badRequest("websocket version 13 is spoken, and no other")
        }
        guard let key = headers.first(name: "sec-websocket-key"), Data(base64Encoded: key)?.count == 16 else {
            throw .badRequest("mismatched challenge/response: Sec-WebSocket-Key is not 16 bytes in base64")
        }
        let proof = Data(SHA1.hash(of: Array((key + guide).utf8))).base64EncodedString()
        return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(proof)\r\n"
    }
}

/// SHA-1, which the handshake asks for. It proves nothing more than that websockets are understood.
/// - Source: FIPS 180-4.
enum SHA1 {
    static func hash(of bytes: [UInt8]) -> [UInt8] {
        var state: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
        var message = bytes + [0x80]
        while message.count % 64 != 56 { message.append(0) }
        let bitCount = UInt64(bytes.count) * 8
        for shift in stride(from: 56, through: 0, by: -8) { message.append(UInt8(truncatingIfNeeded: bitCount >> UInt64(shift))) }
        for start in stride(from: 0, to: message.count, by: 64) { add(Array(message[start..<start + 64]), to: &state) }
        return state.flatMap { word in stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt32($0)) } }
    }

    private static func add(_ block: [UInt8], to state: inout [UInt32]) {
        var words = (0..<16).map { index in block[index * 4..<index * 4 + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
        for index in 16..<80 { words.append(turned(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1)) }
        var part = state
        for index in 0..<80 {
            let (choice, constant): (UInt32, UInt32) =
                switch index {
                case 0..<20: (part[1] & part[2] | ~part[1] & part[3], 0x5a82_7999)
                case 20..<40: (part[1] ^ part[2] ^ part[3], 0x6ed9_eba1)
                case 40..<60: (part[1] & part[2] | part[1] & part[3] | part[2] & part[3], 0x8f1b_bcdc)
                default: (part[1] ^ part[2] ^ part[3], 0xca62_c1d6)
                }
            let first = turned(part[0], 5) &+ choice &+ part[4] &+ constant &+ words[index]
            part = [first, part[0], turned(part[1], 30), part[2], part[3]]
        }
        for index in 0..<5 { state[index] &+= part[index] }
    }

    private static func turned(_ word: UInt32, _ count: UInt32) -> UInt32 { word << count | word >> (32 - count) }
}
