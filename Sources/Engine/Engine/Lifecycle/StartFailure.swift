/// A container or exec that could not be started: Docker's sentence, and the exit code that goes with it.
///
/// The docker CLI picks its own exit code by the words in the sentence, so that they are part of the interface:
/// 127 for `executable file not found` and `no such file or directory`, 126 for `permission denied` and `is a directory`.
struct StartFailure: Equatable, Sendable {
    /// What was tried, as the beginning of Docker's sentence.
    enum Step: Sendable {
        case create, start, exec
    }

    /// Exit code where the reason is none of the known ones.
    static let unknownExitCode = 128

    let exitCode: Int
    let message: String
    /// Whether the request is to blame, and not the engine.
    let isCallersFault: Bool

    /// - Parameter words: the shim's, which are the runtime's.
    init(_ step: Step, words: String) {
        let core = Self.trimmed(words)
        let sentence =
            // No runtime was asked yet.
            if let log = core.firstRange(of: Self.logWords) { "failed to create task for container: " + core[log.lowerBound...] } else {
                Self.sentence(step, core)
            }
        let lowercased = core.lowercased()
        let notFound = ["executable file not found", "no such file or directory"].contains(where: lowercased.contains)
        let notExecutable = ["permission denied", "is a directory", "exec format error"].contains(where: lowercased.contains)
        let notDirectory = lowercased.contains("not a directory")
        exitCode = notFound ? 127 : notExecutable ? 126 : notDirectory ? 127 : Self.unknownExitCode
        message =
            notDirectory && !notFound && !notExecutable
            ? sentence + ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists "
                + "and is the expected type" : sentence
        isCallersFault = notFound || notExecutable || notDirectory
    }

    /// What the shim says of a log that cannot be begun.
    private static let logWords = "failed to initialize logging driver: "

    private static func sentence(_ step: Step, _ core: String) -> String {
        switch step {
        case .create: "failed to create task for container: failed to create shim task: OCI runtime create failed: \(core): unknown"
        case .start: "failed to start task for container: OCI runtime start failed: \(core): unknown"
        case .exec: "OCI runtime exec failed: exec failed: \(core): unknown"
        }
    }

    var error: EngineError { EngineError(isCallersFault ? .invalidParameter : .system, message) }

    /// Whether a runtime found the container's first process gone: our words and runc's, then crun's.
    static func saysStopped(_ words: String) -> Bool {
        words.contains("cannot exec in a stopped container") || words.hasSuffix("is not running")
    }

    /// Without what this type puts around it itself.
    private static func trimmed(_ words: String) -> String {
        var text = words[...]
        while let last = text.last, last.isWhitespace { text.removeLast() }
        for prefix in ["OCI runtime create failed: ", "OCI runtime start failed: ", "OCI runtime exec failed: "]
        where text.hasPrefix(prefix) {
            text = text.dropFirst(prefix.count)
        }
        if text.hasPrefix("exec failed: ") { text = text.dropFirst("exec failed: ".count) }
        if text.hasSuffix(": unknown") { text = text.dropLast(": unknown".count) }
        // By its words it is told from other reasons.
        let notDirectory = ": ENOTDIR (20)"
        return text.hasSuffix(notDirectory) ? String(text.dropLast(notDirectory.count)) + ": not a directory" : String(text)
    }
}
