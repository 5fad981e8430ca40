internal import CArchive
internal import Glibc
internal import LinuxSyscalls

/// Reads tar entries (ustar, pax, GNU with its sparse forms, v7) from a decompressed stream. The only caller of libarchive,
/// which is given the tar format alone and no filter.
@safe final class TarReader {
    /// Bytes that libarchive is lent at a time: enough to amortise a call, few enough for a second-level cache.
    private static let bufferBytes = 256 << 10
    /// The unit of a tar. - Source: tar(5).
    private static let blockBytes: Int64 = 512

    private let stream: DecompressedStream
    private let limits: ArchiveLimits
    private let archive: OpaquePointer
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    private var failure: ArchiveError?
    /// How long the tar is, as far as it has been lent.
    private var lentBytes: Int64 = 0
    private var isPadded = false
    /// How much more may be lent for the header that is being read; nil while data is.
    private var headerBytesLeft: Int?
    private var isInside = false

    init(_ stream: DecompressedStream, limits: ArchiveLimits) throws(ArchiveError) {
        guard let archive = unsafe archive_read_new() else {
            throw ArchiveError(.malformed, doing: "open tar", subject: "no memory for a reader")
        }
        self.stream = stream
        self.limits = limits
        unsafe self.archive = unsafe archive
        unsafe buffer = .allocate(capacity: Self.bufferBytes)
        unsafe buffer.initialize(repeating: 0)
        unsafe archive_read_support_format_tar(archive)
        unsafe archive_read_support_format_empty(archive)
        let read: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?, UnsafeMutablePointer<UnsafeRawPointer?>?) -> Int = {
            _, context, block in
            guard let context = unsafe context, let block = unsafe block else { return -1 }
            return unsafe Unmanaged<TarReader>.fromOpaque(context).takeUnretainedValue().lend(block)
        }
        let code = unsafe archive_read_open(archive, Unmanaged.passUnretained(self).toOpaque(), nil, read, nil)
        if code != ARCHIVE_OK { throw refusal(doing: "open tar") }
    }

    deinit {
        unsafe archive_read_free(archive)
        unsafe buffer.deallocate()
    }

    /// libarchive's read callback: a block that stays valid until the next call.
    private func lend(_ block: UnsafeMutablePointer<UnsafeRawPointer?>) -> Int {
        do throws(ArchiveError) {
            var span = unsafe MutableSpan(_unsafeElements: buffer)
            let count = try stream.read(into: &span)
            lentBytes += Int64(count)
            try accountHeader(count)
            unsafe block.pointee = unsafe UnsafeRawPointer(buffer.baseAddress)
            return count > 0 ? count : pad(&span)
        } catch {
            failure = error
            return -1
        }
    }

    /// libarchive keeps a record of every segment that a sparse file's map names, without any limit of its own.
    private func accountHeader(_ count: Int) throws(ArchiveError) {
        guard let left = headerBytesLeft else { return }
        headerBytesLeft = left - count
        if left < count {
            throw ArchiveError(
                .overLimit, doing: "read tar header", subject: "one header, with its map of holes, of more than \(limits.headerBytes) bytes"
            )
        }
    }

    /// Fills up the last block, once: packers that do not close their archive leave its padding out. - Returns: how many bytes.
    private func pad(_ span: inout MutableSpan<UInt8>) -> Int {
        if isPadded { return 0 }
        isPadded = true
        let missing = Int((Self.blockBytes - lentBytes % Self.blockBytes) % Self.blockBytes)
        for index in 0..<missing { span[index] = 0 }
        return missing
    }

    /// What `pad` made up may be padding alone, neither header nor data.
    /// - Parameter lookahead: bytes at libarchive's place that it has handed over already.
    private func checkIsReal(lookahead: Int = 0) throws(ArchiveError) {
        if unsafe archive_filter_bytes(archive, -1) + Int64(lookahead) > lentBytes {
            throw ArchiveError(.truncated, doing: "read tar", subject: "after \(lentBytes) bytes")
        }
    }

    /// The next entry; nil at the end of the archive. Data of the one before that was not read is skipped.
    func nextEntry() throws(ArchiveError) -> TarEntry? {
        var header: OpaquePointer?
        // Here, not in the call for the next header: data of any length is no header.
        if isInside {
            let code = unsafe archive_read_data_skip(archive)
            if failure != nil || code != ARCHIVE_OK { throw refusal(doing: "read tar data") }
        }
        headerBytesLeft = limits.headerBytes
        let code = unsafe archive_read_next_header(archive, &header)
        headerBytesLeft = nil
        isInside = code == ARCHIVE_OK || code == ARCHIVE_WARN
        if code == ARCHIVE_EOF && failure == nil { return nil }
        // In the C locale a name beyond ASCII draws a warning and is handed over byte for byte, which is what we want.
        let onlyCharset = code == ARCHIVE_WARN && message.contains("current locale")
        guard failure == nil, code == ARCHIVE_OK || onlyCharset, let header = unsafe header else {
            throw refusal(doing: "read tar header")
        }
        try checkIsReal()
        return try unsafe entry(header)
    }

    private func entry(_ header: OpaquePointer) throws(ArchiveError) -> TarEntry {
        guard let path = unsafe archive_entry_pathname(header) else {
            throw ArchiveError(.malformed, doing: "read tar header", subject: "an entry has no name")
        }
        var entry = unsafe TarEntry(
            path: bytes(path), kind: .directory, mode: UInt32(archive_entry_perm(header)) & 0o7777,
            userID: archive_entry_uid(header), groupID: archive_entry_gid(header),
            modified: FileTime(seconds: Int64(archive_entry_mtime(header)), nanoseconds: Int64(archive_entry_mtime_nsec(header))))
        entry.kind = try unsafe kind(header, of: entry)
        entry.attributes = try unsafe attributes(header, of: entry)
        entry.hasMap = unsafe archive_entry_sparse_count(header) > 0
        return entry
    }

    private func kind(_ header: OpaquePointer, of entry: TarEntry) throws(ArchiveError) -> TarEntry.Kind {
        if let target = unsafe archive_entry_hardlink(header) { return .hardLink(target: unsafe bytes(target)) }
        let type = unsafe FileType(rawValue: UInt32(archive_entry_filetype(header)))
        switch type {
        case .regular:
            let size = unsafe archive_entry_size(header)
            if size < 0 { throw ArchiveError(.malformed, doing: "read tar header", subject: "\(entry.printable): negative size") }
            return .regular(sizeBytes: size)
        case .directory: return .directory
        case .symbolicLink:
            guard let target = unsafe archive_entry_symlink(header) else {
                throw ArchiveError(.malformed, doing: "read tar header", subject: "\(entry.printable): a link to nothing")
            }
            return .symbolicLink(target: unsafe bytes(target))
        case .characterDevice, .blockDevice:
            let major = unsafe UInt32(truncatingIfNeeded: archive_entry_rdevmajor(header))
            let minor = unsafe UInt32(truncatingIfNeeded: archive_entry_rdevminor(header))
            return .device(type ?? .characterDevice, DeviceNumber(major: major, minor: minor))
        case .pipe: return .pipe
        case .socket, nil: throw ArchiveError(.refusedEntry, doing: "read tar header", subject: "\(entry.printable): unknown type")
        }
    }

    private func attributes(_ header: OpaquePointer, of entry: TarEntry) throws(ArchiveError) -> [TarEntry.Attribute] {
        var found: [TarEntry.Attribute] = []
        var left = limits.attributeBytes
        unsafe archive_entry_xattr_reset(header)
        while true {
            var name: UnsafePointer<CChar>?
            var value: UnsafeRawPointer?
            var size = 0
            if unsafe archive_entry_xattr_next(header, &name, &value, &size) != ARCHIVE_OK { return found }
            left -= size
            if left < 0 {
                throw ArchiveError(
                    .overLimit, doing: "read tar header", subject: "\(entry.printable): attributes over \(limits.attributeBytes) bytes")
            }
            guard let name = unsafe name else { continue }
            found.append(
                unsafe TarEntry.Attribute(
                    name: String(cString: name), value: Array(UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : size))))
        }
    }

    /// Hands the current entry's data to `body` block by block, with the offset that each belongs at: what lies between is a hole.
    func readData(_ body: (Span<UInt8>, Int64) throws(ArchiveError) -> Void) throws(ArchiveError) {
        while true {
            var block: UnsafeRawPointer?
            var size = 0
            var offset: Int64 = 0
            let code = unsafe archive_read_data_block(archive, &block, &size, &offset)
            if code == ARCHIVE_EOF && failure == nil { return }
            if failure != nil || code != ARCHIVE_OK { throw refusal(doing: "read tar data") }
            if size == 0 { continue }
            try checkIsReal(lookahead: size)
            guard (0...Int64.max - Int64(size)).contains(offset) else {
                throw ArchiveError(.malformed, doing: "read tar data", subject: "data at \(offset), where no file has any")
            }
            let bytes = unsafe UnsafeBufferPointer(start: block?.assumingMemoryBound(to: UInt8.self), count: size)
            try body(unsafe bytes.span, offset)
        }
    }

    /// The current entry's data at once, of a file without a map.
    /// - Throws: `.malformed` where there is more than `limitBytes`, or a hole.
    func readWhole(limitBytes: Int) throws(ArchiveError) -> [UInt8] {
        var whole: [UInt8] = []
        try readData { bytes, offset throws(ArchiveError) in
            guard offset == Int64(whole.count), bytes.count <= limitBytes - whole.count else {
                throw ArchiveError(.malformed, doing: "read tar data", subject: "data behind a small file's end")
            }
            unsafe bytes.withUnsafeBufferPointer { bytes in unsafe whole.append(contentsOf: bytes) }
        }
        return whole
    }

    /// Reads what follows the end of the archive, so that the stream is verified to its last byte.
    func drain() throws(ArchiveError) {
        while true {
            var span = unsafe MutableSpan(_unsafeElements: buffer)
            if try stream.read(into: &span) == 0 { return }
        }
    }

    private var message: String {
        unsafe archive_error_string(archive).map { unsafe String(cString: $0) } ?? "no reason given"
    }

    private func refusal(doing: String) -> ArchiveError {
        failure ?? ArchiveError(.malformed, doing: doing, subject: message)
    }

    private func bytes(_ text: UnsafePointer<CChar>) -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }
}

/// Whether there is nothing but zeros, as fast as memory is read. Most data shows at its beginning that it is none.
func areZeros(_ bytes: Span<UInt8>) -> Bool {
    if bytes.isEmpty { return true }
    if bytes[0] != 0 { return false }
    return unsafe bytes.withUnsafeBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return true }
        // Each byte is the one before it.
        return unsafe memcmp(start, start + 1, buffer.count - 1) == 0
    }
}
