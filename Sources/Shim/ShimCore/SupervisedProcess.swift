internal import LinuxSyscalls
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

    /// Empty for the container's first process.
    let execID: String
    let stdioPaths: StdioPaths
    /// The exec's OCI process document.
    let specification: [UInt8]
    /// Input ends with the first attach client that sent some.
    let stdinOnce: Bool
    let plan: ProcessStdio.Plan

    var state: State
    var stdio: ProcessStdio?
    var startedAt: ProtobufTimestamp?
    /// It ended while the runtime was at work on it, or its output is still being copied: not told yet.
    var heldExit: ReapedExit?
    /// Called once, when its end was told.
    var onStopped: (() -> Void)?
    private(set) var attachments: [AttachSession] = []
    private var waiters: [(call: ServerCall, answer: (ServerCall, ExitNotice) -> Void)] = []

    init(
        execID: String, stdioPaths: StdioPaths, specification: [UInt8] = [], plan: ProcessStdio.Plan, stdinOnce: Bool,
        state: State
    ) {
        self.execID = execID
        self.stdioPaths = stdioPaths
        self.specification = specification
        self.plan = plan
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

    var exit: ExitNotice? { if case .stopped(let exit) = state { exit } else { nil } }

    /// Attach clients can have its streams.
    var isAttachable: Bool { if case .attach = plan { true } else { false } }

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

    /// Answers `call` when the process has ended and that may be told.
    func answerWhenStopped(_ call: ServerCall, _ answer: @escaping (ServerCall, ExitNotice) -> Void) {
        if let exit { return answer(call, exit) }
        guard waiters.count < Self.maximumWaiterCount else {
            return call.fail(ShimError(.limitReached, "more than \(Self.maximumWaiterCount) waits for one process"))
        }
        waiters.append((call, answer))
        call.onClosed = { [unowned self] in waiters.removeAll { $0.call.connection == nil } }
    }

    /// Tells everyone who waits.
    func announce(_ exit: ExitNotice) {
        state = .stopped(exit)
        let told = waiters
        waiters = []
        for waiter in told { waiter.answer(waiter.call, exit) }
        endAttachments()
        let action = onStopped
        onStopped = nil
        action?()
    }

    func add(_ attachment: AttachSession) {
        attachments.append(attachment)
        stdio?.add(attachment, stdout: attachment.request.stdout, stderr: attachment.request.stderr)
        endAttachments()
    }

    func remove(_ attachment: AttachSession) {
        attachments.removeAll { $0 === attachment }
        stdio?.remove(attachment)
    }

    /// Begins to copy for those who attached before there was anything to copy.
    func connectAttachments() {
        for attachment in attachments {
            stdio?.add(attachment, stdout: attachment.request.stdout, stderr: attachment.request.stderr)
        }
    }

    /// Lets attach clients go once the end was told and all output was handed to them.
    func endAttachments() {
        guard let exit, !attachments.isEmpty else { return }
        guard let stdio, !stdio.hasEnded else {
            let ended = attachments
            attachments = []
            for attachment in ended { attachment.finish(exit) }
            return
        }
        stdio.whenEnded { [weak self] in self?.endAttachments() }
    }

    /// Lets go of everyone: the process will never run.
    func abandon(_ error: ShimError) {
        state = .failed
        let (calls, ended) = (waiters, attachments)
        waiters = []
        attachments = []
        for waiter in calls { waiter.call.fail(error) }
        for attachment in ended { attachment.fail(error) }
    }
}
