internal import LinuxSyscalls

/// Where the data of a file with holes lies, in the form that GNU tar calls 1.0: the map comes before the data, in blocks of its own, and the data
/// follows without what lies between.
/// - Source: GNU tar's manual, "Storing Sparse Files", "PAX Format, Version 1.0"; tar(5), "GNU tar pax archives".
struct SparseMap: Equatable {
    struct Segment: Equatable {
        let offset: Int64
        let sizeBytes: Int64
    }

    /// So many that readers which limit what a header takes, as ours do, read the map; holes behind them are zeros.
    static let segmentLimit = 8192

    let sizeBytes: Int64
    /// In order, each but the last whole blocks of a tar; the last one ends where the file does.
    let segments: [Segment]

    /// The map of an open file; nil where its holes are not worth one.
    init?(of file: Int32, _ status: FileStatus) throws(SyscallError) {
        let size = status.sizeBytes
        if status.allocatedBytes >= size { return nil }
        let block = Int64(TarHeader.blockBytes)
        var found: [Segment] = []
        var end: Int64 = 0
        while end < size, let data = try nextData(in: file, from: UInt64(end)), data < UInt64(size) {
            let start = max(end, Int64(data) / block * block)
            let isLast = found.count == Self.segmentLimit - 1
            // A hole behind the end is one of a file that has become shorter meanwhile.
            let hole = isLast ? nil : try nextHole(in: file, from: data)
            let blockCount = (min(hole ?? .max, UInt64(size)) + UInt64(block) - 1) / UInt64(block)
            end = Int64(clamping: min(UInt64(size), blockCount * UInt64(block)))
            found.append(Segment(offset: start, sizeBytes: end - start))
        }
        // By a segment of no bytes readers know where a file ends that ends with a hole.
        if end < size || found.isEmpty { found.append(Segment(offset: size, sizeBytes: 0)) }
        sizeBytes = size
        segments = found
        if Int64(blocks.count) + dataBytes >= size { return nil }
    }

    var dataBytes: Int64 { segments.reduce(0) { $0 + $1.sizeBytes } }

    /// The map as it comes before the data: numbers in lines, filled up to a block.
    var blocks: [UInt8] {
        let numbers = [Int64(segments.count)] + segments.flatMap { [$0.offset, $0.sizeBytes] }
        let text = Array(numbers.map { "\($0)\n" }.joined().utf8)
        return text + TarHeader.padding(after: Int64(text.count))
    }

    /// What the headers of the entry say.
    func records(path: [UInt8]) -> [(key: String, value: [UInt8])] {
        [
            ("GNU.sparse.major", Array("1".utf8)), ("GNU.sparse.minor", Array("0".utf8)), ("GNU.sparse.name", path),
            ("GNU.sparse.realsize", Array("\(sizeBytes)".utf8)),
        ]
    }

    /// What a reader that knows no sparse files makes of the entry, so that the map is not taken for the file.
    static func placeholder(for path: [UInt8]) -> [UInt8] {
        let name = path.split(separator: 0x2f).last ?? []
        return Array((Array("GNUSparseFile.0/".utf8) + name).prefix(TarHeader.nameLimitBytes))
    }
}
