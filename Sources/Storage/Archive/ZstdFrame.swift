/// One zstd frame that is whole in memory.
package enum ZstdFrame {
    /// The base-2 logarithm of the largest window that a frame may ask memory for: 8 MiB.
    private static let windowLog: Int32 = 23

    /// Its content.
    /// - Throws: `.corruptStream` for a frame that is none, or whose content has another length than `byteCount`.
    package static func decompress(_ frame: [UInt8], byteCount: Int) throws(ArchiveError) -> [UInt8] {
        let decoder = try ZstdDecoder(windowLog: windowLog)
        // One more, so that a longer content shows.
        var content = [UInt8](repeating: 0, count: byteCount + 1)
        var (consumed, produced) = (0, 0)
        while consumed < frame.count {
            let input = frame.span.extracting(consumed..<frame.count)
            var output = content.mutableSpan
            var rest = output._mutatingExtracting(produced..<(byteCount + 1))
            let step = try decoder.decode(input, into: &rest)
            (consumed, produced) = (consumed + step.consumed, produced + step.produced)
            if step.consumed == 0 && step.produced == 0 { break }
        }
        guard decoder.mayEnd, produced == byteCount else {
            throw ArchiveError(.corruptStream, doing: "decompress", subject: "zstd, \(produced) bytes of \(byteCount)")
        }
        content.removeLast()
        return content
    }
}
