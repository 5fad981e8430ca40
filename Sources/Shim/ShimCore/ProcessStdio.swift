internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// A process's standard input and output, from the shim's side: there before the process is, so that clients can come first.
final class ProcessStdio {
    /// Where input comes from and output goes to.
    enum Plan {
        /// To attach clients, and to the log when there is one.
        case attach(openStdin: Bool, log: DiskThread?)
        /// FIFOs of containerd's client, or where else it says. A process that others outlive does not have the FIFOs itself: a client reads until
        /// nobody has them any more.
        case files(outlived: Bool)
    }

    private struct Client {
        let sink: any OutputSink
        let stdout: Bool
        let stderr: Bool

        func wants(_ stream: LogRecord.Stream) -> Bool { stream == .stdout ? stdout : stderr }
    }

    let paths: StdioPaths
    private let context: ShimContext
    private var loop: EventLoop { context.loop }
    private let plan: Plan
    /// nil where input is /dev/null or a FIFO that the process reads itself.
    private let input: InputPump?
    private var inputSource: FIFOSource?
    /// Keeps a FIFO's reader, the payload, from the end of input until CloseIO.
    private var inputKeeper: Descriptor?
    private var outputs: [OutputPump] = []
    private var clients: [Client] = []
    private var master: Descriptor?
    private var stage: TerminalStage?
    /// Where output goes to a program.
    private var logger: LoggingProgram?
    /// Where it goes to files.
    private var files: [FileSink] = []
    /// FIFOs that it is copied to.
    private var fifos: [FIFOSink] = []
    private var deliveryWaiters: [() -> Void] = []
    /// How long the disk may take for what is in no file yet when the process is deleted.
    private static let fileLimit = Duration.seconds(5)
    /// How long a FIFO's reader is waited for then; as in containerd's shim.
    private static let fifoLimit = Duration.seconds(2)
    private var endWaiters: [() -> Void] = []
    /// Clients of a killed shim that have not come back.
    private(set) var absentCount = 0
    /// How long they are waited for.
    static let absenceLimit = Duration.seconds(2)
    /// Whether nothing more comes on an input that was open.
    var hasClosedInput: Bool { input?.isClosed ?? false }
    /// Called when the process's input has ended.
    var onInputClosed: (() -> Void)? {
        didSet { input?.onClose = onInputClosed }
    }

    init(_ paths: StdioPaths, _ plan: Plan, _ context: ShimContext) {
        self.paths = paths
        self.plan = plan
        self.context = context
        let hasPump =
            switch plan {
            case .attach(let openStdin, _): openStdin
            case .files: paths.terminal && !paths.stdin.isEmpty
            }
        let isSpooled = if case .attach = plan { true } else { false }
        input = hasPump ? InputPump(isTerminal: paths.terminal, isSpooled: isSpooled, loop: context.loop) : nil
    }

    /// Attach clients can have the streams.
    var isAttachable: Bool { if case .attach = plan { true } else { false } }
    /// Where attach clients' input goes.
    var attachableInput: InputPump? { isAttachable ? input : nil }
    var hasEnded: Bool { outputs.allSatisfy(\.hasEnded) }

    /// Begins the program that output goes to, where it goes to one; `completion` is called when it is ready.
    /// - Parameter id: whose output it is.
    func beginLogging(as id: String, _ completion: @escaping (ShimError?) -> Void) {
        guard case .files = plan else { return completion(nil) }
        do throws(ShimError) {
            guard case .program(let path, let arguments) = try OutputTarget(paths.stdout) else { return completion(nil) }
            let begun = try LoggingProgram(path, arguments: arguments, id: id, context: context)
            logger = begun
            begun.whenReady(completion)
        } catch { completion(error) }
    }

    /// Calls `completion` when files and FIFOs have all output, or the program that it went to has ended; a disk, a reader or a program that does
    /// neither is not waited for for ever. What a reader has not taken by then is kept for it.
    func endLogging(_ completion: @escaping () -> Void) {
        if let logger { return logger.end(completion) }
        var openCount = files.count + 1
        let settle = {
            openCount -= 1
            if openCount == 0 { completion() }
        }
        for file in files { file.whenWritten(limit: Self.fileLimit, settle) }
        if isDelivered { return settle() }
        let once = Once { [self] in
            context.unread.take(self)
            settle()
        }
        whenDelivered(once.run)
        loop.after(Self.fifoLimit, once.run)
    }

    /// Nobody has the FIFOs of output here any more.
    var isDelivered: Bool { fifos.allSatisfy(\.isClosed) }

    /// Calls `action` once that is so.
    func whenDelivered(_ action: @escaping () -> Void) {
        if isDelivered { return action() }
        deliveryWaiters.append(action)
    }

    private func fifoClosed() {
        guard isDelivered else { return }
        let waiters = deliveryWaiters
        deliveryWaiters = []
        for waiter in waiters { waiter() }
    }

    /// Makes what a process without a terminal is started with, and begins to copy.
    func open() throws(ShimError) -> PayloadEnds {
        if case .files(let isOutlived) = plan { return try openFiles(isOutlived: isOutlived) }
        guard case .attach(_, let log) = plan else { preconditionFailure("a plan of a third kind") }
        do throws(SyscallError) { return try makePipes(log: log) } catch { throw ShimError("standard streams", error) }
    }

    /// Takes the master of the process's terminal, and begins to copy.
    func open(master: Descriptor) throws(ShimError) {
        let target = isAttachable ? OutputTarget.nowhere : try targets().output
        try addFiles(target, .nowhere)
        do throws(SyscallError) {
            self.master = master
            switch plan {
            case .attach(_, let log):
                try addOutput(.stdout, from: master, log: log)
                try input?.connect(to: master)
            case .files:
                if let ends = logger?.takeEnds() {
                    try addFIFO(ends.output, of: .stdout)
                } else if case .fifo(let path) = target {
                    try addFIFO(try openFIFO(path), of: .stdout)
                }
                try addOutput(.stdout, from: master, log: nil)
                if let input {
                    try input.connect(to: master)
                    inputSource = try FIFOSource(try openFIFO(paths.stdin), into: input, loop: loop)
                }
            }
        } catch { throw ShimError("terminal", error) }
    }

    /// The open files without which the process could not go on when this shim is killed.
    var kept: KeptDescriptors {
        var kept: KeptDescriptors = [:]
        for output in outputs where !paths.terminal { kept[output.stream == .stdout ? .output : .error] = output.source }
        if !paths.terminal { kept[.input] = input?.target }
        kept[.master] = master
        kept[.stageReadEnd] = stage?.readEnd
        kept[.stageWriteEnd] = stage?.writeEnd
        return kept
    }

    /// Where input lies that the process has not got yet; nil where it has none.
    var keptInput: Descriptor? { input?.spoolFile }

    /// Takes over what a killed shim had of the process, and goes on copying.
    /// - Parameter keptInput: what that one had taken of its input.
    func adopt(_ kept: KeptDescriptors, keptInput: Descriptor?) throws(ShimError) {
        guard case .attach(_, let log) = plan else { return }
        do throws(SyscallError) {
            if let read = kept[.stageReadEnd], let write = kept[.stageWriteEnd] { stage = TerminalStage(readEnd: read, writeEnd: write) }
            master = kept[.master]
            if let source = kept[.output] ?? master { try addOutput(.stdout, from: source, log: log) }
            if let source = kept[.error] { try addOutput(.stderr, from: source, log: log) }
            if let target = kept[.input] ?? master { try input?.connect(to: target, left: keptInput) } else { input?.close() }
        } catch { throw ShimError("standard streams", error) }
    }

    /// Holds output back until as many clients have come back that a killed shim had, or until they have had the time for it: the pipes hold it meanwhile.
    func hold(for clientCount: Int) {
        guard clientCount > 0 else { return }
        absentCount = clientCount
        for output in outputs { output.isHeld = true }
        loop.after(Self.absenceLimit) { [weak self] in self?.release() }
    }

    /// A client has come, and has been told what it missed.
    func clientCame() {
        guard absentCount > 0 else { return }
        absentCount -= 1
        if absentCount == 0 { release() }
    }

    private func release() {
        absentCount = 0
        for output in outputs { output.isHeld = false }
    }

    /// Bytes of a stream that were taken since it began; 0 where there is no log that they go to.
    func place(of stream: LogRecord.Stream) -> UInt64 {
        guard case .attach(_, let log) = plan else { return 0 }
        return log?.spools?.spool(stream).byteCount ?? 0
    }

    /// What was taken from a place on, as far as it is there still.
    func taken(_ stream: LogRecord.Stream, from place: UInt64) -> [UInt8] {
        guard case .attach(_, let log) = plan else { return [] }
        return log?.kept(stream, from: place) ?? []
    }

    /// Hands output to one more client, from here on.
    func add(_ sink: any OutputSink, stdout: Bool, stderr: Bool) {
        let client = Client(sink: sink, stdout: stdout, stderr: stderr)
        clients.append(client)
        for output in outputs where client.wants(output.stream) { output.add(sink) }
    }

    func remove(_ sink: any OutputSink) {
        clients.removeAll { $0.sink === sink }
        for output in outputs { output.remove(sink) }
    }

    /// Some sink has room again.
    func update() { for output in outputs { output.update() } }

    /// CloseIO: no more input from a FIFO, or from attach clients.
    func closeInput() {
        inputSource?.close()
        inputSource = nil
        inputKeeper = nil
        input?.finish()
    }

    func resize(_ size: WindowSize) throws(ShimError) {
        guard paths.terminal else { throw ShimError(.wrongState, "resize", cause: "the process has no terminal") }
        guard let master else { throw ShimError(.wrongState, "resize", cause: "the process is not started") }
        do throws(SyscallError) { try setWindowSize(size, of: master.number) } catch { throw ShimError("resize", error) }
    }

    /// Calls `action` once, when all output was handed on.
    func whenEnded(_ action: @escaping () -> Void) {
        if hasEnded { loop.soon(action) } else { endWaiters.append(action) }
    }

    /// The process is gone.
    func processEnded() {
        closeInput()
        input?.close()
    }

    /// Ends what descendants that hold the streams open would keep going.
    func finishWithWhatIsThere() { for output in outputs { output.finishWithWhatIsThere() } }

    // MARK: - Making

    private func makePipes(log: DiskThread?) throws(SyscallError) -> PayloadEnds {
        var payloadInput = Descriptor(try openFile("/dev/null", .readOnly))
        if let input {
            let pipe = try Pipe()
            payloadInput = Descriptor(pipe.readEnd)
            try input.connect(to: Descriptor(pipe.writeEnd))
        }
        return PayloadEnds(
            input: payloadInput, output: try makeOutputPipe(.stdout, log: log), error: try makeOutputPipe(.stderr, log: log))
    }

    /// The payload's end, open both ways: it outlives a killed shim without SIGPIPE.
    private func makeOutputPipe(_ stream: LogRecord.Stream, log: DiskThread?) throws(SyscallError) -> Descriptor {
        let pipe = try Pipe()
        let payloadEnd = Descriptor(try reopen(pipe.writeEnd.number, .readWrite))
        try addOutput(stream, from: Descriptor(pipe.readEnd), log: log)
        return payloadEnd
    }

    @discardableResult
    private func addOutput(_ stream: LogRecord.Stream, from source: Descriptor, log: DiskThread?) throws(SyscallError) -> OutputPump {
        let output = try OutputPump(stream, from: source, drain: paths.terminal ? nil : context.drain, loop: loop)
        output.onEnd = { [weak self] in self?.outputEnded() }
        if let log, let spools = log.spools {
            if paths.terminal && stage == nil { stage = try TerminalStage() }
            output.log(to: LogSink(log, pump: output), through: spools.spool(stream), stage: stage)
        }
        for client in clients where client.wants(stream) { output.add(client.sink) }
        outputs.append(output)
        return output
    }

    private func outputEnded() {
        guard hasEnded else { return }
        let waiters = endWaiters
        endWaiters = []
        for waiter in waiters { loop.soon(waiter) }
    }

    private func openFiles(isOutlived: Bool) throws(ShimError) -> PayloadEnds {
        let targets = try targets()
        try addFiles(targets.output, targets.error)
        do throws(SyscallError) {
            var payloadInput = Descriptor(try openFile("/dev/null", .readOnly))
            if !paths.stdin.isEmpty {
                // Opening both ways never waits; afterwards neither do the one-way openings.
                let both = try openFIFO(paths.stdin)
                payloadInput = Descriptor(try reopen(both.number, .readOnly))
                inputKeeper = Descriptor(try reopen(both.number, .writeOnly))
            }
            if let ends = logger?.takeEnds() { return PayloadEnds(input: payloadInput, output: ends.output, error: ends.error) }
            return PayloadEnds(
                input: payloadInput, output: try openOutput(.stdout, targets.output, isOutlived: isOutlived),
                error: try openOutput(.stderr, targets.error, isOutlived: isOutlived))
        } catch { throw ShimError("standard streams", error) }
    }

    /// Where the streams go. A bare path is a FIFO's or, as containerd's shim has it, a file's that is there and is added to.
    /// - Source: containerd v1.6.20, pkg/process/io.go, `copyPipes`.
    private func targets() throws(ShimError) -> (output: OutputTarget, error: OutputTarget) {
        let output = try OutputTarget(paths.stdout)
        switch output {
        case .file, .program: return (output, output)
        case .nowhere, .fifo: return (Self.found(output), Self.found(try OutputTarget(paths.stderr)))
        }
    }

    private static func found(_ target: OutputTarget) -> OutputTarget {
        // What cannot be looked at is refused when it is opened.
        guard case .fifo(let path) = target, let status = try? fileStatus(FilePath(path), followingLinks: true) else { return target }
        return status.type == .regular ? .file(path) : target
    }

    /// Has output go to files, before there is any; both streams of one file by one way, in the order in which they come.
    private func addFiles(_ output: OutputTarget, _ error: OutputTarget) throws(ShimError) {
        if case .file(let path) = output { try addFile(path, stdout: true, stderr: error == output) }
        if case .file(let path) = error, error != output { try addFile(path, stdout: false, stderr: true) }
    }

    private func addFile(_ path: String, stdout: Bool, stderr: Bool) throws(ShimError) {
        let sink = try FileSink(path, context: context) { [weak self] in self?.update() }
        files.append(sink)
        add(sink, stdout: stdout, stderr: stderr)
    }

    /// Has output copied to a FIFO, before there is any.
    private func addFIFO(_ fifo: Descriptor, of stream: LogRecord.Stream) throws(SyscallError) {
        let sink = try FIFOSink(fifo, loop: loop) { [weak self] in self?.update() }
        sink.onClose = { [weak self] in self?.fifoClosed() }
        fifos.append(sink)
        add(sink, stdout: stream == .stdout, stderr: stream == .stderr)
    }

    private func openOutput(_ stream: LogRecord.Stream, _ target: OutputTarget, isOutlived: Bool) throws(SyscallError) -> Descriptor {
        switch target {
        case .nowhere, .program: return Descriptor(try openFile("/dev/null", .writeOnly))
        case .fifo(let path):
            let fifo = try openFIFO(path)
            // Nobody waits for the end of a device.
            guard isOutlived, try fileStatus(of: fifo.number).type == .pipe else { return fifo }
            try addFIFO(fifo, of: stream)
        case .file: break
        }
        return try makeOutputPipe(stream, log: nil)
    }

    private func openFIFO(_ path: String) throws(SyscallError) -> Descriptor {
        Descriptor(try openFile(FilePath(path), [.readWrite, .noControllingTerminal]))
    }
}
