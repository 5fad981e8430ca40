internal import EngineAPI
internal import LinuxSyscalls
internal import SystemPackage

/// One file of the journal: a line of heading, then a line for each event, `nanoseconds json`. One that is written no more lies there compressed,
/// under the same name.
///
///     APUSEVENTS 1 <number of the first event> <time of the newest event before>
struct EventSegment: Equatable, Sendable {
    /// What a file begins with; the number is the format's version.
    private static let heading = "APUSEVENTS 1"
    /// The longest heading.
    static let headingLimitBytes = 128

    /// The number of its first event.
    let first: UInt64
    /// The time of the newest event in all files before.
    private(set) var newestBefore: Int64
    /// Events in it.
    var count: UInt64 = 0
    /// The time of the newest event in this file and those before.
    var newest: Int64
    /// What the file takes on the disk.
    var byteCount: Int64 = 0
    var isPacked = false
    /// Something is wrong with the file: it is neither written on nor compressed, and what of it cannot be read is a gap.
    var isDamaged = false

    /// How far readers read in it: what stands behind that in the file that is written may be half a line, and be cut off again.
    var readableByteCount: Int64 { isPacked || isDamaged ? .max : byteCount }

    init(first: UInt64, newestBefore: Int64) {
        self.first = first
        self.newestBefore = newestBefore
        newest = newestBefore
    }

    /// The number behind its last event.
    var end: UInt64 { first + count }

    /// What follows it.
    var next: EventSegment { EventSegment(first: end, newestBefore: newest) }

    /// In the order of names, files are in the order of events.
    var fileName: String {
        let digits = String(first)
        return String(repeating: "0", count: max(0, 20 - digits.count)) + digits
    }

    var headingLine: String { "\(Self.heading) \(first) \(newestBefore)\n" }

    /// Every file of a journal, the oldest first. What is in the last one is not counted yet. A damaged one keeps its place, which its name tells.
    static func all(in directory: FilePath) throws(SyscallError) -> [EventSegment] {
        var found: [EventSegment] = []
        let names = try directoryEntries(of: try openFile(directory, [.readOnly, .directory]), subject: directory.string)
        for name in names.map(\.name.string).sorted() {
            guard let first = UInt64(name), first > 0, first < UInt64(Int64.max),
                EventSegment(first: first, newestBefore: 0).fileName == name, var segment = try EventSegment(finding: first, in: directory)
            else { continue }
            if var former = found.popLast() {
                // What the heading would say.
                if segment.isDamaged { segment.newestBefore = try EventPacking.counted(former, in: directory).newest }
                segment.newest = segment.newestBefore
                former.count = first - former.first
                former.newest = segment.newestBefore
                found.append(former)
            }
            found.append(segment)
        }
        return found
    }

    /// nil where a file was begun, and not even its heading was written.
    private init?(finding first: UInt64, in directory: FilePath) throws(SyscallError) {
        self.init(first: first, newestBefore: 0)
        let path = directory.appending(fileName)
        let file = try openFile(path, [.readOnly, .noFollow])
        byteCount = try fileStatus(of: file.number).sizeBytes
        let line: ArraySlice<UInt8>
        do throws(SyscallError) {
            let start = try readChunk(file.number, limitBytes: Self.headingLimitBytes)
            isPacked = EventPacking.isPacked(start)
            if !isPacked, byteCount < Self.headingLimitBytes, !start.contains(UInt8(ascii: "\n")) { return nil }
            line = isPacked ? try EventPacking.heading(of: file, path: path.string) : start.prefix { $0 != UInt8(ascii: "\n") }
        } catch {
            guard EventPacking.isOfFile(error) else { throw error }
            isDamaged = true
            return
        }
        let words = String(decoding: line, as: UTF8.self).split(separator: " ")
        guard words.count == 4, words.prefix(2).joined(separator: " ") == Self.heading, UInt64(words[2]) == first,
            let time = Int64(words[3])
        else {
            isDamaged = true
            return
        }
        (newestBefore, newest) = (time, time)
    }
}

/// The file that is written to.
struct SegmentFile: ~Copyable, Sendable {
    private(set) var segment: EventSegment
    /// Bytes of the file, those that wait included.
    var byteCount: Int64 { segment.byteCount }
    private let file: OwnedFD
    private let path: FilePath
    private var unwritten: [UInt8] = []
    private var isSynchronized = true
    /// As of the last `flush`.
    private var written: EventSegment

    init(creating segment: EventSegment, in directory: FilePath) throws(SyscallError) {
        let path = directory.appending(segment.fileName)
        let opened = try openFile(path, [.readWrite, .append, .create, .truncate, .noFollow], mode: 0o600)
        let heading = Array(segment.headingLine.utf8)
        try writeAll(heading, to: opened.number, subject: path.string)
        // Else events that were flushed to it could be gone with its name after a power cut.
        try LinuxSyscalls.synchronize(opened.number, subject: path.string)
        try synchronizeDirectory(directory)
        self.path = path
        file = opened
        var begun = segment
        begun.byteCount = Int64(heading.count)
        self.segment = begun
        written = begun
    }

    /// Counts what is there, and cuts off the last line where a crash left it half written.
    init(reopening found: EventSegment, in directory: FilePath) throws(SyscallError) {
        let path = directory.appending(found.fileName)
        let opened = try openFile(path, [.readWrite, .append, .noFollow])
        var segment = found
        var lines = EventLines()
        var end: Int64 = 0
        while true {
            let chunk = try readChunk(opened.number, limitBytes: 1 << 20)
            if chunk.isEmpty { break }
            for line in lines.take(chunk) {
                end += Int64(line.count) + 1
                guard let time = EventLines.time(of: line) else { continue }
                segment.count += 1
                segment.newest = max(segment.newest, time)
            }
        }
        if try fileStatus(of: opened.number).sizeBytes > end { try setSize(of: opened.number, bytes: end, subject: path.string) }
        // A daemon that was killed may have left lines that are only in memory: what is read here counts as told.
        try LinuxSyscalls.synchronize(opened.number, subject: path.string)
        self.path = path
        file = opened
        segment.byteCount = end
        self.segment = segment
        written = segment
    }

    /// Adds an event to what the next `flush` writes.
    mutating func append(_ entry: EventJournal.Entry) {
        // A message is made of strings and numbers: encoding it cannot fail.
        guard let json = try? EngineJSON.encode(entry.message) else { return }
        let line = Array("\(entry.time) ".utf8) + json
        unwritten += line
        segment.byteCount += Int64(line.count)
        segment.count += 1
        segment.newest = max(segment.newest, entry.time)
    }

    mutating func flush() throws(SyscallError) {
        if unwritten.isEmpty { return }
        try writeAll(unwritten, to: file.number, subject: path.string)
        unwritten = []
        isSynchronized = false
        written = segment
    }

    /// After a `flush` that failed: goes back to what was written before.
    mutating func forgetUnwritten() {
        unwritten = []
        segment = written
        // Where even this fails, a reader passes over the broken line.
        try? setSize(of: file.number, bytes: byteCount, subject: path.string)
    }

    mutating func synchronize() throws(SyscallError) {
        if isSynchronized { return }
        try LinuxSyscalls.synchronize(file.number, subject: path.string)
        isSynchronized = true
    }
}

/// Cuts bytes into lines.
struct EventLines: Sendable {
    private var rest: [UInt8] = []

    /// The lines that are whole with these bytes, without their line feeds.
    mutating func take(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        let all = rest.isEmpty ? bytes : rest + bytes
        var lines: [ArraySlice<UInt8>] = []
        var start = 0
        while let end = all[start...].firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(all[start..<end])
            start = end + 1
        }
        rest = Array(all[start...])
        return lines
    }

    /// The number that a line begins with; nil for a heading.
    static func time(of line: ArraySlice<UInt8>) -> Int64? {
        Int64(String(decoding: line.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self))
    }
}
