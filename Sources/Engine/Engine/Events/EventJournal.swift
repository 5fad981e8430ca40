internal import Dispatch
internal import EngineAPI
internal import LinuxSyscalls
internal import Logging
internal import Synchronization
internal import SystemPackage

/// What happens in the engine: numbered, on disk, bounded, and read by everyone at a pace of their own.
///
/// Telling an event never waits for the disk: one queue writes what was told, in order. Listeners read the files, so that a slow one costs
/// no memory and misses nothing that is still there.
final class EventJournal: Sendable {
    /// What an event happens to.
    enum Subject: String, Sendable {
        case container, image, network, volume, daemon, builder
    }

    struct Limits: Sendable {
        /// A file that has grown to this is followed by a new one.
        var segmentBytes: Int64 = 4 << 20
        /// Files that are kept.
        var segmentCount = 64
        /// Events that may wait for a disk that stalls; what is told beyond is counted as lost.
        var pendingCount = 65_536
    }

    /// One event as it is kept.
    struct Entry: Sendable {
        /// Nanoseconds since 1970.
        var time: Int64
        var message: EventMessage
    }

    private struct State {
        var pending: [Entry] = []
        var isWriting = false
        /// Whether what was written will be flushed to the device.
        var isTimerSet = false
        var lostCount: UInt64 = 0
        var segments: [EventSegment]
        /// Settles when more was written.
        var change = OneShot<Void>()
    }

    let directory: FilePath
    private let limits: Limits
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
        if let newest = segments.popLast() {
            last = try SegmentFile(reopening: newest, in: directory)
        } else {
            last = try SegmentFile(creating: EventSegment(first: 1, newestBefore: 0), in: directory)
        }
        segments.append(last.segment)
        state = Mutex(State(segments: segments))
        file = Mutex(last)
    }

    // MARK: - Telling

    /// Tells an event.
    /// - Parameters:
    ///   - from: a container's image.
    ///   - moment: nanoseconds since 1970 of an event that is learned of later; nil is now.
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
            // Under the lock, so that times are in the order of events.
            let time = moment ?? Clock.unixNanoseconds
            message.time = time / 1_000_000_000
            message.timeNano = time
            state.pending.append(Entry(time: time, message: message))
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if startsWriting { queue.async { self.writePending() } }
    }

    /// Waits until all that was told is on the disk. Blocks.
    func close() {
        queue.sync {
            writePending()
            synchronizeFile()
        }
    }

    /// Runs on the queue.
    private func writePending() {
        while true {
            let (entries, lostCount) = state.withLock { state -> ([Entry], UInt64) in
                defer {
                    state.pending = []
                    state.lostCount = 0
                }
                if state.pending.isEmpty && state.lostCount == 0 { state.isWriting = false }
                return (state.pending, state.lostCount)
            }
            if entries.isEmpty && lostCount == 0 { return }
            write(entries + (lostCount == 0 ? [] : [Entry(lost: lostCount)]))
        }
    }

    private func write(_ entries: [Entry]) {
        let before = file.withLock { $0.segment }
        do throws(SyscallError) {
            let written = try file.withLock { file throws(SyscallError) in
                for entry in entries {
                    file.append(entry)
                    if file.byteCount >= limits.segmentBytes {
                        try file.flush()
                        try file.synchronize()
                        commit(file.segment)
                        file = try SegmentFile(creating: file.segment.next, in: directory)
                    }
                }
                try file.flush()
                return file.segment
            }
            commit(written)
            if before.first != written.first { removeOldest() }
            let startsTimer = state.withLock { state in
                defer { state.isTimerSet = true }
                return !state.isTimerSet
            }
            if startsTimer { queue.asyncAfter(deadline: .now() + .seconds(1)) { self.synchronizeFile() } }
        } catch {
            logger.error("\(entries.count) events are lost: \(error)")
            // What was written of them is cut off again, so that the next line begins a line.
            file.withLock { $0.forgetUnwritten() }
            state.withLock { $0.lostCount += UInt64(entries.count) }
        }
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

    private func removeOldest() {
        let old = state.withLock { state in
            let surplus = state.segments.prefix(max(0, state.segments.count - limits.segmentCount))
            state.segments.removeFirst(surplus.count)
            return surplus
        }
        for segment in old {
            do throws(SyscallError) { try removeFile(directory.appending(segment.fileName)) } catch { logger.error("\(error)") }
        }
    }

    private func synchronizeFile() {
        state.withLock { $0.isTimerSet = false }
        do throws(SyscallError) { try file.withLock { file throws(SyscallError) in try file.synchronize() } } catch {
            logger.error("\(error)")
        }
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

    /// The number of the next event.
    var end: UInt64 { state.withLock { $0.segments.last?.end ?? 1 } }

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
