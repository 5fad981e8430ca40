internal import LinuxSyscalls

/// One entry of an archive that is read as a list of named contents, not unpacked.
package struct ArchiveMember: Equatable, Sendable {
    /// What an entry is, as far as its readers care.
    package enum Kind: Equatable, Sendable {
        case file(sizeBytes: Int64)
        case folder
        /// Another name of a member, below the archive's root.
        case link(to: String)
        /// Device, pipe.
        case other
    }

    /// Below the archive's root, without `.`, `..` and slashes at its ends; empty for the root.
    package let path: String
    package let kind: Kind
}

/// Goes through an archive, plain, gzip or zstd, member by member. Used by one thread.
package final class ArchiveReader {
    private let stream: DecompressedStream
    private let reader: TarReader
    private let limits: ArchiveLimits
    private var memberCount = 0
    /// Of the member that `next` returned last.
    private var sizeBytes: Int64 = 0

    /// Reads the beginning of the stream.
    package init(_ source: any ByteSource, limits: ArchiveLimits) throws(ArchiveError) {
        self.limits = limits
        stream = try DecompressedStream(source, limits: limits, observer: nil)
        reader = try TarReader(stream, limits: limits)
    }

    /// The next member; nil at the end, by which the stream has been read to its last byte.
    /// - Throws: `.refusedEntry` for a path or a link upwards out of the archive; `.overLimit`.
    package func next() throws(ArchiveError) -> ArchiveMember? {
        guard let entry = try reader.nextEntry() else {
            try reader.drain()
            return nil
        }
        memberCount += 1
        if memberCount > limits.entries {
            throw ArchiveError(.overLimit, doing: "read archive", subject: "more than \(limits.entries) entries")
        }
        let path = try EntryPath(entry.path, limits: limits, printable: entry.printable)
        sizeBytes = 0
        if case .regular(let bytes) = entry.kind { sizeBytes = bytes }
        if sizeBytes > limits.uncompressedBytes {
            throw ArchiveError(
                .overLimit, doing: "read archive",
                subject: "\(entry.printable): \(sizeBytes) bytes, more than \(limits.uncompressedBytes)")
        }
        let kind: ArchiveMember.Kind =
            switch entry.kind {
            case .regular(let sizeBytes): .file(sizeBytes: sizeBytes)
            case .directory: .folder
            case .hardLink(let target): .link(to: text(try EntryPath(target, limits: limits, printable: entry.printable).components))
            case .symbolicLink(let target): .link(to: text(try resolve(target, from: path, entry)))
            case .device, .pipe: .other
            }
        return ArchiveMember(path: text(path.components), kind: kind)
    }

    /// Hands the current member's data to `body`, holes as zeros.
    /// - Throws: `.overLimit`, before the zeros of a hole that the limits do not bear.
    package func readData(_ body: (Span<UInt8>) throws(ArchiveError) -> Void) throws(ArchiveError) {
        var end: Int64 = 0
        try reader.readData { bytes, offset throws(ArchiveError) in
            try zeros(offset - end, body)
            try body(bytes)
            end = offset + Int64(bytes.count)
        }
        // One at the file's end has no data behind it.
        try zeros(sizeBytes - end, body)
    }

    private func zeros(_ count: Int64, _ body: (Span<UInt8>) throws(ArchiveError) -> Void) throws(ArchiveError) {
        var left = count
        if left <= 0 { return }
        try stream.accountFilled(left)
        let block = [UInt8](repeating: 0, count: Int(min(left, 1 << 16)))
        while left > 0 {
            try body(block.span.extracting(first: Int(min(left, Int64(block.count)))))
            left -= Int64(block.count)
        }
    }

    /// What a symbolic link leads to by its words alone.
    private func resolve(_ target: [UInt8], from path: EntryPath, _ entry: TarEntry) throws(ArchiveError) -> [[UInt8]] {
        var components = target.first == 0x2f ? [] : Array(path.parent)
        for word in target.split(separator: 0x2f) where !word.elementsEqual([0x2e]) {
            if word.elementsEqual([0x2e, 0x2e]) {
                if components.popLast() == nil {
                    throw ArchiveError(.refusedEntry, doing: "read archive", subject: "\(entry.printable): a link out of the archive")
                }
            } else {
                components.append(Array(word))
            }
        }
        return components
    }

    private func text(_ components: [[UInt8]]) -> String {
        String(decoding: Array(components.joined(separator: [0x2f])), as: UTF8.self)
    }
}

/// Reads a stream, plain or compressed, to its end, and shows `observer` what it is unpacked.
/// - Returns: how many bytes that is.
package func observeUnpacked(_ source: any ByteSource, by observer: any ByteObserver, limits: ArchiveLimits = .layer) throws(ArchiveError)
    -> Int64
{
    let stream = try DecompressedStream(source, limits: limits, observer: observer)
    var buffer = [UInt8](repeating: 0, count: 256 << 10)
    while true {
        var span = buffer.mutableSpan
        if try stream.read(into: &span) == 0 { return stream.uncompressedBytes }
    }
}

/// Reads a stream, plain or compressed, to its end, and packs it as gzip.
package func repackAsGzip(_ source: any ByteSource, limits: ArchiveLimits, to sink: @escaping TreeWriter.Sink) throws(ArchiveError) {
    let stream = try DecompressedStream(source, limits: limits, observer: nil)
    let encoder = GzipEncoder(to: sink)
    var buffer = [UInt8](repeating: 0, count: 256 << 10)
    while true {
        var span = buffer.mutableSpan
        let count = try stream.read(into: &span)
        if count == 0 { return try encoder.finish() }
        try encoder.write(Array(buffer[..<count]))
    }
}

extension Compression {
    /// The compression of a file, by how it begins.
    /// - Parameter beginning: six bytes, or all where there are fewer.
    package init(of beginning: [UInt8]) { self = Compression.detect(beginning) }
}
