internal import LinuxSyscalls
internal import ShimProtocol
internal import Synchronization
internal import SystemPackage

/// What `DiskThread`'s own thread runs: the open log and what it holds back, the server that lines go to, and the copy.
final class DiskWriter {
    private let shared: DiskQueue
    private var log: LogFile?
    private var forwarder: LogForwarder?
    private var copy: JSONLogCopy?
    /// What could not be opened, and is tried again at that moment.
    private var missing: (server: LogConfiguration?, copy: LogConfiguration?) = (nil, nil)
    private var nextTry: Int64 = 0
    private static let retryNanoseconds: Int64 = 1_000_000_000
    /// Files that are written no more, until the server has what they hold.
    private var unsentRotated: [UInt64] = []
    private var stdout: SpoolReader?
    private var stderr: SpoolReader?
    /// What of the log's losses is counted already.
    private var reportedByteCount: UInt64 = 0

    init(_ shared: DiskQueue) { self.shared = shared }

    /// Works until the process ends.
    func run() {
        while true {
            let batch = shared.state.withLock { state in
                defer { state.jobs = [] }
                return state.jobs
            }
            if batch.isEmpty {
                // Blocks; can only fail for a descriptor that is none.
                _ = try? shared.work.take()
                continue
            }
            perform(batch)
        }
    }

    private func perform(_ batch: [QueuedJob]) {
        for queued in batch {
            // What is waited for sees everything before it on disk.
            if queued.reports { flush() }
            let problem = perform(queued.job)
            shared.state.withLock { state in
                state.queuedByteCount -= queued.job.outputByteCount
                if queued.reports { state.finished.append(FinishedJob(number: queued.number, problem: problem)) }
            }
            if queued.reports { shared.done.raise() }
        }
        flush()
        giveBackSpool()
        shared.done.raise()
    }

    /// What is in the log needs no place elsewhere.
    private func giveBackSpool() {
        guard let log else { return }
        let (before, kept) = shared.state.withLock { ($0.givenBack, $0.keptByteCount) }
        var after = before
        if let stdout { after.stdout = stdout.end(ofGivingBackUpTo: log.covered.stdout - min(kept, log.covered.stdout)) }
        if let stderr { after.stderr = stderr.end(ofGivingBackUpTo: log.covered.stderr - min(kept, log.covered.stderr)) }
        guard after != before else { return }
        shared.state.withLock { $0.givenBack = after }
        log.note(givenBack: after)
        stdout?.giveBack(upTo: after.stdout)
        stderr?.giveBack(upTo: after.stderr)
    }

    private func perform(_ job: DiskThread.Job) -> String? {
        do throws(SyscallError) {
            switch job {
            case .openLog(let configuration, let spools, let ends, let isNew):
                return isNew ? begin(configuration, spools, ends) : goOn(configuration, spools, ends)
            case .output(.stdout, let time, let count): stdout?.take(count, unixNanoseconds: time) { write($0, $1) }
            case .output(.stderr, let time, let count): stderr?.take(count, unixNanoseconds: time) { write($0, $1) }
            case .endOfStream(let stream, let time):
                if stream == .stdout { stdout?.finish(unixNanoseconds: time) { write($0, $1) } }
                if stream == .stderr { stderr?.finish(unixNanoseconds: time) { write($0, $1) } }
                log?.tellLoss(unixNanoseconds: time)
            case .dropped(let stream, let time, let byteCount):
                if stream == .stdout { stdout?.drop(byteCount, unixNanoseconds: time) { write($0, $1) } }
                if stream == .stderr { stderr?.drop(byteCount, unixNanoseconds: time) { write($0, $1) } }
            case .clearLog:
                try log?.clear()
                try copy?.clear()
            case .adoptPackedLog(let sequence): try log?.adoptPacked(sequence)
            case .writeDurably(let bytes, let path): try writeFileDurably(bytes, to: FilePath(path))
            case .add(let bytes, let file): try file.add(bytes)
            case .nothing: log?.tellLoss(unixNanoseconds: unixNanoseconds())
            case .rest:
                log?.releaseMemory()
                releaseUnusedStack()
            }
        } catch { return "\(error)" }
        return nil
    }

    /// For a container that is not there yet: whatever is wrong is its end.
    private func begin(_ configuration: LogConfiguration, _ spools: SpoolFiles, _ ends: StreamCounts) -> String? {
        do throws(SyscallError) { try connect(configuration, requiresServer: true) } catch {
            return "failed to initialize logging driver: \(error)"
        }
        do throws(SyscallError) {
            let opened = LogFile(configuration, progress: spools.progress)
            try opened.open()
            try openCopy(configuration)
            take(opened, spools, ends)
            return nil
        } catch { return "\(error)" }
    }

    /// For one that runs: whatever is wrong is reported, and tried again.
    private func goOn(_ configuration: LogConfiguration, _ spools: SpoolFiles, _ ends: StreamCounts) -> String? {
        var problems: [String] = []
        do throws(SyscallError) { try connect(configuration, requiresServer: false) } catch {
            missing.server = configuration
            problems.append("\(error)")
        }
        let opened = LogFile(configuration, progress: spools.progress)
        do throws(SyscallError) { try opened.open() } catch { problems.append("\(error)") }
        do throws(SyscallError) { try openCopy(configuration) } catch {
            missing.copy = configuration
            problems.append("\(error)")
        }
        take(opened, spools, ends)
        return problems.isEmpty ? nil : problems.joined(separator: "; ")
    }

    private func openMissing() {
        guard missing.server != nil || missing.copy != nil, monotonicNanoseconds() >= nextTry else { return }
        nextTry = monotonicNanoseconds() + Self.retryNanoseconds
        // What fails again was reported.
        if let server = missing.server, (try? connect(server, requiresServer: false)) != nil { missing.server = nil }
        if let copy = missing.copy, (try? openCopy(copy)) != nil { missing.copy = nil }
    }

    private func connect(_ configuration: LogConfiguration, requiresServer: Bool) throws(SyscallError) {
        let forwarder = try LogForwarder(configuration, requiresServer: requiresServer) { [shared] in shared.done.raise() }
        self.forwarder = forwarder
        shared.state.withLock { $0.forwarder = forwarder }
    }

    private func openCopy(_ configuration: LogConfiguration) throws(SyscallError) {
        if let target = configuration.delivery.jsonFile { copy = try JSONLogCopy(configuration, target) }
    }

    private func take(_ opened: LogFile, _ spools: SpoolFiles, _ ends: StreamCounts) {
        opened.willRotate = { [unowned self] log in copy?.follow(upTo: log.end) }
        log = opened
        let givenBack = shared.state.withLock { $0.givenBack }
        stdout = SpoolReader(.stdout, spools.stdout, from: opened.covered.stdout, heldFrom: givenBack.stdout)
        stderr = SpoolReader(.stderr, spools.stderr, from: opened.covered.stderr, heldFrom: givenBack.stderr)
        let now = unixNanoseconds()
        stdout?.take(upTo: ends.stdout, unixNanoseconds: now) { write($0, $1) }
        stderr?.take(upTo: ends.stderr, unixNanoseconds: now) { write($0, $1) }
    }

    private func write(_ record: LogRecord, _ coveredByteCount: UInt64) { log?.append(record, covering: coveredByteCount) }

    private func flush() {
        guard let log else { return }
        log.flush()
        openMissing()
        copy?.follow(upTo: log.end)
        forwarder?.wrote(upTo: log.end)
        noteRotated(log.takeRotated())
        let lost = log.lostByteCount - reportedByteCount
        guard lost > 0 else { return }
        reportedByteCount = log.lostByteCount
        shared.state.withLock { $0.droppedByteCount += lost }
    }

    /// Files are compressed once the server has them: it is sent what lies there as it is.
    private func noteRotated(_ sequences: [UInt64]) {
        unsentRotated += sequences
        if unsentRotated.isEmpty { return }
        let firstUnsent = missing.server == nil ? forwarder?.sequence ?? .max : 0
        let sent = unsentRotated.filter { $0 < firstUnsent }
        unsentRotated.removeAll { $0 < firstUnsent }
        if !sent.isEmpty { shared.state.withLock { $0.rotated += sent } }
    }
}
