internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol
internal import Synchronization
internal import SystemPackage

/// A place in a log, in the files' order.
struct LogPlace: Equatable, Comparable, Sendable {
    /// The log file's number.
    var sequence: UInt64
    /// Where in it a record begins, or the file ends.
    var offset: UInt64

    static func < (one: LogPlace, other: LogPlace) -> Bool { (one.sequence, one.offset) < (other.sequence, other.offset) }
}

/// Sends a log's lines to a server, on a thread of its own that reads them from the log's files: a server that is away, or slow, holds up
/// neither the payload nor the log, and gets what it missed as long as the files are kept. What rotation removed is told there.
final class LogForwarder: Sendable {
    private struct State: Sendable {
        /// Up to where the log is on disk.
        var written = LogPlace(sequence: 0, offset: 0)
        /// Up to where it was sent.
        var sent = LogPlace(sequence: 0, offset: 0)
    }

    private let state = Mutex(State())
    private let work: EventCounter
    /// Called on the forwarder's thread each time that nothing is left to be sent.
    private let caughtUp: @Sendable () -> Void

    /// - Parameter requiresServer: refuses where the server is not there now.
    /// - Returns: nil where the log goes to no server.
    init?(_ log: LogConfiguration, requiresServer: Bool, caughtUp: @escaping @Sendable () -> Void) throws(SyscallError) {
        guard var server = LogServer(log.delivery) else { return nil }
        work = try EventCounter(blocking: true)
        self.caughtUp = caughtUp
        if requiresServer { try server.connect() }
        let start = try LogSentFile("\(log.path).sent")
        let paths = LogLimits.paths(of: log.path, fileCount: log.fileCount)
        if let place = start.read() { state.withLock { $0.sent = place } }
        let connected = server
        try startThread(named: "log sender") { [self] in LogSender(self, connected, paths, start).run() }
    }

    /// Whether nothing waits to be sent.
    var isCaughtUp: Bool { state.withLock { $0.sent >= $0.written } }

    /// The file that is being sent: those before it are needed no more.
    var sequence: UInt64 { state.withLock { $0.sent.sequence } }

    /// The log is on disk up to there.
    func wrote(upTo place: LogPlace) {
        let isNew = state.withLock { state in
            defer { state.written = place }
            return state.written != place
        }
        if isNew { work.raise() }
    }

    // MARK: - On the thread

    fileprivate var sent: LogPlace { state.withLock { $0.sent } }

    /// The number of the file that is written.
    fileprivate var writtenSequence: UInt64 { state.withLock { $0.written.sequence } }

    fileprivate func note(sent place: LogPlace) {
        let isCaughtUp = state.withLock { state in
            state.sent = place
            return place >= state.written
        }
        if isCaughtUp { caughtUp() }
    }

    /// Returns once something new is written. An eventfd of ours cannot fail.
    fileprivate func waitForWork() { _ = try? work.take() }
}

/// The thread's side: the file that is read, and the server.
private final class LogSender {
    private static let chunkByteCount = 65_536
    private static let firstPauseMilliseconds: Int32 = 50
    private static let longestPauseMilliseconds: Int32 = 5000

    private let forwarder: LogForwarder
    private var server: LogServer
    private let paths: [String]
    private let progress: LogSentFile
    private var place: LogPlace

    init(_ forwarder: LogForwarder, _ server: LogServer, _ paths: [String], _ progress: LogSentFile) {
        (self.forwarder, self.server, self.paths, self.progress) = (forwarder, server, paths, progress)
        place = forwarder.sent
    }

    /// Works until the process ends.
    func run() {
        while true {
            if let file = nextFile() { send(file) } else { forwarder.waitForWork() }
        }
    }

    /// The file that was being sent, or the oldest one after it.
    private func nextFile() -> (file: Descriptor, header: LogFileHeader)? {
        var found: (file: Descriptor, header: LogFileHeader)?
        for path in paths {
            // Not there, or being begun: looked for again when more is written.
            guard let opened = try? Descriptor(openFile(FilePath(path), [.readOnly, .noFollow])),
                let bytes = try? readChunk(opened.number, at: 0, limitBytes: LogFileHeader.byteCount),
                let header = try? LogFileHeader(decoding: bytes), header.sequence >= place.sequence
            else { continue }
            if header.sequence < found?.header.sequence ?? .max { found = (opened, header) }
        }
        guard let found, found.header.sequence > place.sequence else { return found }
        if place.sequence > 0 && found.header.sequence > place.sequence + 1 { tellGap(to: found.header.sequence) }
        advance(to: LogPlace(sequence: found.header.sequence, offset: UInt64(LogFileHeader.byteCount)))
        return found
    }

    private func tellGap(to sequence: UInt64) {
        let text = Array("[apus: output of \(sequence - place.sequence - 1) log files was not sent: they were gone by then]".utf8)
        deliver(LogRecord(unixNanoseconds: unixNanoseconds(), stream: .stderr, isPartial: false, text: text[...]))
    }

    /// Sends a file from the place on, until it is written no more and all of it was sent.
    private func send(_ opened: (file: Descriptor, header: LogFileHeader)) {
        var decoder = LogDecoder(header: opened.header, at: max(place.offset, UInt64(LogFileHeader.byteCount)))
        while true {
            // Looked at first: what was in this file when the next one was there is all of it.
            let isLast = forwarder.writtenSequence <= place.sequence
            // What cannot be read now is tried again when more is written.
            guard let chunk = try? readChunk(opened.file.number, at: decoder.takenByteCount, limitBytes: Self.chunkByteCount) else {
                return forwarder.waitForWork()
            }
            if chunk.isEmpty {
                // Beyond the last record there is nothing to be sent, torn or not.
                guard isLast else { return advance(to: LogPlace(sequence: place.sequence + 1, offset: UInt64(LogFileHeader.byteCount))) }
                forwarder.waitForWork()
                continue
            }
            decoder.append(chunk)
            do throws(WireError) {
                while let record = try decoder.next() {
                    deliver(record)
                    advance(to: LogPlace(sequence: place.sequence, offset: decoder.validByteCount))
                }
            } catch {
                // Damaged: the rest cannot be told apart.
                return advance(to: LogPlace(sequence: place.sequence + 1, offset: UInt64(LogFileHeader.byteCount)))
            }
        }
    }

    private func advance(to place: LogPlace) {
        self.place = place
        progress.write(place)
        forwarder.note(sent: place)
    }

    /// Returns once the server has taken the record.
    private func deliver(_ record: LogRecord) {
        let message = server.message(of: record)
        var pause = Self.firstPauseMilliseconds
        while true {
            do throws(SyscallError) { return try server.send(message) } catch {}
            // Nothing is waited for but the time.
            _ = try? waitUntilReadable([], timeoutMilliseconds: pause)
            pause = min(pause * 2, Self.longestPauseMilliseconds)
        }
    }
}

/// The file beside the log that says how far it was sent: version 1, the log file's number, and a place in it, each a little-endian number of
/// eight bytes.
final class LogSentFile: Sendable {
    private static let version: UInt64 = 1
    private static let byteCount = 24

    private let descriptor: OwnedFD

    init(_ path: String) throws(SyscallError) {
        descriptor = try openFile(FilePath(path), [.readWrite, .create, .noFollow], mode: 0o600)
    }

    /// nil where nothing was sent yet.
    func read() -> LogPlace? {
        guard let bytes = try? readChunk(descriptor.number, at: 0, limitBytes: Self.byteCount), bytes.count == Self.byteCount else {
            return nil
        }
        let numbers = bytes.littleEndianNumbers
        return numbers[0] == Self.version ? LogPlace(sequence: numbers[1], offset: numbers[2]) : nil
    }

    /// One write into one page. Where the disk refuses it, lines are sent twice after a crash.
    func write(_ place: LogPlace) {
        try? writeAll([Self.version, place.sequence, place.offset].littleEndianBytes.span, at: 0, to: descriptor.number)
    }
}
