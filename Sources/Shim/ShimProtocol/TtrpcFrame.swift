package import Protobuf

/// One ttrpc frame: a ten-byte header (length, stream, type, flags; big-endian) and a payload.
/// - Spec: containerd/ttrpc PROTOCOL.md.
package struct TtrpcFrame: Equatable, Sendable {
    /// What the payload is.
    package enum Kind: UInt8, Equatable, Sendable {
        /// A `TtrpcRequest`: opens the stream.
        case request = 1
        /// A `TtrpcResponse`: ends the stream.
        case response = 2
        /// A message of the method's own type, either way, while the stream is open.
        case data = 3
    }

    /// Flags of the header; which of them may be set depends on the kind.
    package struct Flags: OptionSet, Equatable, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The sender sends no more on this stream.
        package static let remoteClosed = Flags(rawValue: 0x01)
        /// The sender of a request goes on with data.
        package static let remoteOpen = Flags(rawValue: 0x02)
        /// A data frame without a message: an end, not an empty message.
        package static let noData = Flags(rawValue: 0x04)
    }

    /// Bytes of the header.
    package static let headerByteCount = 10
    /// The longest payload of the protocol: 4 MiB.
    package static let maximumPayloadByteCount = 4 << 20

    /// Odd when the client opened the stream, which is the only way a stream opens.
    package var streamID: UInt32
    package var kind: Kind
    package var flags: Flags
    package var payload: [UInt8]

    package init(streamID: UInt32, kind: Kind, flags: Flags = [], payload: [UInt8] = []) {
        self.streamID = streamID
        self.kind = kind
        self.flags = flags
        self.payload = payload
    }

    /// A request that opens a stream.
    /// - Parameter streaming: the client goes on with data frames.
    package init(streamID: UInt32, request: TtrpcRequest, streaming: Bool = false) {
        self.init(
            streamID: streamID, kind: .request, flags: streaming ? .remoteOpen : .remoteClosed,
            payload: request.encoded())
    }

    /// A response that ends a stream.
    package init(streamID: UInt32, response: TtrpcResponse) {
        self.init(streamID: streamID, kind: .response, payload: response.encoded())
    }

    /// A message on an open stream.
    package init(streamID: UInt32, data: some ProtobufMessage) {
        self.init(streamID: streamID, kind: .data, payload: data.encoded())
    }

    /// The end of what the sender has to say on an open stream.
    package init(endOfDataOn streamID: UInt32) {
        self.init(streamID: streamID, kind: .data, flags: [.remoteClosed, .noData])
    }

    /// Whether the payload passes what the protocol allows.
    package var isTooLong: Bool { payload.count > Self.maximumPayloadByteCount }

    /// The frame's bytes. Longer payloads than `maximumPayloadByteCount` are the caller's bug.
    package func encoded() -> [UInt8] {
        precondition(!isTooLong, "ttrpc payload of \(payload.count) bytes")
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerByteCount + payload.count)
        for word in [UInt32(payload.count), streamID] {
            for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        bytes.append(kind.rawValue)
        bytes.append(flags.rawValue)
        bytes.append(contentsOf: payload)
        return bytes
    }
}

/// Cuts a byte stream into frames.
package struct TtrpcFrameDecoder: Sendable {
    /// What stands next in the stream.
    package enum Item: Equatable, Sendable {
        case frame(TtrpcFrame)
        /// A frame that cannot be taken; its payload is passed over, so that the ones after it can.
        case refused(streamID: UInt32, WireError)
    }

    private var buffer: [UInt8] = []
    private var start = 0
    /// Bytes of a refused frame that have still to come.
    private var skippedByteCount = 0
    private let limitByteCount: Int

    /// - Parameter maximumPayloadByteCount: the longest payload taken from this peer.
    package init(maximumPayloadByteCount: Int = TtrpcFrame.maximumPayloadByteCount) {
        limitByteCount = maximumPayloadByteCount
    }

    /// Bytes held that no frame has been made of yet.
    package var pendingByteCount: Int { buffer.count - start }

    /// Takes bytes off the connection. Take every frame with `next` before appending again, so that no more
    /// than one frame and one read is ever held.
    package mutating func append(_ bytes: some Collection<UInt8>) {
        if start == buffer.count {
            // A large frame's storage is given back: the shim lives for months.
            buffer.removeAll(keepingCapacity: buffer.capacity <= 65_536)
            start = 0
        } else if start > 65_536 {
            buffer.removeFirst(start)
            start = 0
        }
        let passedOver = min(skippedByteCount, bytes.count)
        skippedByteCount -= passedOver
        buffer.append(contentsOf: bytes.dropFirst(passedOver))
    }

    /// The next whole frame, or nil until more bytes come.
    /// - Throws: `WireError` for a payload too long or an unknown type: for the side that trusts its peer to send none.
    package mutating func next() throws(WireError) -> TtrpcFrame? {
        switch nextItem() {
        case .frame(let frame): return frame
        case .refused(_, let problem): throw problem
        case nil: return nil
        }
    }

    /// The next whole frame, or one that cannot be taken; nil until more bytes come.
    package mutating func nextItem() -> Item? {
        guard pendingByteCount >= TtrpcFrame.headerByteCount else { return nil }
        let length = Int(bigEndian(at: start))
        let streamID = bigEndian(at: start + 4)
        let kind = TtrpcFrame.Kind(rawValue: buffer[start + 8])
        if let problem = problem(length: length, kind: kind, rawKind: buffer[start + 8]) {
            let end = start + TtrpcFrame.headerByteCount + length
            skippedByteCount = max(0, end - buffer.count)
            start = min(end, buffer.count)
            return .refused(streamID: streamID, problem)
        }
        guard let kind, pendingByteCount >= TtrpcFrame.headerByteCount + length else { return nil }
        let payloadStart = start + TtrpcFrame.headerByteCount
        let frame = TtrpcFrame(
            streamID: streamID, kind: kind, flags: TtrpcFrame.Flags(rawValue: buffer[start + 9]),
            payload: Array(buffer[payloadStart..<payloadStart + length]))
        start = payloadStart + length
        return .frame(frame)
    }

    private func problem(length: Int, kind: TtrpcFrame.Kind?, rawKind: UInt8) -> WireError? {
        if length > limitByteCount { return WireError(.tooLarge, "ttrpc frame of \(length) bytes") }
        return kind == nil ? WireError(.malformed, "ttrpc frame of type \(rawKind)") : nil
    }

    private func bigEndian(at index: Int) -> UInt32 {
        buffer[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}
