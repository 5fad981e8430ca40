internal import LinuxSyscalls
internal import ShimProtocol
internal import SystemPackage

/// Has files of the log compressed that are written no more, one at a time, each by a short-lived process of our own executable.
final class LogPacking {
    private unowned let context: ShimContext
    private let disk: DiskThread
    private let configuration: LogConfiguration
    /// Numbers of files to be compressed, the newest last.
    private var waiting: [UInt64] = []
    private var process: Int32?
    private var idleWaiters: [() -> Void] = []
    private var isRetrying = false

    /// A process that could not be begun is begun again after this.
    private static let retryDelay = Duration.seconds(5)

    init(_ configuration: LogConfiguration, disk: DiskThread, context: ShimContext) {
        self.configuration = configuration
        self.disk = disk
        self.context = context
    }

    /// A file is written no more.
    func rotated(_ sequence: UInt64) {
        waiting.append(sequence)
        // Those before will be gone by the time.
        waiting.removeFirst(max(0, waiting.count - Int(configuration.fileCount)))
        packNext()
    }

    /// Calls `action` when all is compressed that waits for it, or is given up after `limit`.
    func whenIdle(limit: Duration, _ action: @escaping () -> Void) {
        guard process != nil else { return action() }
        let once = Once(action)
        idleWaiters.append(once.run)
        context.loop.after(limit) { [self] in
            once.run()
            waiting = []
            // The number is safe: we have not reaped it.
            if let process, context.reaper.isAwaited(process) { try? sendSignal(9, toProcess: process) }
        }
    }

    private func packNext() {
        guard process == nil else { return }
        guard !waiting.isEmpty else { return tellIdle() }
        let sequence = waiting.removeFirst()
        let shim = context.configuration
        do throws(SyscallError) {
            let nowhere = try openFile("/dev/null", .readWrite)
            let process = try spawnProcess(
                // What we are executing, whatever stands at its path by now.
                "/proc/self/exe",
                arguments: [
                    "apus-shim", "-namespace", shim.namespace, "-id", shim.id, "-log", configuration.path, "-sequence", "\(sequence)",
                    ShimInvocation.Action.packLog.rawValue,
                ], environment: shim.environment, input: nowhere.number, output: nowhere.number, error: nowhere.number)
            self.process = process
            context.reaper.whenEnded(process) { [self] reaped in ended(reaped.exit, sequence) }
        } catch {
            context.report("compress the log: \(error)")
            waiting.insert(sequence, at: 0)
            tellIdle()
            retryLater()
        }
    }

    private func retryLater() {
        if isRetrying { return }
        isRetrying = true
        context.loop.after(Self.retryDelay) { [self] in
            isRetrying = false
            packNext()
        }
    }

    private func tellIdle() {
        let waiters = idleWaiters
        idleWaiters = []
        for waiter in waiters { waiter() }
    }

    /// Without success the file stays as it is, which is only larger.
    private func ended(_ exit: ProcessExit?, _ sequence: UInt64) {
        guard exit == .exited(0) else {
            process = nil
            return packNext()
        }
        disk.submit(.adoptPackedLog(sequence: sequence)) { [self] _ in
            process = nil
            packNext()
        }
    }
}
