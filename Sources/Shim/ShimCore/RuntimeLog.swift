internal import JSON
internal import LinuxSyscalls
internal import SystemPackage

/// Reads what a runtime says of its failures.
package enum RuntimeLog {
    /// The longest log of one call that is looked at.
    private static let byteCount = 65_536

    /// How a call of the runtime failed, in its own words where it has any; nil when it succeeded.
    static func failure(_ exit: ProcessExit, doing: String, logPath: String) -> ShimError? {
        if exit == .exited(0) { return nil }
        // A runtime that failed before it opened its log leaves none: then its exit status must do.
        let log = (try? readFile(FilePath(logPath), limitBytes: byteCount)) ?? []
        return problem(in: log).map { ShimError(.runtime, "", cause: $0) } ?? ShimError(.runtime, doing, cause: "\(exit)")
    }

    /// The last error in a log: the message of the last JSON line of level error or worse, else the last line.
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

extension ShimError {
    /// The runtime has no such container. Its command line has no exit status of its own for that.
    var saysThatContainerIsMissing: Bool { code == .runtime && cause.contains("does not exist") }
}

extension String {
    /// Without white space at either end.
    var trimmingWhitespace: String {
        let start = drop(while: \.isWhitespace)
        return String(start.reversed().drop(while: \.isWhitespace).reversed())
    }
}
