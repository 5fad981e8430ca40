internal import CoreTypes
internal import LinuxSyscalls

/// How far one call of a decoder came.
struct DecodeStep: Equatable {
    var consumed: Int
    var produced: Int
}

/// One compression format, from the inside.
protocol StreamDecoder: AnyObject {
    /// Whether the stream is whole when it ends here.
    var mayEnd: Bool { get }
    /// Decodes as much as fits. With empty input it hands out what it still holds.
    func decode(_ input: Span<UInt8>, into output: inout MutableSpan<UInt8>) throws(ArchiveError) -> DecodeStep
}

/// Sees every byte of the tar as it passes, to compute the diffID in the same pass. Used by the unpacking thread alone.
package protocol ByteObserver: AnyObject {
    func observe(_ bytes: Span<UInt8>)
}

/// What a stream is compressed with.
package enum Compression: String, Sendable {
    case none
    case gzip
    case zstd
    case xz
    case bzip2

    /// The longest beginning that `detect` looks at.
    static let magicBytes = 6

    /// Finds out from a stream's first bytes; a media type is only what a stranger says.
    static func detect(_ beginning: [UInt8]) -> Compression {
        if beginning.starts(with: [0x1f, 0x8b]) { return .gzip }
        if beginning.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) { return .zstd }
        if beginning.count >= 4, beginning[0] & 0xf0 == 0x50, beginning[1...3] == [0x2a, 0x4d, 0x18] { return .zstd }
        if beginning.starts(with: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) { return .xz }
        // A tar may begin with the name of a file: of a first block, or of the end where there is none, two bytes more.
        if beginning.count >= 6, beginning.starts(with: [0x42, 0x5a, 0x68]), (0x31...0x39).contains(beginning[3]),
            [[0x31, 0x41], [0x17, 0x72]].contains(Array(beginning[4..<6]))
        {
            return .bzip2
        }
        return .none
    }
}

/// A byte source, decompressed and held to the limits. Used by one thread.
final class DecompressedStream {
    private let source: any ByteSource
    private let limits: ArchiveLimits
    private let observer: (any ByteObserver)?
    private let decoder: (any StreamDecoder)?
    private var chunk: [UInt8]
    private var position = 0
    private var sourceEnded = false
    private var compressedBytes: Int64 = 0
    private(set) var uncompressedBytes: Int64 = 0
    /// Zeros that stand for holes: the stream does not hold them, and yet they are written.
    private var filledBytes: Int64 = 0

    init(_ source: any ByteSource, limits: ArchiveLimits, observer: (any ByteObserver)?) throws(ArchiveError) {
        self.source = source
        self.limits = limits
        self.observer = observer
        var beginning = try source.next()
        while !beginning.isEmpty && beginning.count < Compression.magicBytes {
            let more = try source.next()
            if more.isEmpty { break }
            beginning += more
        }
        decoder =
            switch Compression.detect(beginning) {
            case .none: nil
            case .gzip: GzipDecoder()
            case .zstd: try ZstdDecoder(windowLog: limits.zstdWindowLog)
            case .xz: try XzDecoder(windowLog: limits.zstdWindowLog)
            case .bzip2: try BZip2Decoder()
            }
        chunk = beginning
    }

    /// Puts the next bytes into `output`; 0 is the end.
    func read(into output: inout MutableSpan<UInt8>) throws(ArchiveError) -> Int {
        while true {
            if position == chunk.count && !sourceEnded { try refill() }
            let step = try advance(&output)
            position += step.consumed
            compressedBytes += Int64(step.consumed)
            if step.produced > 0 {
                try account(step.produced)
                observer?.observe(output.span.extracting(first: step.produced))
                return step.produced
            }
            if position == chunk.count && sourceEnded && step.consumed == 0 {
                if let decoder, !decoder.mayEnd {
                    throw ArchiveError(.truncated, doing: "decompress", subject: "after \(compressedBytes) bytes")
                }
                return 0
            }
        }
    }

    private func refill() throws(ArchiveError) {
        chunk = try source.next()
        position = 0
        sourceEnded = chunk.isEmpty
    }

    private func advance(_ output: inout MutableSpan<UInt8>) throws(ArchiveError) -> DecodeStep {
        let current = chunk
        let input = current.span.extracting(droppingFirst: position)
        if let decoder { return try decoder.decode(input, into: &output) }
        let count = copyBytes(input, to: &output)
        return DecodeStep(consumed: count, produced: count)
    }

    private func account(_ produced: Int) throws(ArchiveError) {
        uncompressedBytes += Int64(produced)
        try checkLimits()
    }

    /// Counts a hole that is about to be written as zeros.
    func accountFilled(_ bytes: Int64) throws(ArchiveError) {
        filledBytes = filledBytes.addingClamped(bytes)
        try checkLimits()
    }

    private func checkLimits() throws(ArchiveError) {
        let total = uncompressedBytes.addingClamped(filledBytes)
        if total > limits.uncompressedBytes {
            throw ArchiveError(.overLimit, doing: "decompress", subject: "more than \(limits.uncompressedBytes) bytes")
        }
        if total > limits.ratioFreeBytes && total / max(1, compressedBytes) >= limits.ratio {
            throw ArchiveError(
                .overLimit, doing: "decompress",
                subject: "\(total) bytes from \(compressedBytes), more than \(limits.ratio) to 1")
        }
    }
}
