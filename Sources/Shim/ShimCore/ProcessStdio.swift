internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// A process's standard input and output, from the shim's side.
final class ProcessStdio {
    /// Where input comes from and output goes to.
    enum Plan {
        /// To attach clients, and to the log when there is one.
        case attach(openStdin: Bool, log: LogSink?)
        /// FIFOs of containerd's client.
        case files(StdioPaths)
    }

    private let loop: EventLoop
    private let plan: Plan
    private var outputs: [OutputPump] = []
    private var input: InputPump?
    private var inputSource: FIFOSource?
    /// Keeps a FIFO's reader, the payload, from the end of input until CloseIO.
    private var inputKeeper: Descriptor?
    private var master: Descriptor?
    private var endWaiters: [() -> Void] = []

    private init(_ plan: Plan, loop: EventLoop) {
        self.plan = plan
        self.loop = loop
    }

    /// Makes what a process without a terminal is started with.
    static func prepare(_ plan: Plan, loop: EventLoop) throws(ShimError) -> (ProcessStdio, PayloadEnds) {
        let stdio = ProcessStdio(plan, loop: loop)
        do throws(SyscallError) {
            switch plan {
            case .attach(let openStdin, let log): return (stdio, try stdio.makePipes(openStdin: openStdin, log: log))
            case .files(let paths): return (stdio, try stdio.openFiles(paths))
            }
        } catch { throw ShimError("standard streams", error) }
    }

    /// What a process with a terminal gets once the runtime has handed it over.
    static func prepareTerminal(_ plan: Plan, loop: EventLoop) -> ProcessStdio { ProcessStdio(plan, loop: loop) }

    /// Takes the terminal's master and begins to copy.
    func begin(master: Descriptor) throws(ShimError) {
        do throws(SyscallError) {
            self.master = master
            switch plan {
            case .attach(let openStdin, let log):
                let output = try addOutput(.stdout, from: master, log: log)
                if openStdin { input = try InputPump(to: master, isTerminal: true, loop: loop) }
                output.update()
            case .files(let paths):
                let output = try addOutput(.stdout, from: master, log: nil)
                if !paths.stdout.isEmpty {
                    let fifo = Descriptor(try openFile(FilePath(paths.stdout), [.readWrite, .noControllingTerminal]))
                    output.add(try FIFOSink(fifo, loop: loop) { [weak output] in output?.update() })
                }
                if !paths.stdin.isEmpty {
                    let fifo = Descriptor(try openFile(FilePath(paths.stdin), [.readWrite, .noControllingTerminal]))
                    let pump = try InputPump(to: master, isTerminal: true, loop: loop)
                    input = pump
                    inputSource = try FIFOSource(fifo, into: pump, loop: loop)
                }
            }
        } catch { throw ShimError("terminal", error) }
    }

    /// nil where input is /dev/null or a FIFO that the process reads itself.
    var attachableInput: InputPump? { if case .attach = plan { input } else { nil } }
    var hasEnded: Bool { outputs.allSatisfy(\.hasEnded) }

    func add(_ sink: any OutputSink, stdout: Bool, stderr: Bool) {
        for output in outputs where output.stream == .stdout ? stdout : stderr { output.add(sink) }
    }

    func remove(_ sink: any OutputSink) { for output in outputs { output.remove(sink) } }

    /// Some sink has room again.
    func update() { for output in outputs { output.update() } }

    /// CloseIO: no more input from a FIFO, or from attach clients.
    func closeInput() {
        inputSource?.close()
        inputSource = nil
        inputKeeper = nil
        if master == nil { input?.finish() }
    }

    func resize(_ size: WindowSize) throws(ShimError) {
        guard let master else { throw ShimError(.wrongState, "resize", cause: "the process has no terminal") }
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

    private func makePipes(openStdin: Bool, log: LogSink?) throws(SyscallError) -> PayloadEnds {
        var payloadInput = Descriptor(try openFile("/dev/null", .readOnly))
        if openStdin {
            let pipe = try Pipe()
            payloadInput = Descriptor(pipe.readEnd)
            input = try InputPump(to: Descriptor(pipe.writeEnd), isTerminal: false, loop: loop)
        }
        return PayloadEnds(
            input: payloadInput, output: try makeOutputPipe(.stdout, log: log), error: try makeOutputPipe(.stderr, log: log))
    }

    /// The payload's end, open both ways: it outlives a killed shim without SIGPIPE.
    private func makeOutputPipe(_ stream: LogRecord.Stream, log: LogSink?) throws(SyscallError) -> Descriptor {
        let pipe = try Pipe()
        let payloadEnd = Descriptor(try reopen(pipe.writeEnd.number, .readWrite))
        _ = try addOutput(stream, from: Descriptor(pipe.readEnd), log: log)
        return payloadEnd
    }

    private func addOutput(_ stream: LogRecord.Stream, from source: Descriptor, log: LogSink?) throws(SyscallError) -> OutputPump {
        let output = try OutputPump(stream, from: source, loop: loop)
        output.onEnd = { [unowned self] in outputEnded() }
        if let log { output.add(LogGate(log, pump: output)) }
        outputs.append(output)
        return output
    }

    private func outputEnded() {
        guard hasEnded else { return }
        let waiters = endWaiters
        endWaiters = []
        for waiter in waiters { loop.soon(waiter) }
    }

    private func openFiles(_ paths: StdioPaths) throws(SyscallError) -> PayloadEnds {
        var payloadInput = Descriptor(try openFile("/dev/null", .readOnly))
        if !paths.stdin.isEmpty {
            // Opening both ways never waits; afterwards neither do the one-way openings.
            let path = FilePath(paths.stdin)
            let both = Descriptor(try openFile(path, .readWrite))
            payloadInput = Descriptor(try reopen(both.number, .readOnly))
            inputKeeper = Descriptor(try reopen(both.number, .writeOnly))
        }
        return PayloadEnds(
            input: payloadInput, output: try openOutputFile(paths.stdout), error: try openOutputFile(paths.stderr))
    }

    private func openOutputFile(_ path: String) throws(SyscallError) -> Descriptor {
        if path.isEmpty { return Descriptor(try openFile("/dev/null", .writeOnly)) }
        return Descriptor(try openFile(FilePath(path), [.readWrite, .noControllingTerminal]))
    }
}

/// A log as one pump's sink: wakes the pump when the disk takes output again.
private final class LogGate: OutputSink {
    private let log: LogSink
    private weak var pump: OutputPump?
    private var isWaiting = false

    init(_ log: LogSink, pump: OutputPump) {
        self.log = log
        self.pump = pump
    }

    var isSaturated: Bool {
        guard log.isSaturated else { return false }
        if !isWaiting {
            isWaiting = true
            log.whenRoom { [self] in
                isWaiting = false
                pump?.update()
            }
        }
        return true
    }

    func take(_ bytes: ArraySlice<UInt8>, from stream: LogRecord.Stream) { log.take(bytes, from: stream) }
    func end(of stream: LogRecord.Stream) { log.end(of: stream) }
}
