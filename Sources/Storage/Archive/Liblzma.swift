internal import CLZMA

/// Decodes xz: any number of streams, padding between them included. The only caller of liblzma.
/// - Source: the .xz File Format 1.2.1; lzma/base.h.
@safe final class XzDecoder: StreamDecoder {
    /// What liblzma takes beside the dictionary.
    private static let overheadBytes: UInt64 = 1 << 20

    private let stream: UnsafeMutablePointer<lzma_stream>
    private(set) var mayEnd = false

    /// - Parameter windowLog: the base-2 logarithm of the largest dictionary that a stream may ask memory for.
    init(windowLog: Int32) throws(ArchiveError) {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: lzma_stream())
        let code = unsafe lzma_stream_decoder(stream, 1 << UInt64(windowLog) + Self.overheadBytes, lzma_concatenated)
        if code != LZMA_OK { throw ArchiveError(.corruptStream, doing: "decompress", subject: "xz, \(Self.meaning(of: code))") }
    }

    deinit {
        unsafe lzma_end(stream)
        unsafe stream.deallocate()
    }

    func decode(_ input: Span<UInt8>, into output: inout MutableSpan<UInt8>) throws(ArchiveError) -> DecodeStep {
        if mayEnd { return DecodeStep(consumed: 0, produced: 0) }
        var step = DecodeStep(consumed: 0, produced: 0)
        let code = unsafe input.withUnsafeBufferPointer { source in
            unsafe output.withUnsafeMutableBufferPointer { target in
                unsafe stream.pointee.next_in = source.baseAddress
                unsafe stream.pointee.avail_in = source.count
                unsafe stream.pointee.next_out = target.baseAddress
                unsafe stream.pointee.avail_out = target.count
                // Only at the end of the input can it know that no other stream follows.
                let code = unsafe lzma_code(stream, source.isEmpty ? LZMA_FINISH : LZMA_RUN)
                step.consumed = unsafe source.count - stream.pointee.avail_in
                step.produced = unsafe target.count - stream.pointee.avail_out
                return code
            }
        }
        switch code {
        case LZMA_STREAM_END: mayEnd = true
        // A call that can do nothing: the input is at its end, and the stream is not.
        case LZMA_OK, LZMA_BUF_ERROR: break
        default:
            let isTooLarge = code == LZMA_MEMLIMIT_ERROR || code == LZMA_MEM_ERROR
            throw ArchiveError(isTooLarge ? .overLimit : .corruptStream, doing: "decompress", subject: "xz, \(Self.meaning(of: code))")
        }
        return step
    }

    private static func meaning(of code: lzma_ret) -> String {
        switch code {
        case LZMA_MEM_ERROR: "no memory for a decoder"
        case LZMA_MEMLIMIT_ERROR: "a dictionary above the limit"
        case LZMA_FORMAT_ERROR: "no xz"
        case LZMA_OPTIONS_ERROR: "unknown options"
        case LZMA_DATA_ERROR: "damaged"
        default: "code \(code.rawValue)"
        }
    }
}
