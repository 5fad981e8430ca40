internal import CZstd

/// One zstd frame of `bytes`, which says how long its content is and ends with a checksum of it, so that damage is told and never read as other
/// bytes; nil where there is no memory for it. - Source: RFC 8878, 3.1.1.
package func zstdFrame(of bytes: [UInt8], level: Int32) -> [UInt8]? {
    guard let context = unsafe ZSTD_createCCtx() else { return nil }
    defer { unsafe ZSTD_freeCCtx(context) }
    unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
    unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    let limit = ZSTD_compressBound(bytes.count)
    var failed = false
    let frame = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
        let code = unsafe bytes.withUnsafeBytes { source in
            unsafe ZSTD_compress2(context, buffer.baseAddress, limit, source.baseAddress, source.count)
        }
        failed = ZSTD_isError(code) != 0
        count = failed ? 0 : code
    }
    return failed ? nil : frame
}
