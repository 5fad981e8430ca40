internal import CoreTypes
internal import JSON
internal import LinuxSyscalls
internal import RuntimeCore
internal import SystemPackage

/// Messages, one a line, in the forms that runc writes and engines read.
struct Log {
    enum Format {
        case text, json
    }

    /// nil is standard error.
    let file: FilePath?
    let format: Format
    let isDebug: Bool
    /// Whether whoever looks at standard error instead of the file learns why a verb failed.
    var repeatsErrors = true

    var journal: Journal { Journal(tellsDebug: isDebug) { level, message in write(level, message) } }

    /// Makes the file where it is not there: whoever named it may look into it whatever comes.
    func open() throws(RuntimeError) {
        guard let file else { return }
        _ = try during("opening the log") { () throws(SyscallError) in try open(file) }
    }

    private func open(_ file: FilePath) throws(SyscallError) -> OwnedFD {
        try openFile(file, [.writeOnly, .append, .create], mode: 0o644)
    }

    func write(_ level: Journal.Level, _ message: String) {
        let line = Array(self.line(level, message).utf8)
        do throws(SyscallError) {
            guard let file else { return try writeAll(line, to: 2, subject: "standard error") }
            let log = try open(file)
            try writeAll(line, to: log.number, subject: file.string)
        } catch {
            // The message itself still matters more than where it was to go.
            try? writeAll(line + Array("log \(error)\n".utf8), to: 2)
        }
    }

    /// The end of a verb that failed: to the log, and to whoever looks at standard error instead.
    func fail(_ message: String) {
        write(.error, message)
        if file != nil && repeatsErrors { try? writeAll(Array("\(message)\n".utf8), to: 2) }
    }

    func line(_ level: Journal.Level, _ message: String) -> String {
        let time = Timestamp(seconds: unixNanoseconds() / 1_000_000_000).description
        switch format {
        case .json:
            var writer = JSONWriter(escapesAsGo: true)
            writer.object { writer in
                writer.member("level", level.rawValue)
                writer.member("msg", message)
                writer.member("time", time)
            }
            return writer.text + "\n"
        case .text:
            var writer = JSONWriter()
            writer.string(message)
            return "time=\"\(time)\" level=\(level.rawValue) msg=\(writer.text)\n"
        }
    }
}
