internal import LinuxSyscalls
internal import SystemPackage

/// The descriptors that a runtime, and through it a payload, is started with.
struct PayloadEnds {
    let input: Descriptor
    let output: Descriptor
    let error: Descriptor
}

/// Runs the runtime executable as a child, and says what came of it.
final class RuntimeRunner {
    /// Hooks run inside create, start and delete, so these may take long; longer is a hang.
    static let deadline = Duration.seconds(600)
    /// Runtime processes at once.
    static let maximumCallCount = 1024
    private static let pidFileByteCount = 32
    /// What the names of files begin with that live as long as one call.
    static let scratchKinds = ["log", "pid", "process", "console", "resources"]

    let command: RuntimeCommand
    private let loop: EventLoop
    private let reaper: ChildReaper
    private let environment: [String]
    private let workDirectory: String
    private var scratchCount = 0
    private var callCount = 0

    /// - Parameter workDirectory: private to the shim; for logs and pid files that live as long as one call.
    init(
        _ command: RuntimeCommand, environment: [String], workDirectory: String, loop: EventLoop, reaper: ChildReaper
    ) {
        self.command = command
        self.environment = environment
        self.workDirectory = workDirectory
        self.loop = loop
        self.reaper = reaper
    }

    /// A path in the work directory that no other call uses.
    func scratchPath(_ kind: String) -> String {
        scratchCount += 1
        return "\(workDirectory)/\(kind)-\(scratchCount)"
    }

    /// Runs one verb; `completion` gets nil, or the runtime's own words.
    /// - Parameter ends: the payload's descriptors for create and exec; else the runtime reads nothing, and
    ///   what it says besides its log is looked at when it fails.
    func run(_ verb: RuntimeVerb, ends: PayloadEnds? = nil, _ completion: @escaping (ShimError?) -> Void) {
        let logPath = scratchPath("log")
        let doing = "\(command.executable) \(verb.name)"
        guard callCount < Self.maximumCallCount else {
            return loop.soon { completion(ShimError(.limitReached, doing, cause: "\(Self.maximumCallCount) calls are under way")) }
        }
        do throws(SyscallError) {
            let log = Descriptor(try openFile(FilePath(logPath), [.writeOnly, .create, .append, .exclusive]))
            let ends =
                if let ends { ends } else {
                    PayloadEnds(input: Descriptor(try openFile("/dev/null", .readOnly)), output: log, error: log)
                }
            let announcement = reaper.announce()
            let process: Int32
            do throws(SyscallError) {
                process = try spawnProcess(
                    FilePath(command.executable), arguments: command.arguments(verb, logPath: logPath),
                    environment: environment, input: ends.input.number, output: ends.output.number,
                    error: ends.error.number)
            } catch {
                reaper.announcementOver(announcement)
                throw error
            }
            callCount += 1
            follow(process, announcement, doing: doing, logPath: logPath, completion)
        } catch {
            removeScratch(logPath)
            let failure = ShimError(doing, error)
            loop.soon { completion(failure) }
        }
    }

    /// Calls `ended` when a process has ended that the runtime made.
    /// - Parameter execID: by what the shim calls it whose child it is, where the runtime is one.
    func whenEnded(_ pid: Int32, execID: String, _ ended: @escaping (ReapedExit) -> Void) throws(ShimError) {
        guard command.isBridged else { return reaper.whenEnded(pid, ended) }
        do throws(SyscallError) { reaper.whenEnded(try bridge("wait", execID: execID), ended) } catch {
            throw ShimError("wait for process \(pid)", error)
        }
    }

    /// Tells the shim behind a bridge that no input comes any more: it holds the pipe open itself.
    func endInput(execID: String) throws(SyscallError) { _ = try bridge("close-input", execID: execID) }

    private func bridge(_ verb: String, execID: String) throws(SyscallError) -> Int32 {
        let null = try openFile("/dev/null", .readWrite)
        return try spawnProcess(
            FilePath(command.executable), arguments: command.bridgedArguments(verb, execID: execID), environment: environment,
            input: null.number, output: null.number, error: null.number)
    }

    /// The pid that the runtime wrote for create or exec; the file is removed.
    func takePID(_ path: String) throws(ShimError) -> Int32 {
        defer { removeScratch(path) }
        let text: String
        do throws(SyscallError) {
            text = String(decoding: try readFile(FilePath(path), limitBytes: Self.pidFileByteCount), as: UTF8.self)
        } catch { throw ShimError("pid file of \(command.executable)", error) }
        guard let pid = Int32(text.trimmingWhitespace), pid > 1 else {
            throw ShimError(.runtime, "pid file of \(command.executable)", cause: "it holds \"\(text)\"")
        }
        return pid
    }

    func removeScratch(_ path: String) {
        // Ours, in our own directory, which goes as a whole at the end.
        try? removeFile(FilePath(path))
    }

    private func follow(
        _ process: Int32, _ announcement: ChildReaper.Announcement, doing: String, logPath: String,
        _ completion: @escaping (ShimError?) -> Void
    ) {
        var timedOut = false
        let timer = loop.after(Self.deadline) { [reaper] in
            timedOut = true
            // The number is safe: we have not reaped it.
            if reaper.isAwaited(process) { try? sendSignal(9, toProcess: process) }
        }
        reaper.whenEnded(process) { [self] reaped in
            loop.cancelTimer(timer)
            let failure =
                timedOut
                ? ShimError(.timedOut, doing, cause: "killed after \(Self.deadline)")
                : RuntimeLog.failure(reaped.exit ?? .exited(1), doing: doing, logPath: logPath)
            removeScratch(logPath)
            callCount -= 1
            completion(failure)
            reaper.announcementOver(announcement)
        }
    }
}
