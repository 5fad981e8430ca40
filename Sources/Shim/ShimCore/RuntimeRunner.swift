internal import JSON
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
    /// The end of a runtime's log that is looked at for its error.
    private static let logByteCount = 65_536
    private static let pidFileByteCount = 32

    let command: RuntimeCommand
    private let loop: EventLoop
    private let reaper: ChildReaper
    private let environment: [String]
    private let workDirectory: String
    private var runs = 0

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
        runs += 1
        return "\(workDirectory)/\(kind)-\(runs)"
    }

    /// Runs one verb; `completion` gets nil, or the runtime's own words.
    /// - Parameter ends: the payload's descriptors for create and exec; else the runtime reads nothing, and
    ///   what it says besides its log is looked at when it fails.
    func run(_ verb: RuntimeVerb, ends: PayloadEnds? = nil, _ completion: @escaping (ShimError?) -> Void) {
        let logPath = scratchPath("log")
        let doing = "\(command.executable) \(verb.name)"
        do throws(SyscallError) {
            let log = Descriptor(try openFile(FilePath(logPath), [.writeOnly, .create, .append, .exclusive]))
            let ends =
                if let ends { ends } else {
                    PayloadEnds(input: Descriptor(try openFile("/dev/null", .readOnly)), output: log, error: log)
                }
            reaper.announce()
            let process: Int32
            do throws(SyscallError) {
                process = try spawnProcess(
                    FilePath(command.executable), arguments: command.arguments(verb, logPath: logPath),
                    environment: environment, input: ends.input.number, output: ends.output.number,
                    error: ends.error.number)
            } catch {
                reaper.announcementOver()
                throw error
            }
            follow(process, doing: doing, logPath: logPath, completion)
        } catch {
            removeScratch(logPath)
            let failure = ShimError(doing, error)
            loop.soon { completion(failure) }
        }
    }

    /// The pid that the runtime wrote for create or exec; the file is removed.
    func takePID(_ path: String) throws(ShimError) -> Int32 {
        defer { removeScratch(path) }
        do throws(SyscallError) {
            let text = String(decoding: try readFile(FilePath(path), limitBytes: Self.pidFileByteCount), as: UTF8.self)
            guard let pid = Int32(text.trimmingWhitespace), pid > 1 else {
                throw SyscallError("read", "pid file holding \"\(text)\"", errno: 22)
            }
            return pid
        } catch { throw ShimError("pid file of \(command.executable)", error) }
    }

    func removeScratch(_ path: String) {
        // Ours, in our own directory, which goes as a whole at the end.
        try? removeFile(FilePath(path))
    }

    private func follow(_ process: Int32, doing: String, logPath: String, _ completion: @escaping (ShimError?) -> Void) {
        var timedOut = false
        let timer = loop.after(Self.deadline) { [reaper] in
            timedOut = true
            // The number is safe: we have not reaped it.
            if reaper.isAwaited(process) { try? sendSignal(9, toProcess: process) }
        }
        reaper.whenEnded(process) { [self] reaped in
            loop.cancelTimer(timer)
            var failure: ShimError?
            if timedOut {
                failure = ShimError(.timedOut, doing, cause: "killed after \(Self.deadline)")
            } else if reaped.exit != .exited(0) {
                failure = problem(logPath).map { ShimError(.runtime, "", cause: $0) } ?? ShimError(.runtime, doing, cause: "\(reaped.exit)")
            }
            removeScratch(logPath)
            completion(failure)
            reaper.announcementOver()
        }
    }

    private func problem(_ logPath: String) -> String? {
        // A runtime that failed before it opened its log leaves none: then its exit status must do.
        guard let log = try? readFile(FilePath(logPath), limitBytes: Self.logByteCount) else { return nil }
        return RuntimeLog.problem(in: log)
    }
}

/// Reads a runtime's log.
package enum RuntimeLog {
    /// The last error in it: the message of the last JSON line of level error or worse, else the last line.
    package static func problem(in log: [UInt8]) -> String? {
        let lines = log.split(separator: 0x0a)
        for line in lines.reversed() {
            if let message = errorMessage(Array(line)) { return message }
        }
        guard let last = lines.last else { return nil }
        let text = String(decoding: last, as: UTF8.self).trimmingWhitespace
        return text.isEmpty ? nil : text
    }

    private static func errorMessage(_ line: [UInt8]) -> String? {
        var level = ""
        var message: String?
        do throws(JSONError) {
            var reader = try JSONReader(line)
            try reader.readObject { (reader, name) throws(JSONError) in
                switch name {
                case "level": level = try reader.readString()
                case "msg": message = try reader.readString()
                default: try reader.skipValue()
                }
            }
        } catch { return nil }
        return ["error", "fatal", "panic"].contains(level) ? message : nil
    }
}

extension String {
    /// Without white space at either end.
    var trimmingWhitespace: String {
        let start = drop(while: \.isWhitespace)
        return String(start.reversed().drop(while: \.isWhitespace).reversed())
    }
}
