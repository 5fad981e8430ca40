internal import CoreTypes
package import EngineAPI
internal import LinuxSyscalls
internal import Synchronization
internal import SystemPackage

/// Which events a client wants.
package struct EventRequest: Sendable {
    /// Nanoseconds since 1970: from the first event that is not older; nil is from now on, or from the first one of all where there is an end.
    package var since: Int64?
    /// Nanoseconds since 1970 of the end; nil is none.
    package var until: Int64?
    /// The number of the first event that is wanted, whatever its time; events then carry their numbers.
    package var cursor: UInt64?
    package var filters = Filters()

    package init() {}
}

/// A client's listening to events. One task asks.
package final class EventSession: Sendable {
    private struct State {
        /// The next event to look at.
        var number: UInt64
        var reader: EventReader?
    }

    private let journal: EventJournal
    private let request: EventRequest
    private let filter: EventFilter
    private let state: Mutex<State>

    init(_ journal: EventJournal, _ request: EventRequest) {
        self.journal = journal
        self.request = request
        filter = EventFilter(request.filters)
        let first =
            if let cursor = request.cursor { min(max(cursor, 1), journal.end) } else if let since = request.since {
                journal.number(since: since)
            } else if request.until != nil { journal.number(since: 0) } else { journal.end }
        state = Mutex(State(number: first))
        journal.countListener()
    }

    deinit { journal.uncountListener() }

    /// The next events as JSON, a line each, at least one; nil when the time is over, or the task is cancelled.
    package func next() async throws(EngineError) -> [[UInt8]]? {
        while !Task.isCancelled {
            // Before reading, so that an end that comes meanwhile ends the next round.
            let isOver = request.until.map { $0 <= Clock.unixNanoseconds } ?? false
            switch journal.standing(of: state.withLock { $0.number }) {
            case .more(let segment):
                let lines = try await read(segment)
                if !lines.isEmpty { return lines }
            case .atEnd(let change):
                if isOver { return nil }
                var timeout: Duration?
                if let until = request.until {
                    let (rest, overflows) = until.subtractingReportingOverflow(Clock.unixNanoseconds)
                    timeout = overflows ? nil : .nanoseconds(max(0, rest))
                }
                _ = await change.value(within: timeout)
            }
        }
        return nil
    }

    /// Reads on. Nothing of what is read may be wanted.
    private func read(_ segment: EventSegment) async throws(EngineError) -> [[UInt8]] {
        let journal = journal
        let (number, known) = state.withLock { ($0.number, $0.reader) }
        let path = journal.directory.appending(segment.fileName)
        // What was wanted may be gone meanwhile.
        var lost = segment.first > number ? segment.first - number : 0
        let isGone = lost > 0
        let read = try await BlockingWork.run { () throws(EngineError) -> (EventReader, [EventReader.Entry])? in
            do throws(SyscallError) {
                var reader: EventReader
                if let known, known.segment == segment.first, !isGone {
                    reader = known
                } else {
                    reader = try EventReader(segment: segment.first, path: path)
                    try reader.skip(to: number, within: segment.readableByteCount)
                }
                let entries = try reader.next(before: segment.end, within: segment.readableByteCount)
                return (reader, entries)
            } catch {
                // Too old by now: where the journal does not tell of it any more, it tells what is there in its place.
                if error.errno == Errno.noSuchFileOrDirectory.rawValue, !journal.has(segment) { return nil }
                throw .system("read the events", error)
            }
        }
        guard let (reader, entries) = read else { return [] }
        let next = reader.number
        state.withLock { state in
            state.reader = reader
            // A file that is damaged, or shorter than was counted, must not hold anyone up.
            state.number = entries.isEmpty ? segment.end : next
        }
        // What lies before the place that the client is at, it has.
        if entries.isEmpty, segment.end > next { lost += segment.end - max(next, number) }
        var lines = entries.compactMap { entry in wanted(entry) ? line(entry) : nil }
        if lost > 0, let told = try? EngineJSON.encode(EventJournal.Entry(lost: lost).message) { lines.insert(told, at: 0) }
        return lines
    }

    private func wanted(_ entry: EventReader.Entry) -> Bool {
        if request.cursor == nil, let since = request.since, entry.time < since { return false }
        if let until = request.until, entry.time > until { return false }
        if filter.acceptsAll { return true }
        guard let message = try? EngineJSON.decode(EventMessage.self, from: Array(entry.json)) else { return false }
        return filter.accepts(message)
    }

    private func line(_ entry: EventReader.Entry) -> [UInt8] {
        let number = request.cursor == nil ? [] : Array("{\"cursor\":\(entry.number),".utf8)
        return number + (number.isEmpty ? entry.json : entry.json.dropFirst()) + [UInt8(ascii: "\n")]
    }
}

/// Reads one file of the journal in order.
struct EventReader: Sendable {
    /// Text of one batch: what is held in memory for one client.
    static let batchBytes = 65_536

    struct Entry: Sendable {
        let number: UInt64
        let time: Int64
        let json: ArraySlice<UInt8>
    }

    /// The number of the file's first event.
    let segment: UInt64
    /// The number of the next event.
    private(set) var number: UInt64
    /// nil where the file is damaged: nothing of it can be read.
    private let contents: (any LogContents)?
    private var offset: Int64 = 0
    private var lines = EventLines()
    private var waiting: ArraySlice<ArraySlice<UInt8>> = []

    init(segment: UInt64, path: FilePath) throws(SyscallError) {
        self.segment = segment
        number = segment
        do throws(SyscallError) { contents = try EventPacking.contents(path) } catch {
            guard error.isOfDamage else { throw error }
            contents = nil
        }
    }

    /// Passes over the events before one.
    /// - Parameter byteCount: what of the file is there to be read.
    mutating func skip(to wanted: UInt64, within byteCount: Int64) throws(SyscallError) {
        while number < wanted { if try next(before: wanted, within: byteCount).isEmpty { return } }
    }

    /// The next events, none with this number or a later one; empty at the end.
    mutating func next(before end: UInt64, within byteCount: Int64) throws(SyscallError) -> [Entry] {
        while true {
            var entries: [Entry] = []
            while number < end, let line = waiting.popFirst() {
                guard let time = EventLines.time(of: line) else { continue }
                entries.append(Entry(number: number, time: time, json: line.drop { $0 != UInt8(ascii: "{") }))
                number += 1
            }
            if !entries.isEmpty || number >= end { return entries }
            let bytes = try more(within: byteCount)
            if bytes.isEmpty { return [] }
            offset += Int64(bytes.count)
            waiting = lines.take(bytes)[...]
        }
    }

    /// The next bytes; empty at the end, and where a compressed file is damaged from here on.
    private func more(within byteCount: Int64) throws(SyscallError) -> [UInt8] {
        let limit = min(Int64(Self.batchBytes), byteCount - offset)
        if limit <= 0 { return [] }
        do throws(SyscallError) { return try contents?.read(at: offset, limitBytes: Int(limit)) ?? [] } catch {
            guard error.isOfDamage else { throw error }
            return []
        }
    }
}
