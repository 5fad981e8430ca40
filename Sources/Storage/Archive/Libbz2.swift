internal import CBZip2

/// Decodes bzip2: any number of streams one behind the other. The only caller of libbz2.
/// - Source: bzlib.h; a decoder stops at the end of each stream.
@safe final class BZip2Decoder: StreamDecoder {
    private let stream: UnsafeMutablePointer<bz_stream>
    /// Between two streams, where the whole may end.
    private(set) var mayEnd = false

    init() throws(ArchiveError) {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: bz_stream())
        try begin()
    }

    deinit {
        _ = unsafe BZ2_bzDecompressEnd(stream)
        unsafe stream.deallocate()
    }

    func decode(_ input: Span<UInt8>, into output: inout MutableSpan<UInt8>) throws(ArchiveError) -> DecodeStep {
        if mayEnd {
            if input.isEmpty { return DecodeStep(consumed: 0, produced: 0) }
            guard input[0] == UInt8(ascii: "B") else { throw ArchiveError(.trailingBytes, doing: "decompress", subject: "bzip2") }
            _ = unsafe BZ2_bzDecompressEnd(stream)
            try begin()
        }
        var step = DecodeStep(consumed: 0, produced: 0)
        let code = unsafe input.withUnsafeBufferPointer { source in
            unsafe output.withUnsafeMutableBufferPointer { target in
                // It reads what it is lent, and does not say so in its type.
                unsafe stream.pointee.next_in = unsafe UnsafeMutableRawPointer(mutating: source.baseAddress)?
                    .assumingMemoryBound(to: CChar.self)
                unsafe stream.pointee.avail_in = UInt32(source.count)
                unsafe stream.pointee.next_out = unsafe UnsafeMutableRawPointer(target.baseAddress)?.assumingMemoryBound(to: CChar.self)
                unsafe stream.pointee.avail_out = UInt32(target.count)
                let code = unsafe BZ2_bzDecompress(stream)
                step.consumed = unsafe source.count - Int(stream.pointee.avail_in)
                step.produced = unsafe target.count - Int(stream.pointee.avail_out)
                return code
            }
        }
        switch code {
        case BZ_STREAM_END: mayEnd = true
        case BZ_OK: break
        default: throw ArchiveError(.corruptStream, doing: "decompress", subject: "bzip2, \(Self.meaning(of: code))")
        }
        return step
    }

    private func begin() throws(ArchiveError) {
        mayEnd = false
        unsafe stream.pointee = unsafe bz_stream()
        let code = unsafe BZ2_bzDecompressInit(stream, 0, 0)
        if code != BZ_OK { throw ArchiveError(.corruptStream, doing: "decompress", subject: "bzip2, \(Self.meaning(of: code))") }
    }

    private static func meaning(of code: Int32) -> String {
        switch code {
        case BZ_MEM_ERROR: "no memory for a decoder"
        case BZ_DATA_ERROR: "damaged"
        case BZ_DATA_ERROR_MAGIC: "no bzip2"
        default: "code \(code)"
        }
    }
}
