internal import Archive
internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import Synchronization
internal import SystemPackage

/// The bytes of one log file, whether it lies there as it was written or compressed.
protocol LogContents: Sendable {
    /// Bytes of the log file now.
    func byteCount() throws(SyscallError) -> Int64
    /// At most `limitBytes` from a place on; empty at the end.
    func read(at offset: Int64, limitBytes: Int) throws(SyscallError) -> [UInt8]
}

/// A log file as it was, or is being, written.
final class PlainLog: LogContents {
    private let file: OwnedFD

    init(_ file: consuming OwnedFD) { self.file = file }

    func byteCount() throws(SyscallError) -> Int64 { try fileStatus(of: file.number).sizeBytes }

    func read(at offset: Int64, limitBytes: Int) throws(SyscallError) -> [UInt8] {
        try seek(file.number, to: offset)
        return try readChunk(file.number, limitBytes: limitBytes)
    }
}

/// A log file that is written no more, compressed: read by the frame, of which the last one is kept.
final class PackedLog: LogContents {
    private let file: OwnedFD
    private let path: String
    private let table: PackedLogTable
    private let cached = Mutex<(number: Int, bytes: [UInt8])?>(nil)

    /// - Throws: EBADMSG for a file without a table of ours.
    init(_ file: consuming OwnedFD, path: String) throws(SyscallError) {
        let size = try fileStatus(of: file.number).sizeBytes
        let footer = try Self.read(file.number, at: size - Int64(PackedLogTable.footerByteCount), PackedLogTable.footerByteCount, path)
        let count: Int
        do throws(WireError) { count = try PackedLogTable.byteCount(footer: footer) } catch { throw Self.damage(path, error) }
        let bytes = try Self.read(file.number, at: size - Int64(count), count, path)
        do throws(WireError) { table = try PackedLogTable(decoding: bytes, fileByteCount: UInt64(clamping: size)) } catch {
            throw Self.damage(path, error)
        }
        self.file = file
        self.path = path
    }

    private static func damage(_ path: String, _ problem: WireError) -> SyscallError {
        SyscallError("read", "\(path): \(problem)", errno: Errno.badMessage.rawValue)
    }

    func byteCount() throws(SyscallError) -> Int64 { Int64(clamping: table.byteCount) }

    func read(at offset: Int64, limitBytes: Int) throws(SyscallError) -> [UInt8] {
        guard offset >= 0, let number = table.frame(holding: UInt64(offset)) else { return [] }
        let content = try content(number)
        let start = Int(UInt64(offset) - table.frames[number].offset)
        var bytes = Array(content[start..<min(content.count, start + limitBytes)])
        // What is asked for may lie over two frames: whoever reads backwards counts on all of it.
        while bytes.count < limitBytes {
            let more = try read(at: offset + Int64(bytes.count), limitBytes: limitBytes - bytes.count)
            if more.isEmpty { break }
            bytes += more
        }
        return bytes
    }

    /// The first frame alone, which holds the file's header.
    func start() throws(SyscallError) -> [UInt8] { table.frames.isEmpty ? [] : try content(0) }

    private func content(_ number: Int) throws(SyscallError) -> [UInt8] {
        if let kept = cached.withLock({ $0 }), kept.number == number { return kept.bytes }
        let frame = table.frames[number]
        let packed = try Self.read(file.number, at: Int64(clamping: frame.packedOffset), frame.packedByteCount, path)
        let bytes: [UInt8]
        do throws(ArchiveError) { bytes = try ZstdFrame.decompress(packed, byteCount: frame.byteCount) } catch {
            throw SyscallError("read", "\(path): \(error)", errno: Errno.badMessage.rawValue)
        }
        cached.withLock { $0 = (number, bytes) }
        return bytes
    }

    private static func read(_ file: Int32, at offset: Int64, _ count: Int, _ path: String) throws(SyscallError) -> [UInt8] {
        try seek(file, to: max(0, offset))
        return try readChunk(file, limitBytes: count, subject: path)
    }
}
