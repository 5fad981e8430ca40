internal import CZstd

/// One zstd frame of `bytes`, which says how long its content is; nil where there is no memory for it. - Source: RFC 8878.
package func zstdFrame(of bytes: [UInt8], level: Int32) -> [UInt8]? {
    let limit = ZSTD_compressBound(bytes.count)
    var failed = false
    let frame = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
        let code = unsafe bytes.withUnsafeBytes { source in
            unsafe ZSTD_compress(buffer.baseAddress, limit, source.baseAddress, source.count, level)
        }
        failed = ZSTD_isError(code) != 0
        count = failed ? 0 : code
    }
    return failed ? nil : frame
}
