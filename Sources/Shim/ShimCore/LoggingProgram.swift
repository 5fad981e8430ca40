internal import LinuxSyscalls
internal import SystemPackage

/// A program that takes a process's output: standard output is its descriptor 3, standard error 4, and it closes 5, or writes to it, once it is ready.
/// - Source: containerd v1.6.20, pkg/process/io.go, `NewBinaryIO`.
final class LoggingProgram {
    /// How long it may take until it is ready.
    static let readyLimit = Duration.seconds(60)
    /// How long it may take to end after SIGTERM.
    static let endLimit = Duration.seconds(12)
    /// How long it may take to end after SIGKILL, which a process that waits for a device does not.
    static let killLimit = Duration.seconds(3)
    private static let (sigterm, sigkill): (Int32, Int32) = (15, 9)

    private let path: String
    private let context: ShimContext
    private let process: Int32
    /// What the process writes to, until it has it.
    private var ends: (output: Descriptor, error: Descriptor)?
    /// Held beside the program's own, so that its end costs the process no SIGPIPE.
    private let readEnds: [Descriptor]
    private let readiness: Descriptor
    private var watch: Watch?
    private var readyTimer: UInt64?
    private var hasEnded = false
    private var endWaiters: [() -> Void] = []

    /// Begins the program.
    /// - Parameter id: whose output it is: the container's id, or an exec's.
    init(_ path: String, arguments: [String], id: String, context: ShimContext) throws(ShimError) {
        self.path = path
        self.context = context
        do throws(SyscallError) {
            let output = try Pipe()
            let error = try Pipe()
            let ready = try Pipe()
            let nowhere = try openFile("/dev/null", .readWrite)
            process = try spawnProcess(
                FilePath(path), arguments: [path] + arguments,
                environment: ["CONTAINER_ID=\(id)", "CONTAINER_NAMESPACE=\(context.configuration.namespace)"],
                input: nowhere.number, output: nowhere.number, error: nowhere.number,
                others: [output.readEnd.number, error.readEnd.number, ready.writeEnd.number])
            ends = (Descriptor(output.writeEnd), Descriptor(error.writeEnd))
            readEnds = [Descriptor(output.readEnd), Descriptor(error.readEnd)]
            readiness = Descriptor(ready.readEnd)
        } catch { throw ShimError("logging program \(path)", error) }
        context.reaper.whenEnded(process) { [self] _ in ended() }
    }

    deinit { watch?.cancel() }

    /// Calls `completion` when it is ready, or is not within `readyLimit`.
    func whenReady(_ completion: @escaping (ShimError?) -> Void) {
        let doing = "logging program \(path)"
        do throws(SyscallError) {
            // The end of the pipe, also where it has ended, counts as well as a word.
            watch = try context.loop.watch(readiness.number, for: .readable) { [self] _ in
                endWait()
                completion(nil)
            }
        } catch { return completion(ShimError(doing, error)) }
        readyTimer = context.loop.after(Self.readyLimit) { [self] in
            endWait()
            completion(ShimError(.timedOut, doing, cause: "it is not ready after \(Self.readyLimit)"))
        }
    }

    private func endWait() {
        watch?.cancel()
        watch = nil
        if let readyTimer { context.loop.cancelTimer(readyTimer) }
        readyTimer = nil
    }

    /// Gives away what the process writes to: the program reads to the end of it once nobody else has it any more.
    func takeEnds() -> (output: Descriptor, error: Descriptor)? {
        defer { ends = nil }
        return ends
    }

    /// Has it end, in time of its own at first; `completion` is called when it has, or even SIGKILL did not end it within `killLimit`.
    func end(_ completion: @escaping () -> Void) {
        ends = nil
        if hasEnded { return completion() }
        endWaiters.append(completion)
        // The number is safe: we have not reaped it.
        try? sendSignal(Self.sigterm, toProcess: process)
        context.loop.after(Self.endLimit) { [self] in
            if hasEnded { return }
            try? sendSignal(Self.sigkill, toProcess: process)
            context.loop.after(Self.killLimit) { [self] in
                if hasEnded { return }
                context.report("logging program \(path): process \(process) is not ended by SIGKILL")
                tellWaiters()
            }
        }
    }

    private func ended() {
        hasEnded = true
        tellWaiters()
    }

    private func tellWaiters() {
        let waiters = endWaiters
        endWaiters = []
        for waiter in waiters { waiter() }
    }
}
