internal import Dispatch
internal import EngineAPI
internal import LinuxSyscalls
internal import Logging
internal import Synchronization
internal import SystemPackage

/// What happens in the engine: numbered, on disk, bounded, and read by everyone at a pace of their own.
///
/// Telling an event never waits for the disk: one queue writes what was told, in order. What a full disk refuses waits in memory and is
/// tried again each second. Listeners read the files, so that a slow one costs no memory and misses nothing that is still there.
final class EventJournal: Sendable {
    /// What an event happens to.
    enum Subject: String, Sendable {
        case container, image, network, volume, daemon, builder
    }

    struct Limits: Sendable {
        /// A file that has grown to this is followed by a new one.
        var segmentBytes: Int64 = 4 << 20
        /// What all files but the newest may take on the disk, compressed as they are: of what a million events take a small part.
        var byteCount: Int64 = 256 << 20
        /// Files that are kept.
        var segmentCount = 4096
        /// Events that may wait for a disk that stalls or is full; what is told beyond is counted as lost.
        var pendingCount = 65_536
        /// How far behind the number that it was noted at an event is looked for: what waited for the disk then was told before it, and what was told
        /// while it was noted.
        var soughtCount: UInt64 = 262_144
        /// How long after it what was written is flushed to the device.
        var synchronizationDelaySeconds = 1
        /// Events that are written at once, and so what an attempt on a full disk costs.
        var batchCount = 1024
    }

    /// One event as it is kept.
    struct Entry: Sendable {
        /// Nanoseconds since 1970.
        var time: Int64
        var message: EventMessage
    }

    /// What is written at once.
    private struct Batch {
        var entries: [Entry]
        /// Events that are missing behind them.
        var lostCount: UInt64 = 0

        var isEmpty: Bool { entries.isEmpty && lostCount == 0 }
        var lines: [Entry] { lostCount == 0 ? entries : entries + [Entry(lost: lostCount)] }

        /// Takes as many lines away.
        mutating func removeFirst(_ count: Int) {
            if count > entries.count { lostCount = 0 }
            entries.removeFirst(min(count, entries.count))
        }
    }

    private enum Writer {
        case idle, writing
        /// The last attempt failed; the next one comes by itself.
        case waiting
    }

    private struct State {
        var pending: [Entry] = []
        var writer = Writer.idle
        /// Whether what was written will be flushed to the device.
        var isTimerSet = false
        /// Events that were told and not lost.
        var toldCount: UInt64 = 0
        /// Those of them that are on the device for good.
        var durableCount: UInt64 = 0
        var lostCount: UInt64 = 0
        var segments: [EventSegment]
        /// Clients that listen.
        var listenerCount = 0
        /// Settles when more was written.
        var change = OneShot<Void>()
    }

    let directory: FilePath
    let limits: Limits
    private let logger: Logger
    private let state: Mutex<State>
    private let file: Mutex<SegmentFile>
    private let queue = DispatchQueue(label: "event journal")

    /// Opens what former daemons left. Blocks.
    init(openingAt directory: FilePath, limits: Limits = Limits(), logger: Logger) throws(SyscallError) {
        self.directory = directory
        self.limits = limits
        self.logger = logger
        try makeDirectories(directory, mode: 0o700)
        var segments = try EventSegment.all(in: directory)
        let last: SegmentFile
        if let newest = segments.last, newest.isPacked || newest.isDamaged {
            // The one behind it was taken away, or this one cannot be written on.
            var counted = try EventPacking.counted(newest, in: directory)
            // Nothing of it can be read. With its number the next one would have its name.
            counted.count = max(counted.count, 1)
            segments[segments.count - 1] = counted
            last = try SegmentFile(creating: counted.next, in: directory)
        } else if let newest = segments.popLast() {
            last = try SegmentFile(reopening: newest, in: directory)
        } else {
            last = try SegmentFile(creating: EventSegment(first: 1, newestBefore: 0), in: directory)
        }
        segments.append(last.segment)
        state = Mutex(State(segments: segments))
        file = Mutex(last)
        // What a daemon of before left as it was, or was killed before it was compressed.
        queue.async { self.packOneByOne() }
    }

    // MARK: - Telling

    /// Tells an event.
    /// - Parameters:
    ///   - from: a container's image.
    ///   - moment: nanoseconds since 1970 of an event that is learned of later, or noted before it is told; nil is now.
    func publish(
        _ subject: Subject, _ action: String, id: String, attributes: [String: String], from: String = "", at moment: Int64? = nil
    ) {
        var message = EventMessage()
        // What the oldest clients read; only events of their days have it.
        if subject == .container || subject == .image {
            message.status = action
            message.id = id
            message.from = from
        }
        message.type = subject.rawValue
        message.action = action
        message.actor.id = id
        message.actor.attributes = attributes
        message.scope = "local"
        let startsWriting = state.withLock { state -> Bool in
            guard state.pending.count < limits.pendingCount else {
                state.lostCount += 1
                return false
            }
            // Under the lock, so that events without a moment of their own are in the order of their times as far as the clock goes forward.
            // Others stand where they are told: readers look at the time of each.
            let time = moment ?? Clock.unixNanoseconds
            message.time = time / 1_000_000_000
            message.timeNano = time
            state.pending.append(Entry(time: time, message: message))
            state.toldCount += 1
            guard state.writer == .idle else { return false }
            state.writer = .writing
            return true
        }
        if startsWriting { queue.async { self.writePending() } }
    }

    /// Waits until all that was told is on the disk, or the disk refuses it. Blocks.
    func close() {
        queue.sync {
            writePending()
            synchronizeFile()
            let lostCount = state.withLock { UInt64($0.pending.count) + $0.lostCount }
            if lostCount > 0 { logger.error("\(lostCount) events are lost: \(directory) did not take them") }
        }
    }

    /// Runs on the queue.
    private func writePending() {
        while let batch = takeBatch() {
            let refused = write(batch)
            if refused.isEmpty { continue }
            state.withLock { state in
                state.pending.insert(contentsOf: refused.entries, at: 0)
                state.lostCount += refused.lostCount
                state.writer = .waiting
            }
            queue.asyncAfter(deadline: .now() + .seconds(1)) { self.writePending() }
            return
        }
    }

    /// What is written next; nil where nothing waits.
    private func takeBatch() -> Batch? {
        state.withLock { state in
            var batch = Batch(entries: Array(state.pending.prefix(limits.batchCount)))
            state.pending.removeFirst(batch.entries.count)
            // What is missing is missing behind all that waits.
            if state.pending.isEmpty { swap(&batch.lostCount, &state.lostCount) }
            if batch.isEmpty { state.writer = .idle }
            return batch.isEmpty ? nil : batch
        }
    }

    /// Writes a batch, and returns what of it the disk refused.
    private func write(_ batch: Batch) -> Batch {
        var rest = batch
        let before = file.withLock { $0.segment }
        do throws(SyscallError) {
            try file.withLock { file throws(SyscallError) in
                while !rest.isEmpty {
                    if file.byteCount >= limits.segmentBytes {
                        try file.synchronize()
                        file = try SegmentFile(creating: file.segment.next, in: directory)
                    }
                    let lines = rest.lines
                    let count = lines.firstIndex { line in
                        file.append(line)
                        return file.byteCount >= limits.segmentBytes
                    }.map { $0 + 1 }
                    try file.flush()
                    commit(file.segment)
                    rest.removeFirst(count ?? lines.count)
                }
            }
            if state.withLock({ $0.writer == .waiting }) { logger.notice("events are written again") }
            state.withLock { $0.writer = .writing }
        } catch {
            // What was written of them is cut off again, so that the next line begins a line.
            file.withLock { $0.forgetUnwritten() }
            if state.withLock({ $0.writer != .waiting }) { logger.error("events wait in memory: \(error)") }
        }
        if before.first != file.withLock({ $0.segment.first }) {
            for segment in packable where !pack(segment) { break }
            removeOldest()
        }
        let startsTimer = state.withLock { state in
            defer { state.isTimerSet = true }
            return !state.isTimerSet
        }
        if startsTimer { queue.asyncAfter(deadline: .now() + .seconds(limits.synchronizationDelaySeconds)) { self.synchronizeFile() } }
        return rest
    }

    private func commit(_ segment: EventSegment) {
        let change = state.withLock { state in
            if state.segments.last?.first == segment.first { state.segments.removeLast() }
            state.segments.append(segment)
            defer { state.change = OneShot() }
            return state.change
        }
        change.settle(())
    }

    /// Files that are written no more, and lie there as they were written.
    private var packable: [EventSegment] { state.withLock { $0.segments.dropLast().filter { !$0.isPacked && !$0.isDamaged } } }

    /// Compresses such a file. Runs on the queue. - Returns: whether to go on with the next one.
    private func pack(_ segment: EventSegment) -> Bool {
        let note = { (change: (inout EventSegment) -> Void) in
            self.state.withLock { state in
                if let place = state.segments.lastIndex(where: { $0.first == segment.first }) { change(&state.segments[place]) }
            }
        }
        do throws(SyscallError) {
            let byteCount = try EventPacking.pack(segment, in: directory)
            note { ($0.isPacked, $0.byteCount) = (true, byteCount) }
            return true
        } catch {
            logger.error("compress events: \(error)")
            // It stays as it is, which is only larger, until the next file is full.
            if EventPacking.isOfWant(error) { return false }
            // Nothing is wrong with those behind it.
            note { $0.isDamaged = true }
            return true
        }
    }

    /// Lets what is told meanwhile be written in between.
    private func packOneByOne() {
        if let segment = packable.first, pack(segment) { queue.async { self.packOneByOne() } }
    }

    private func removeOldest() {
        let old = state.withLock { state in
            var (count, byteCount) = (0, state.segments.dropLast().reduce(0) { $0 + $1.byteCount })
            while count < state.segments.count - 1, byteCount > limits.byteCount || state.segments.count - count > limits.segmentCount {
                byteCount -= state.segments[count].byteCount
                count += 1
            }
            let surplus = state.segments.prefix(count)
            state.segments.removeFirst(count)
            return surplus
        }
        for segment in old {
            do throws(SyscallError) { try removeFile(directory.appending(segment.fileName)) } catch { logger.error("\(error)") }
        }
    }

    /// Runs on the queue, on which nothing is being written then.
    private func synchronizeFile() {
        let writtenCount = state.withLock { state in
            state.isTimerSet = false
            return state.toldCount - UInt64(state.pending.count)
        }
        do throws(SyscallError) {
            try file.withLock { file throws(SyscallError) in try file.synchronize() }
            state.withLock { $0.durableCount = writtenCount }
        } catch { logger.error("\(error)") }
    }

    // MARK: - Reading

    /// Where a reader stands towards what is written.
    enum Standing: Sendable {
        /// More is there: in this file, or from there on where what the reader wants is gone.
        case more(EventSegment)
        /// All is read; settles when there is more.
        case atEnd(OneShot<Void>)
    }

    func standing(of number: UInt64) -> Standing {
        state.withLock { state in
            guard let last = state.segments.last, number < last.end else { return .atEnd(state.change) }
            return .more(state.segments.first { number < $0.end } ?? last)
        }
    }

    /// How many events were told since it was opened: right after an event was told, what `durableCount` reaches when the event is there for good.
    var toldCount: UInt64 { state.withLock { $0.toldCount } }

    /// How many of them, the first ones, no loss of power takes away any more.
    var durableCount: UInt64 { state.withLock { $0.durableCount } }

    /// Clients that listen now.
    var listenerCount: Int { state.withLock { $0.listenerCount } }

    func countListener() { state.withLock { $0.listenerCount += 1 } }

    func uncountListener() { state.withLock { $0.listenerCount -= 1 } }

    /// Whether a file is kept still.
    func has(_ segment: EventSegment) -> Bool { state.withLock { $0.segments.contains { $0.first == segment.first } } }

    /// The number of the next event that is written.
    var end: UInt64 { bounds.end }

    /// The number of the first event that is kept, and the one behind the last.
    var bounds: (first: UInt64, end: UInt64) { state.withLock { ($0.segments.first?.first ?? 1, $0.segments.last?.end ?? 1) } }

    /// The number of an event before which none is as young as `moment`.
    func number(since moment: Int64) -> UInt64 {
        state.withLock { state in (state.segments.first { $0.newest >= moment } ?? state.segments.last)?.first ?? 1 }
    }
}

extension EventJournal.Entry {
    /// Says that events are missing here.
    init(lost count: UInt64) {
        time = Clock.unixNanoseconds
        message = EventMessage()
        message.type = EventJournal.Subject.daemon.rawValue
        message.action = "events_lost"
        message.actor.attributes = ["count": "\(count)"]
        message.scope = "local"
        message.time = time / 1_000_000_000
        message.timeNano = time
    }
}
