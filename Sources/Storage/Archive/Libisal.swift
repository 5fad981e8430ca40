internal import CISAL

/// Decodes gzip: any number of members, then padding of zero bytes at most. This file is the only caller of ISA-L.
/// - Source: RFC 1952; ISA-L stops at the end of each member.
@safe final class GzipDecoder: StreamDecoder {
    private enum Phase {
        /// Inside a member: the stream may not end here.
        case member
        /// Behind a member: another one, padding, or the end.
        case boundary
        case padding
    }

    private let state: UnsafeMutablePointer<inflate_state>
    private var phase = Phase.member

    init() {
        unsafe state = .allocate(capacity: 1)
        unsafe isal_inflate_init(state)
        unsafe state.pointee.crc_flag = UInt32(ISAL_GZIP)
    }

    deinit { unsafe state.deallocate() }

    var mayEnd: Bool { phase != .member }

    func decode(_ input: Span<UInt8>, into output: inout MutableSpan<UInt8>) throws(ArchiveError) -> DecodeStep {
        if phase == .boundary && !input.isEmpty {
            if input[0] == 0x1f {
                unsafe isal_inflate_reset(state)
                unsafe state.pointee.crc_flag = UInt32(ISAL_GZIP)
                phase = .member
            } else {
                phase = .padding
            }
        }
        switch phase {
        case .member: return try inflate(input, into: &output)
        case .boundary: return DecodeStep(consumed: 0, produced: 0)
        case .padding:
            for index in input.indices where input[index] != 0 {
                throw ArchiveError(.trailingBytes, doing: "decompress", subject: "gzip")
            }
            return DecodeStep(consumed: input.count, produced: 0)
        }
    }

    private func inflate(_ input: Span<UInt8>, into output: inout MutableSpan<UInt8>) throws(ArchiveError) -> DecodeStep {
        var step = DecodeStep(consumed: 0, produced: 0)
        let code = unsafe input.withUnsafeBufferPointer { source in
            unsafe output.withUnsafeMutableBufferPointer { target in
                unsafe state.pointee.next_in = unsafe UnsafeMutablePointer(mutating: source.baseAddress)
                unsafe state.pointee.avail_in = UInt32(source.count)
                unsafe state.pointee.next_out = target.baseAddress
                unsafe state.pointee.avail_out = UInt32(target.count)
                let code = unsafe isal_inflate(state)
                step.consumed = unsafe source.count - Int(state.pointee.avail_in)
                step.produced = unsafe target.count - Int(state.pointee.avail_out)
                return code
            }
        }
        if code != ISAL_DECOMP_OK && code != ISAL_END_INPUT && code != ISAL_OUT_OVERFLOW {
            throw ArchiveError(.corruptStream, doing: "decompress", subject: "gzip, \(Self.meaning(of: code))")
        }
        if unsafe state.pointee.block_state == ISAL_BLOCK_FINISH { phase = .boundary }
        return step
    }

    private static func meaning(of code: Int32) -> String {
        switch code {
        case ISAL_INVALID_BLOCK: "invalid block"
        case ISAL_INVALID_SYMBOL: "invalid symbol"
        case ISAL_INVALID_LOOKBACK: "invalid distance"
        case ISAL_INVALID_WRAPPER: "invalid header"
        case ISAL_UNSUPPORTED_METHOD: "unknown method"
        case ISAL_INCORRECT_CHECKSUM: "wrong checksum"
        default: "code \(code)"
        }
    }
}

/// Packs bytes as one gzip member while they pass, and never much better than `ArchiveLimits.packedRatio` says: what it packed is unpacked again
/// by readers that refuse bombs. Used by one thread.
/// - Source: RFC 1952; RFC 1951, 3.2.4; igzip_lib.h.
@safe package final class GzipEncoder {
    private let stream: UnsafeMutablePointer<isal_zstream>
    private let levelBuffer: UnsafeMutableBufferPointer<UInt8>
    private let sink: TreeWriter.Sink
    private static let chunkBytes = 256 << 10
    /// More than ISA-L wants for its first level.
    private static let levelBufferBytes = 512 << 10
    /// A block of no bytes, stored, with others behind it.
    private static let emptyBlock: [UInt8] = [0, 0, 0, 0xff, 0xff]
    private var unpackedBytes: Int64 = 0
    private var packedBytes: Int64 = 0

    /// - Parameter sink: takes the packed bytes.
    package init(to sink: @escaping TreeWriter.Sink) {
        self.sink = sink
        unsafe stream = .allocate(capacity: 1)
        unsafe levelBuffer = .allocate(capacity: Self.levelBufferBytes)
        unsafe isal_deflate_init(stream)
        unsafe stream.pointee.level = 1
        unsafe stream.pointee.level_buf = levelBuffer.baseAddress
        unsafe stream.pointee.level_buf_size = UInt32(levelBuffer.count)
        unsafe stream.pointee.gzip_flag = UInt16(IGZIP_GZIP)
    }

    deinit {
        unsafe levelBuffer.deallocate()
        unsafe stream.deallocate()
    }

    /// Packs the next bytes.
    package func write(_ bytes: [UInt8]) throws(ArchiveError) {
        unpackedBytes += Int64(bytes.count)
        // Readers look at the ratio later than this, and never at that of smaller streams.
        let wantedBytes = unpackedBytes > ArchiveLimits.layer.ratioFreeBytes / 2 ? unpackedBytes / ArchiveLimits.packedRatio : 0
        try deflate(bytes, packedBytes < wantedBytes ? .flushed : .next)
        if packedBytes < wantedBytes { try pad(to: wantedBytes) }
    }

    /// Writes the end of the stream.
    package func finish() throws(ArchiveError) { try deflate([], .last) }

    /// Fills up with blocks of nothing. What was packed so far ends with a whole byte.
    private func pad(to wantedBytes: Int64) throws(ArchiveError) {
        let size = Int64(Self.emptyBlock.count)
        var missing = (wantedBytes - packedBytes + size - 1) / size
        while missing > 0 {
            let count = min(missing, Int64(Self.chunkBytes) / size)
            try put(Array(repeatElement(Self.emptyBlock, count: Int(count)).joined()))
            missing -= count
        }
    }

    private func put(_ packed: [UInt8]) throws(ArchiveError) {
        packedBytes += Int64(packed.count)
        try sink(packed)
    }

    private enum Part {
        case next
        /// Nothing of it is held back, and its last bit ends a byte.
        case flushed
        case last

        /// Whether ISA-L has written what it is to write of it. A few bytes of room may be too few for an end, and stay free.
        func isWritten(at state: isal_zstate_state) -> Bool {
            switch self {
            case .next: true
            case .flushed: state == ZSTATE_NEW_HDR
            case .last: state == ZSTATE_END
            }
        }
    }

    private func deflate(_ bytes: [UInt8], _ part: Part) throws(ArchiveError) {
        var position = 0
        while true {
            var isDone = false
            let packed = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { output, count in
                unsafe bytes.withUnsafeBufferPointer { input in
                    let rest = unsafe UnsafeBufferPointer(rebasing: input[position...])
                    unsafe stream.pointee.next_in = unsafe UnsafeMutablePointer(mutating: rest.baseAddress)
                    unsafe stream.pointee.avail_in = UInt32(rest.count)
                    unsafe stream.pointee.next_out = output.baseAddress
                    unsafe stream.pointee.avail_out = UInt32(output.count)
                    unsafe stream.pointee.end_of_stream = part == .last ? 1 : 0
                    unsafe stream.pointee.flush = UInt16(part == .flushed ? SYNC_FLUSH : NO_FLUSH)
                    _ = unsafe isal_deflate(stream)
                    position = unsafe input.count - Int(stream.pointee.avail_in)
                    count = unsafe output.count - Int(stream.pointee.avail_out)
                    let hasRoom = unsafe stream.pointee.avail_out > 0
                    isDone = unsafe position == input.count && hasRoom && part.isWritten(at: stream.pointee.internal_state.state)
                }
            }
            if !packed.isEmpty { try put(packed) }
            if isDone { return }
        }
    }
}
