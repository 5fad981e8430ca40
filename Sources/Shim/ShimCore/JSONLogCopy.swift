internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import SystemPackage

/// The copy of a log for programs that read Docker's json-file, in files that are as large and as many as the log's own.
///
/// It is made of the log's files, by the thread that writes them and once they are on disk, and what it has is noted beside it: so each record
/// is in it once, whenever the shim is killed.
final class JSONLogCopy {
    private static let chunkByteCount = 65_536

    private let log: LogConfiguration
    private let path: String
    private let lines: JSONLogLines
    private let note: JSONCopyNote
    private var file: OwnedFD
    private var inode: UInt64 = 0
    /// Bytes of whole lines in the file.
    private var byteCount: UInt64 = 0
    /// Up to where the log was read, and up to where it is in the copy.
    private var place: LogPlace
    private var written: LogPlace
    /// The log's file that is read, and its number.
    private var source: OwnedFD?
    private var sourceSequence: UInt64 = 0
    /// Lines between the two.
    private var gathered: [UInt8] = []

    /// Opens the copy, or begins it; what a killed shim wrote and did not note is cut off, and comes again.
    init(_ log: LogConfiguration, _ target: JSONFileTarget) throws(SyscallError) {
        (self.log, path) = (log, target.path)
        lines = JSONLogLines(attributes: target.attributes)
        note = try JSONCopyNote("\(log.path).copied")
        file = try Self.open(target.path)
        let known = note.read()
        place = known?.place ?? LogPlace(sequence: 0, offset: 0)
        written = place
        let status = try fileStatus(of: file.number, subject: target.path)
        (inode, byteCount) = (status.inode, UInt64(clamping: status.sizeBytes))
        if let known, known.inode == inode, known.byteCount < byteCount {
            try setSize(of: file.number, bytes: Int64(clamping: known.byteCount), subject: target.path)
            byteCount = known.byteCount
        }
        noteState()
    }

    /// Copies what is in the log up to there. What the disk refuses is tried again the next time, as long as the log has it.
    func follow(upTo end: LogPlace) {
        guard place < end else { return }
        do throws(SyscallError) {
            try meetOthers()
            while place < end, try openSource() {
                try copySource()
                // A file that is followed by another one is written no more.
                guard sourceSequence < end.sequence else { return }
                place = LogPlace(sequence: sourceSequence + 1, offset: UInt64(LogFileHeader.byteCount))
            }
        } catch {
            (gathered, place) = ([], written)
            // Half a line is no line; without this it is cut off by its size when more comes.
            try? setSize(of: file.number, bytes: Int64(clamping: byteCount))
        }
    }

    /// Whoever empties the file, or takes it away, wants the next lines in one that is there.
    private func meetOthers() throws(SyscallError) {
        let status = try fileStatus(of: file.number, subject: path)
        byteCount = min(byteCount, UInt64(clamping: status.sizeBytes))
        if status.linkCount == 0 { try begin() }
    }

    /// The file that was being read, or the oldest one after it. - Returns: false where there is none.
    private func openSource() throws(SyscallError) -> Bool {
        if source != nil, sourceSequence == place.sequence { return true }
        source = nil
        for path in LogLimits.paths(of: log.path, fileCount: log.fileCount).reversed() {
            guard let opened = try? openFile(FilePath(path), [.readOnly, .noFollow]),
                let bytes = try? readChunk(opened.number, at: 0, limitBytes: LogFileHeader.byteCount),
                let header = try? LogFileHeader(decoding: bytes), header.sequence >= place.sequence
            else { continue }
            source = consume opened
            sourceSequence = header.sequence
            if header.sequence > place.sequence {
                place = LogPlace(sequence: header.sequence, offset: UInt64(LogFileHeader.byteCount))
            }
            return true
        }
        return false
    }

    private func copySource() throws(SyscallError) {
        guard let number = source?.number else { return }
        var decoder = LogDecoder(
            header: LogFileHeader(sequence: sourceSequence), at: max(place.offset, UInt64(LogFileHeader.byteCount)))
        while true {
            let chunk = try readChunk(number, at: decoder.takenByteCount, limitBytes: Self.chunkByteCount, subject: log.path)
            if chunk.isEmpty { return }
            decoder.append(chunk)
            // Beyond a damaged record nothing can be told apart.
            while let record = try? decoder.next() {
                let before = gathered.count
                lines.append(record, to: &gathered)
                let total = byteCount + UInt64(gathered.count)
                if total > log.fileByteLimit, byteCount > 0 || before > 0 { try rotate(keeping: before) }
                place = LogPlace(sequence: sourceSequence, offset: decoder.validByteCount)
            }
            try write()
        }
    }

    /// Begins the next file with the line that did not fit into this one.
    private func rotate(keeping count: Int) throws(SyscallError) {
        let line = Array(gathered[count...])
        gathered.removeSubrange(count...)
        try write()
        let paths = LogLimits.paths(of: path, fileCount: log.fileCount).map { FilePath($0) }
        for (newer, older) in zip(paths, paths.dropFirst()).reversed() {
            do { try renameFile(newer, to: older) } catch  where error.isMissing {}
        }
        if paths.count == 1 { do throws(SyscallError) { try removeFile(paths[0]) } catch  where error.isMissing {} }
        try begin()
        gathered = line
    }

    private func write() throws(SyscallError) {
        try writeAll(gathered, to: file.number, subject: path)
        byteCount += UInt64(gathered.count)
        (gathered, written) = ([], place)
        noteState()
    }

    private func noteState() { note.write(JSONCopyNote.Content(place: written, inode: inode, byteCount: byteCount)) }

    private func begin() throws(SyscallError) {
        file = try Self.open(path)
        inode = try fileStatus(of: file.number, subject: path).inode
        byteCount = 0
        noteState()
    }

    /// Removes what was copied so far.
    func clear() throws(SyscallError) {
        for path in LogLimits.paths(of: path, fileCount: log.fileCount).reversed() {
            do { try removeFile(FilePath(path)) } catch  where error.isMissing {}
        }
        source = nil
        try begin()
    }

    private static func open(_ path: String) throws(SyscallError) -> OwnedFD {
        try openFile(FilePath(path), [.writeOnly, .create, .append, .noFollow], mode: 0o640)
    }
}

/// The file beside the log that says how far it was copied: version 1, the log file's number, a place in it, the copy's inode and its length,
/// each a little-endian number of eight bytes.
private final class JSONCopyNote {
    struct Content {
        var place: LogPlace
        var inode: UInt64
        var byteCount: UInt64
    }

    private static let version: UInt64 = 1
    private static let byteCount = 40

    private let descriptor: OwnedFD

    init(_ path: String) throws(SyscallError) {
        descriptor = try openFile(FilePath(path), [.readWrite, .create, .noFollow], mode: 0o600)
    }

    /// nil where nothing was copied yet.
    func read() -> Content? {
        guard let bytes = try? readChunk(descriptor.number, at: 0, limitBytes: Self.byteCount), bytes.count == Self.byteCount else {
            return nil
        }
        let numbers = bytes.littleEndianNumbers
        guard numbers[0] == Self.version else { return nil }
        return Content(place: LogPlace(sequence: numbers[1], offset: numbers[2]), inode: numbers[3], byteCount: numbers[4])
    }

    /// One write into one page.
    func write(_ content: Content) {
        let numbers = [Self.version, content.place.sequence, content.place.offset, content.inode, content.byteCount]
        try? writeAll(numbers.littleEndianBytes.span, at: 0, to: descriptor.number)
    }
}
