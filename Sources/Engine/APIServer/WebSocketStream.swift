internal import Synchronization

/// A client's frames as bytes. One task reads, one writes; answers to pings stand between frames of the writer.
/// - Source: RFC 6455, section 5.
final class WebSocketStream: AttachStream {
    private enum Opcode {
        static let text: UInt8 = 1
        static let binary: UInt8 = 2
        static let close: UInt8 = 8
        static let ping: UInt8 = 9
        static let pong: UInt8 = 10
    }

    /// Bytes of one frame of a client.
    private static let frameLimit = 1 << 20
    /// Bytes of a frame that controls. - Source: section 5.5.
    private static let controlLimit = 125

    /// Reasons for an end. - Source: section 7.4.1.
    private enum End {
        static let usual: UInt16 = 1000
        static let wrongProtocol: UInt16 = 1002
        static let tooLarge: UInt16 = 1009
    }

    /// A frame, with what it takes of the bytes that came.
    private struct Frame {
        let opcode: UInt8
        let payload: [UInt8]
        let length: Int
    }

    private let stream: HijackedStream
    private let opcode: UInt8
    private let waiting = Mutex<[UInt8]>([])
    private let hasClosed = Mutex(false)

    let isMultiplexed = false

    /// - Parameter isText: whether output goes out as text, for clients of old.
    init(_ stream: HijackedStream, isText: Bool) {
        self.stream = stream
        opcode = isText ? Opcode.text : Opcode.binary
    }

    func read() async throws -> [UInt8]? {
        while true {
            switch parse() {
            case .success(let frame?):
                waiting.withLock { $0.removeFirst(frame.length) }
                switch frame.opcode {
                case 0, Opcode.text, Opcode.binary: if !frame.payload.isEmpty { return frame.payload }
                case Opcode.close:
                    try await close(End.usual)
                    return nil
                case Opcode.ping: try await stream.write(Self.frame(Opcode.pong, frame.payload))
                case Opcode.pong: break
                default:
                    try await close(End.wrongProtocol)
                    return nil
                }
            case .success(nil):
                guard let bytes = try await stream.read() else { return nil }
                waiting.withLock { $0 += bytes }
            case .failure(let refusal):
                try await close(refusal.code)
                return nil
            }
        }
    }

    func write(_ bytes: [UInt8]) async throws { try await stream.write(Self.frame(opcode, bytes)) }

    func waitForClose() async { await stream.waitForClose() }

    /// Says that this side ends.
    func end() async {
        // A client that is gone does not miss it.
        try? await close(End.usual)
    }

    private func close(_ code: UInt16) async throws {
        let isFirst = hasClosed.withLock { closed in
            defer { closed = true }
            return !closed
        }
        if isFirst { try await stream.write(Self.frame(Opcode.close, [UInt8(code >> 8), UInt8(code & 0xff)])) }
    }

    private struct Refusal: Error {
        let code: UInt16
    }

    /// The next whole frame of what has come; nil where more is needed.
    private func parse() -> Result<Frame?, Refusal> {
        waiting.withLock { bytes in
            guard bytes.count >= 2 else { return .success(nil) }
            let opcode = bytes[0] & 0x0f
            // A client masks what it says, and reserved bits are nobody's.
            guard bytes[0] & 0x70 == 0, bytes[1] & 0x80 != 0 else { return .failure(Refusal(code: End.wrongProtocol)) }
            var (length, offset) = (Int(bytes[1] & 0x7f), 2)
            if length >= 126 {
                let width = length == 126 ? 2 : 8
                guard bytes.count >= 2 + width else { return .success(nil) }
                let value = bytes[2..<2 + width].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                guard value <= Self.frameLimit else { return .failure(Refusal(code: End.tooLarge)) }
                (length, offset) = (Int(value), 2 + width)
            }
            if opcode >= Opcode.close && (length > Self.controlLimit || bytes[0] & 0x80 == 0) {
                return .failure(Refusal(code: End.wrongProtocol))
            }
            guard bytes.count >= offset + 4 + length else { return .success(nil) }
            let mask = Array(bytes[offset..<offset + 4])
            let payload = bytes[offset + 4..<offset + 4 + length].enumerated().map { $1 ^ mask[$0 & 3] }
            return .success(Frame(opcode: opcode, payload: payload, length: offset + 4 + length))
        }
    }

    private static func frame(_ opcode: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var head = [0x80 | opcode]
        if payload.count < 126 {
            head.append(UInt8(payload.count))
        } else if payload.count <= 0xffff {
            head += [126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
        } else {
            head.append(127)
            head += stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: UInt64(payload.count) >> UInt64($0)) }
        }
        return head + payload
    }
}
