internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage
internal import Zstd

/// How a file of the journal that is written no more is compressed: as a container's log is, the heading in a frame of its own, so that `zstd -d` gives
/// the file back and any place of it is found without what lies before.
enum EventPacking {
    private static let compressionLevel: Int32 = 3
    /// Where it lies until it takes the other one's place: one name, so that what a crash leaves is overwritten by the next one.
    private static let draftName = "packing"

    static func isPacked(_ start: [UInt8]) -> Bool { start.starts(with: PackedLogTable.magic) }

    /// The heading of a compressed file.
    /// - Throws: EBADMSG for a damaged one.
    static func heading(of file: borrowing OwnedFD, path: String) throws(SyscallError) -> ArraySlice<UInt8> {
        try PackedLog(try reopen(file.number, .readOnly), path: path).start().prefix { $0 != UInt8(ascii: "\n") }
    }

    /// Whether a file that could not be read is the reason, and no want of something that will be there again.
    static func isOfFile(_ error: SyscallError) -> Bool { error.isOfDamage || error.errno == Errno.ioError.rawValue }

    /// Whether what is wanting may be there again by itself.
    static func isOfWant(_ error: SyscallError) -> Bool {
        let wants: [Errno] = [.noSpace, .diskQuotaExceeded, .noMemory, .tooManyOpenFiles, .tooManyOpenFilesInSystem]
        return wants.contains { $0.rawValue == error.errno }
    }

    /// What is in a file of either form.
    /// - Throws: EBADMSG for a compressed one that is damaged.
    static func contents(_ path: FilePath) throws(SyscallError) -> any LogContents {
        let file = try openFile(path, [.readOnly, .noFollow])
        guard isPacked(try readChunk(file.number, limitBytes: PackedLogTable.magic.count, subject: path.string)) else {
            return PlainLog(file)
        }
        return try PackedLog(file, path: path.string)
    }

    /// The file with what of it can be read counted.
    static func counted(_ found: EventSegment, in directory: FilePath) throws(SyscallError) -> EventSegment {
        var segment = found
        do throws(SyscallError) {
            var reader = try EventReader(segment: found.first, path: directory.appending(found.fileName))
            while case let entries = try reader.next(before: .max, within: .max), !entries.isEmpty {
                segment.count += UInt64(entries.count)
                segment.newest = entries.reduce(segment.newest) { max($0, $1.time) }
            }
        } catch { guard isOfFile(error) else { throw error } }
        return segment
    }

    /// Puts a compressed file in the place of a closed one, which is there whole as the one or the other whatever happens.
    /// - Returns: the bytes that it takes now.
    static func pack(_ segment: EventSegment, in directory: FilePath) throws(SyscallError) -> Int64 {
        let (path, draft) = (directory.appending(segment.fileName), directory.appending(draftName))
        do throws(SyscallError) {
            let byteCount = try pack(
                try openFile(path, [.readOnly, .noFollow]), headingByteCount: segment.headingLine.utf8.count, to: draft)
            try renameFile(draft, to: path)
            try synchronizeDirectory(directory)
            return byteCount
        } catch {
            // Room that a full disk can use. Where it stays, the next attempt writes over it.
            try? removeFile(draft)
            throw error
        }
    }

    private static func pack(_ source: consuming OwnedFD, headingByteCount: Int, to draft: FilePath) throws(SyscallError) -> Int64 {
        let target = try openFile(draft, [.writeOnly, .create, .truncate, .noFollow], mode: 0o600)
        try PackedLogTable.pack(headingByteCount: headingByteCount) { limitBytes throws(SyscallError) in
            try readChunk(source.number, limitBytes: limitBytes)
        } compress: { chunk throws(SyscallError) in
            guard let frame = zstdFrame(of: chunk, level: compressionLevel) else {
                throw SyscallError("compress", draft.string, errno: Errno.noMemory.rawValue)
            }
            return frame
        } write: { bytes throws(SyscallError) in
            try writeAll(bytes, to: target.number, subject: draft.string)
        }
        // It takes the place of something that is on the disk.
        try synchronize(target.number, subject: draft.string)
        return try fileStatus(of: target.number, subject: draft.string).sizeBytes
    }
}
