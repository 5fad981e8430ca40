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

/// Packs bytes as one gzip member while they pass. Used by one thread.
/// - Source: RFC 1952; igzip_lib.h.
@safe package final class GzipEncoder {
    private let stream: UnsafeMutablePointer<isal_zstream>
    private let levelBuffer: UnsafeMutableBufferPointer<UInt8>
    private let sink: TreeWriter.Sink
    private static let chunkBytes = 256 << 10
    /// More than ISA-L wants for its first level.
    private static let levelBufferBytes = 512 << 10

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
    package func write(_ bytes: [UInt8]) throws(ArchiveError) { try deflate(bytes, isLast: false) }

    /// Writes the end of the stream.
    package func finish() throws(ArchiveError) { try deflate([], isLast: true) }

    private func deflate(_ bytes: [UInt8], isLast: Bool) throws(ArchiveError) {
        var position = 0
        while true {
            var isFull = false
            let packed = unsafe [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { output, count in
                unsafe bytes.withUnsafeBufferPointer { input in
                    let rest = unsafe UnsafeBufferPointer(rebasing: input[position...])
                    unsafe stream.pointee.next_in = unsafe UnsafeMutablePointer(mutating: rest.baseAddress)
                    unsafe stream.pointee.avail_in = UInt32(rest.count)
                    unsafe stream.pointee.next_out = output.baseAddress
                    unsafe stream.pointee.avail_out = UInt32(output.count)
                    unsafe stream.pointee.end_of_stream = isLast ? 1 : 0
                    _ = unsafe isal_deflate(stream)
                    position = unsafe input.count - Int(stream.pointee.avail_in)
                    count = unsafe output.count - Int(stream.pointee.avail_out)
                    isFull = unsafe stream.pointee.avail_out == 0
                }
            }
            if !packed.isEmpty { try sink(packed) }
            if position == bytes.count && !isFull { return }
        }
    }
}
