/// Which stream of a container bytes belong to.
public enum StandardStream: UInt8, Sendable, Equatable, CaseIterable {
    /// Standard input; unused from a server.
    case standardInput = 0
    /// Standard output.
    case standardOutput = 1
    /// Standard error.
    case standardError = 2
    /// An error of the engine itself, for the user.
    case systemError = 3
}

/// The 8-byte header before every piece of output without a terminal: stream, three zeros, length.
///
/// - Spec: Engine API, "Attach to a container", stream format.
public struct StreamFrame: Sendable, Equatable {
    /// Bytes of a header.
    public static let headerLength = 8
    /// The longest payload that a reader takes.
    public static let maximumPayloadLength = 16 << 20

    /// Whose bytes follow.
    public let stream: StandardStream
    /// How many bytes follow.
    public let payloadLength: Int

    /// A frame of `payloadLength` bytes, which a header's 32 bits must hold.
    public init(stream: StandardStream, payloadLength: Int) {
        precondition(payloadLength >= 0 && payloadLength <= Int(UInt32.max))
        self.stream = stream
        self.payloadLength = payloadLength
    }

    /// The header.
    public var header: [UInt8] {
        let length = UInt32(payloadLength)
        return [stream.rawValue, 0, 0, 0] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32($0))) }
    }

    /// Reads a header of exactly 8 bytes.
    /// - Throws: `DocumentError` for an unknown stream or a payload above the maximum.
    public init(header: some Collection<UInt8>) throws(DocumentError) {
        let bytes = Array(header)
        guard bytes.count == Self.headerLength, let stream = StandardStream(rawValue: bytes[0]) else {
            throw DocumentError(document: "stream frame", reason: "unrecognized stream header \(bytes.prefix(8))")
        }
        let length = bytes[4...].reduce(0) { $0 << 8 | Int($1) }
        guard length <= Self.maximumPayloadLength else {
            throw DocumentError(document: "stream frame", reason: "\(length) bytes are more than \(Self.maximumPayloadLength)")
        }
        self.init(stream: stream, payloadLength: length)
    }
}

/// Takes multiplexed output apart, in whatever pieces it comes.
public struct StreamDemultiplexer: Sendable {
    private var header: [UInt8] = []
    private var current: StreamFrame?
    private var remaining = 0

    /// Before the first header.
    public init() {}

    /// Takes the next bytes and hands their payloads on, in order, without gathering whole frames.
    /// - Throws: `DocumentError` for a header that is none.
    public mutating func consume(
        _ bytes: some Collection<UInt8>, _ deliver: (StandardStream, ArraySlice<UInt8>) -> Void
    ) throws(DocumentError) {
        var rest = ArraySlice(bytes)
        while !rest.isEmpty {
            if let frame = current {
                let piece = rest.prefix(remaining)
                rest = rest.dropFirst(piece.count)
                remaining -= piece.count
                if !piece.isEmpty { deliver(frame.stream, piece) }
                if remaining == 0 { current = nil }
            } else {
                let piece = rest.prefix(StreamFrame.headerLength - header.count)
                rest = rest.dropFirst(piece.count)
                header += piece
                guard header.count == StreamFrame.headerLength else { return }
                let frame = try StreamFrame(header: header)
                header.removeAll(keepingCapacity: true)
                remaining = frame.payloadLength
                current = remaining > 0 ? frame : nil
            }
        }
    }
}
