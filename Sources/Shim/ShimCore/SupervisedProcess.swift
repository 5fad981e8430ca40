internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol

/// One process of the container, its first or an exec, from the wish for it to the report of its end.
final class SupervisedProcess {
    /// Where it is in its life.
    enum State {
        /// An exec that Start has not run yet.
        case noted
        /// The runtime makes it.
        case creating
        /// The container's first process, waiting for Start.
        case created(pid: Int32)
        /// The runtime starts it; an exec has no pid yet.
        case starting(pid: Int32?)
        case running(pid: Int32)
        /// It ended, and that was told.
        case stopped(ExitNotice)
        /// The runtime could not make it.
        case failed
    }

    /// Clients that wait for one process's end.
    static let maximumWaiterCount = 1024
    /// Clients that are attached to one process.
    static let maximumAttachmentCount = 1024

    /// Empty for the container's first process.
    let execID: String
    /// The id of an exec by which a shim behind a bridge knows it.
    var bridgedID = ""
    /// The exec's OCI process document, until it was handed to the runtime.
    private var specification: [UInt8]
    /// Input ends with the first attach client that leaves, or half-closes.
    let stdinOnce: Bool
    let stdio: ProcessStdio

    var state: State
    var startedAt: ProtobufTimestamp?
    /// When it was started, on the clock that nobody sets.
    var startedMonotonic: Int64 = 0
    /// With the pid this names it for good; 0 where that is not needed, or nobody could look in time.
    var startTimeTicks: UInt64 = 0
    /// The command of a health check.
    var isCheck = false
    /// Set where it was another shim's.
    var foreign: ForeignProcess?
    /// It ended while the runtime was at work on it, or its output is still being copied: not told yet.
    var heldExit: ReapedExit?
    private var settledWaiters: [() -> Void] = []
    private var attachments: [AttachSession] = [] {
        didSet { if oldValue.count != attachments.count { onAttachmentsChanged?(attachments.count) } }
    }
    var hasAttachments: Bool { !attachments.isEmpty }
    /// Called with how many clients are attached, each time that it changes.
    var onAttachmentsChanged: ((Int) -> Void)?
    private var waiters: [(call: ServerCall, answer: (ServerCall, ExitNotice) -> Void)] = []

    init(execID: String, stdio: ProcessStdio, specification: [UInt8] = [], stdinOnce: Bool, state: State) {
        self.execID = execID
        self.stdio = stdio
        self.specification = specification
        self.stdinOnce = stdinOnce
        self.state = state
    }

    /// 0 where there is none.
    var pid: Int32 {
        switch state {
        case .created(let pid), .running(let pid): pid
        case .starting(let pid): pid ?? 0
        case .stopped(let exit): Int32(bitPattern: exit.pid)
        case .noted, .creating, .failed: 0
        }
    }

    /// The process that a signal may be sent to; nil also when it has ended and not been told of.
    var livePID: Int32? {
        guard heldExit == nil else { return nil }
        switch state {
        case .created(let pid), .running(let pid): return pid
        case .starting(let pid): return pid
        case .noted, .creating, .stopped, .failed: return nil
        }
    }

    /// Sends a signal to it, whose `livePID` is not nil.
    func signal(_ number: Int32, pid: Int32) throws(SyscallError) {
        if let foreign { return try foreign.signal(number) }
        // It is our child and not reaped: the number cannot have become another process's.
        try sendSignal(number, toProcess: pid)
    }

    /// What another shim must know of it; nil while it was not started.
    var record: ProcessRecord? {
        guard let startedAt else { return nil }
        var record = ProcessRecord()
        record.execID = execID
        record.pid = UInt32(bitPattern: pid)
        record.startTimeTicks = startTimeTicks
        record.startedAt = startedAt
        record.startedMonotonic = UInt64(clamping: startedMonotonic)
        record.terminal = stdio.paths.terminal
        record.openStdin = stdio.attachableInput != nil
        record.exit = exit
        record.isCheck = isCheck
        record.attachmentCount = UInt32(clamping: attachments.count + stdio.absentCount)
        return record
    }

    var exit: ExitNotice? { if case .stopped(let exit) = state { exit } else { nil } }

    /// Nothing runs, and nothing will be told of it any more.
    var isSettled: Bool {
        switch state {
        case .noted, .stopped, .failed: true
        case .creating, .created, .starting, .running: false
        }
    }

    /// The state in a word, for refusals.
    var stateName: String {
        switch state {
        case .noted: "not started"
        case .creating: "being created"
        case .created: heldExit == nil ? "created" : "ending"
        case .starting: "being started"
        case .running: heldExit == nil ? "running" : "ending"
        case .stopped: "stopped"
        case .failed: "failed"
        }
    }

    var taskStatus: TaskStatus {
        switch state {
        case .noted, .creating, .created: .created
        case .starting, .running: .running
        case .stopped, .failed: .stopped
        }
    }

    var specificationByteCount: Int { specification.count }

    /// Gives the process document away.
    func takeSpecification() -> [UInt8] {
        defer { specification = [] }
        return specification
    }

    // MARK: - Who waits for its end

    /// Answers `call` when the process has ended and that may be told.
    func answerWhenStopped(_ call: ServerCall, _ answer: @escaping (ServerCall, ExitNotice) -> Void) {
        if let exit { return answer(call, exit) }
        if case .failed = state { return call.fail(ShimError(.wrongState, "wait for process \"\(execID)\"", cause: "it is failed")) }
        guard waiters.count < Self.maximumWaiterCount else {
            return call.fail(ShimError(.limitReached, "more than \(Self.maximumWaiterCount) waits for one process"))
        }
        waiters.append((call, answer))
        call.onClosed = { [self] in waiters.removeAll { $0.call.connection == nil } }
    }

    /// Calls `action` once nothing runs and that was told, or never will.
    func whenSettled(_ action: @escaping () -> Void) {
        if isSettled { action() } else { settledWaiters.append(action) }
    }

    /// Tells everyone who waits.
    func announce(_ exit: ExitNotice) {
        state = .stopped(exit)
        let told = waiters
        waiters = []
        for waiter in told { waiter.answer(waiter.call, exit) }
        endAttachments()
        notifySettled()
    }

    /// Lets go of everyone: the process will never run.
    func abandon(_ error: ShimError) {
        state = .failed
        let told = waiters
        waiters = []
        for waiter in told { waiter.call.fail(error) }
        for attachment in takeAttachments() { attachment.fail(error) }
        notifySettled()
    }

    private func notifySettled() {
        let actions = settledWaiters
        settledWaiters = []
        for action in actions { action() }
    }

    // MARK: - Attach clients

    /// Begins an attachment.
    func attach(_ request: AttachRequest, _ call: ServerCall) {
        guard attachments.count < Self.maximumAttachmentCount else {
            return call.fail(ShimError(.limitReached, "more than \(Self.maximumAttachmentCount) clients of one process"))
        }
        AttachSession.begin(request, call: call, process: self)
    }

    func add(_ attachment: AttachSession) {
        attachments.append(attachment)
        stdio.add(attachment, stdout: attachment.request.stdout, stderr: attachment.request.stderr)
        endAttachments()
    }

    func remove(_ attachment: AttachSession) {
        attachments.removeAll { $0 === attachment }
        stdio.remove(attachment)
    }

    /// Lets attach clients go once the end was told and all output was handed to them.
    private func endAttachments() {
        guard let exit, !attachments.isEmpty else { return }
        // Holds the process, which may be deleted, until its slowest client has all.
        guard stdio.hasEnded else { return stdio.whenEnded { [self] in endAttachments() } }
        for attachment in takeAttachments() { attachment.finish(exit) }
    }

    private func takeAttachments() -> [AttachSession] {
        let taken = attachments
        attachments = []
        for attachment in taken { stdio.remove(attachment) }
        return taken
    }
}
