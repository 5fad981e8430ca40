internal import CZstd

/// Decodes zstd: any number of frames, skippable ones included. The only file here that calls libzstd; frames are made by `Zstd`.
/// - Source: RFC 8878.
@safe final class ZstdDecoder: StreamDecoder {
    private let stream: OpaquePointer
    private(set) var mayEnd = false

    /// - Parameter windowLog: the base-2 logarithm of the largest window that a frame may ask memory for.
    init(windowLog: Int32) throws(ArchiveError) {
        guard let stream = unsafe ZSTD_createDStream() else {
            throw ArchiveError(.corruptStream, doing: "decompress", subject: "zstd, no memory for a decoder")
        }
        unsafe self.stream = unsafe stream
        let code = unsafe ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, windowLog)
        precondition(ZSTD_isError(code) == 0, "libzstd refuses a window of 2^\(windowLog)")
    }

    deinit { _ = unsafe ZSTD_freeDStream(stream) }

    func decode(_ input: Span<UInt8>, into output: inout MutableSpan<UInt8>) throws(ArchiveError) -> DecodeStep {
        if mayEnd && input.isEmpty { return DecodeStep(consumed: 0, produced: 0) }
        var step = DecodeStep(consumed: 0, produced: 0)
        let code = unsafe input.withUnsafeBufferPointer { source in
            unsafe output.withUnsafeMutableBufferPointer { target in
                var from = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
                var onto = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
                let code = unsafe ZSTD_decompressStream(stream, &onto, &from)
                step.consumed = unsafe from.pos
                step.produced = unsafe onto.pos
                return code
            }
        }
        if ZSTD_isError(code) != 0 {
            let text = unsafe ZSTD_getErrorName(code).map { unsafe String(cString: $0) } ?? "unknown"
            throw ArchiveError(Self.meaning(of: ZSTD_getErrorCode(code)), doing: "decompress", subject: "zstd, \(text)")
        }
        mayEnd = code == 0
        return step
    }

    private static func meaning(of code: ZSTD_ErrorCode) -> ArchiveError.Code {
        code == ZSTD_error_frameParameter_windowTooLarge || code == ZSTD_error_memory_allocation ? .overLimit : .corruptStream
    }
}
