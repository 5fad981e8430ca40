internal import LinuxSyscalls
internal import Protobuf
internal import ShimProtocol

/// Asks now and then how a container is, while it runs and is not paused.
final class HealthMonitor {
    /// One check that is under way.
    private final class Probe {
        let beganAt = monotonicNanoseconds()
        let start = ProtobufTimestamp(unixNanoseconds: unixNanoseconds())
        let output = HealthOutput()
        /// What it found, or why it found nothing, counts no more.
        var isOver = false
        var timeout: UInt64?
        /// How long the loop had stood still when its time began to count.
        var stoodStill: Int64
        /// How processors were wanted when its time began to count.
        var pressure = ProcessorPressure.now()
        /// How often its time began anew.
        var extensionCount = 0

        init(stoodStill: Int64) { self.stoodStill = stoodStill }
    }

    /// A check that is given no processor for this many times its span has failed all the same.
    private static let extensionLimit = 10

    private unowned let task: ContainerTask
    private var plan: HealthPlan
    private let native: NativeProbe?
    private var beganAt: Int64 = 0
    private var timer: UInt64?
    private var current: Probe?
    /// The command of the current check, or of one that is over and whose end was not told yet.
    private var exec: SupervisedProcess?
    /// A look at the network or the root that has not come back: its thread may hang in a file system of the container's.
    private var look: NativeLook?

    /// - Throws: `ShimError.invalidRequest` for a check that cannot be.
    init(_ check: HealthCheck, task: ContainerTask) throws(ShimError) {
        guard check.interval > 0, check.timeout > 0, check.startInterval > 0, check.retries > 0 else {
            throw ShimError(.invalidRequest, "health check", cause: "an interval, a timeout or a number of retries is 0")
        }
        if check.probe.isEmpty {
            native = nil
        } else {
            do throws(WireError) { native = try NativeProbe(check.probe) } catch { throw ShimError("health check \(check.probe)", error) }
        }
        plan = HealthPlan(check)
        self.task = task
    }

    var report: HealthReport { plan.report }

    private var loop: EventLoop { task.context.loop }
    private var ran: UInt64 { UInt64(clamping: monotonicNanoseconds() - beganAt) }

    /// The container's process runs.
    func begin() {
        plan.begin()
        beganAt = monotonicNanoseconds()
        schedule()
    }

    /// It runs on after the shim was killed that had asked before.
    func resume(_ report: HealthReport, beganAt: Int64) {
        plan.resume(report)
        self.beganAt = beganAt
        schedule()
        if report.status == .unhealthy { task.dealWithUnhealthy(plan.check) }
    }

    /// It does not run, and the shim was killed that asked before.
    func restore(_ report: HealthReport) { plan.restore(report) }

    /// It runs no more.
    func end() {
        abandon()
        if let timer { loop.cancelTimer(timer) }
        timer = nil
        plan.end()
    }

    /// It is held: what a check finds meanwhile says nothing.
    func hold() { abandon() }

    private func schedule() {
        if let timer { loop.cancelTimer(timer) }
        timer = loop.after(plan.delay(ran: ran)) { [self] in
            timer = nil
            probe()
        }
    }

    private func abandon() {
        guard let probe = current else { return }
        close(probe)
        schedule()
    }

    private func close(_ probe: Probe) {
        probe.isOver = true
        if let timeout = probe.timeout { loop.cancelTimer(timeout) }
        look?.cancel()
        if let exec { end(exec) }
        current = nil
    }

    private func end(_ exec: SupervisedProcess) {
        // Ours and not reaped; and not by way of the container's own signals, which would let go on what is paused.
        guard let pid = exec.livePID else { return }
        try? sendSignal(Int32(ContainerTask.sigkill), toProcess: pid)
        endGroup(pid)
    }

    /// The runtime made a session for the command, and so a group: what it began goes with it. Where nothing is left, nothing is hit.
    private func endGroup(_ pid: Int32) {
        if pid > 1 { try? sendSignal(Int32(ContainerTask.sigkill), toGroup: pid) }
    }

    /// A process of the container was reaped just now, so that its number is not used again yet.
    func reaped(_ process: SupervisedProcess, pid: Int32) {
        guard process === exec else { return }
        endGroup(pid)
        if let timeout = current?.timeout {
            // It ended in time: that somebody else still holds its output takes nothing from that.
            loop.cancelTimer(timeout)
            current?.timeout = nil
        } else {
            // The check that it was is over, and the next one need not wait for what it left behind.
            exec = nil
        }
    }

    // MARK: - One check

    private func probe() {
        // What is paused is asked when it goes on.
        if (try? task.isPaused()) == true { return schedule() }
        let probe = Probe(stoodStill: loop.stoodStillNanoseconds)
        current = probe
        probe.timeout = loop.after(HealthPlan.span(plan.check.timeout)) { [self] in timedOut(probe) }
        if let native { begin(native, probe) } else { run(probe) }
    }

    private func run(_ probe: Probe) {
        // One at a time: what no signal ends must not become more and more.
        guard exec == nil else { return settle(probe, -1, Array("the command of the check before has not ended".utf8)) }
        let exec = task.makeHealthExec(document: plan.check.processJSON)
        self.exec = exec
        exec.stdio.add(probe.output, stdout: true, stderr: true)
        task.start(exec) { [self] result in
            guard case .failure(let error) = result else {
                task.noteCheck(.checkStarted, exec)
                // Its time was over before it began.
                return probe.isOver ? end(exec) : ()
            }
            let words = Array("OCI runtime exec failed: exec failed: \(error.status.message): unknown".utf8)
            settle(probe, -1, Array(words.prefix(HealthResult.maximumOutputByteCount)))
        }
        exec.whenSettled { [self] in
            if self.exec === exec { self.exec = nil }
            task.forget(exec)
            guard let exit = exec.exit else { return }
            task.noteCheck(.checkEnded, exec)
            settle(probe, Int32(bitPattern: exit.exitStatus), probe.output.text)
        }
    }

    private func begin(_ native: NativeProbe, _ probe: Probe) {
        guard look == nil else {
            return settle(probe, -1, Array("the check before has not come back from the container's file system".utf8))
        }
        do throws(ShimError) {
            look = try NativeLook(native, process: task.first.pid, loop: loop) { [self] code, text in
                look = nil
                settle(probe, code, Array(text.utf8))
            }
        } catch { settle(probe, -1, Array("\(error)".utf8)) }
    }

    private func timedOut(_ probe: Probe) {
        if probe.isOver { return }
        if (try? task.isPaused()) == true { return abandon() }
        if isStarved(probe) {
            probe.extensionCount += 1
            probe.pressure = .now()
            probe.timeout = loop.after(HealthPlan.span(plan.check.timeout)) { [self] in timedOut(probe) }
            return
        }
        let text = "Health check exceeded timeout (\(Self.words(plan.check.timeout)))"
        let output = probe.output.text
        settle(probe, -1, Array(text.utf8) + (output.isEmpty ? [] : Array(": ".utf8) + output))
    }

    /// Whether the time that is over was not the check's: nobody ran, or others had the processors.
    private func isStarved(_ probe: Probe) -> Bool {
        guard probe.extensionCount < Self.extensionLimit else { return false }
        if loop.stoodStillNanoseconds > probe.stoodStill {
            probe.stoodStill = loop.stoodStillNanoseconds
            return true
        }
        guard let before = probe.pressure, let now = ProcessorPressure.now(), now.isHigh(since: before) else { return false }
        // Not even begun: the runtime waits for a processor.
        if native == nil, exec?.livePID == nil { return true }
        let span = Int64(clamping: plan.check.timeout)
        return ((try? task.processes()) ?? []).contains { process in
            guard let glance = try? glance(at: process), glance.isRunnable else { return false }
            // What a look at the network asks is some process of the container.
            guard native == nil, let pid = exec?.livePID else { return native != nil }
            return glance.session == pid && glance.processorNanoseconds < span
        }
    }

    private func settle(_ probe: Probe, _ exitCode: Int32, _ output: [UInt8]) {
        guard !probe.isOver, probe === current else { return }
        close(probe)
        var result = HealthResult()
        result.start = probe.start
        result.end = ProtobufTimestamp(unixNanoseconds: unixNanoseconds())
        result.exitCode = exitCode
        result.output = output
        let hasChanged = plan.take(result, ran: UInt64(clamping: probe.beganAt - beganAt))
        schedule()
        if hasChanged { task.healthChanged(plan.report, plan.check) }
    }

    /// A span as Go prints it, for the spans that people use: `30s`, `1.5s`, `500ms`.
    private static func words(_ nanoseconds: UInt64) -> String {
        let (milliseconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
        if rest > 0 { return "\(nanoseconds)ns" }
        if milliseconds < 1000 { return "\(milliseconds)ms" }
        let (seconds, more) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        var fraction = more == 0 ? "" : ".\(String(repeating: "0", count: 3 - "\(more)".utf8.count))\(more)"
        while fraction.hasSuffix("0") { fraction.removeLast() }
        let minutes = seconds / 60
        let head = minutes >= 60 ? "\(minutes / 60)h\(minutes % 60)m" : minutes > 0 ? "\(minutes)m" : ""
        return "\(head)\(seconds % 60)\(fraction)s"
    }
}

/// The beginning of what a check writes; the rest is read and dropped.
private final class HealthOutput: OutputSink {
    private var bytes: [UInt8] = []
    private var isTruncated = false
    var isSaturated: Bool { false }

    /// As Docker shows it.
    var text: [UInt8] { isTruncated ? bytes + "...".utf8 : bytes }

    func take(_ more: ArraySlice<UInt8>, from stream: LogRecord.Stream) {
        let piece = more.prefix(HealthResult.maximumOutputByteCount - bytes.count)
        bytes.append(contentsOf: piece)
        if piece.count < more.count { isTruncated = true }
    }

    func end(of stream: LogRecord.Stream) {}
}

/// What health checks mean for the container.
extension ContainerTask {
    private static let execIDDigitCount = 64

    /// An exec of the shim's own, with a name as the daemon's have.
    func makeHealthExec(document: [UInt8]) -> SupervisedProcess {
        let digits = (0..<Self.execIDDigitCount).map { _ in "0123456789abcdef".randomElement() ?? "0" }
        let exec = SupervisedProcess(
            execID: String(digits), stdio: ProcessStdio(StdioPaths(), .attach(openStdin: false, log: nil), context),
            specification: document, stdinOnce: true, state: .noted)
        exec.isCheck = true
        execs.append(exec)
        return exec
    }

    func forget(_ exec: SupervisedProcess) { execs.removeAll { $0 === exec } }

    /// Tells those who follow of a check's command.
    func noteCheck(_ kind: LifeChange.Kind, _ exec: SupervisedProcess) {
        var change = LifeChange(kind)
        change.execID = exec.execID
        change.exit = exec.exit
        change.restartCount = restarts.count
        journal.note(change)
    }

    /// The status is another one: whoever follows is told, and what is unhealthy is dealt with.
    func healthChanged(_ report: HealthReport, _ check: HealthCheck) {
        var change = LifeChange(.health)
        change.health = report
        change.restartCount = restarts.count
        journal.note(change)
        if report.status == .unhealthy { dealWithUnhealthy(check) }
    }

    /// Does what was asked for a container that is unhealthy.
    func dealWithUnhealthy(_ check: HealthCheck) {
        switch check.action {
        case .nothing: break
        case .kill: signalFirst(Self.sigkill)
        case .restart:
            restarts.isForced = true
            stopFirst(check)
        case .stop:
            restarts.end()
            stopFirst(check)
        }
    }

    /// The command of a check that a killed shim had begun: its result is nobody's.
    func endForeignCheck(_ exec: SupervisedProcess) {
        exec.whenSettled { [self] in
            forget(exec)
            noteCheck(.checkEnded, exec)
        }
        // It may have ended, which is noticed next.
        try? exec.foreign?.signal(Int32(Self.sigkill))
    }

    private func stopFirst(_ check: HealthCheck) {
        let process = first
        signalFirst(check.stopSignal)
        context.loop.after(HealthPlan.span(check.stopTimeout)) { [self] in
            if first === process, process.livePID != nil { signalFirst(Self.sigkill) }
        }
    }

    private func signalFirst(_ signal: UInt32) {
        kill(first, signal: signal, all: false) { [context] failure in
            if let failure { context.report("an unhealthy container: \(failure)") }
        }
    }
}
