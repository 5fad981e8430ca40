internal import CoreTypes
internal import EngineAPI
internal import LinuxSyscalls
internal import Logging
internal import Synchronization

/// Log lines on standard error: `2026-11-21T10:00:00.123456789Z info message key=value`, or one JSON object each.
struct DaemonLog: LogHandler {
    /// The least that is written, of every line of the daemon. It can change.
    final class Level: Sendable {
        private let value: Mutex<Logger.Level>

        init(_ level: Logger.Level) { value = Mutex(level) }

        var current: Logger.Level {
            get { value.withLock(\.self) }
            set { value.withLock { $0 = newValue } }
        }
    }

    let level: Level
    var logLevel: Logger.Level {
        get { level.current }
        set { level.current = newValue }
    }
    var metadata: Logger.Metadata = [:]
    let format: DaemonOptions.LogFormat

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = self.metadata.merging(event.metadata ?? [:]) { _, new in new }.mapValues { "\($0)" }
        let (seconds, nanoseconds) = unixNanoseconds().quotientAndRemainder(dividingBy: 1_000_000_000)
        let time = Timestamp(seconds: seconds, nanoseconds: Int32(nanoseconds)).fixedWidth
        // There is nowhere to report to that standard error cannot be written.
        try? writeAll(encode(time: time, level: event.level, message: "\(event.message)", fields: fields), to: 2)
    }

    private func encode(time: String, level: Logger.Level, message: String, fields: [String: String]) -> [UInt8] {
        switch format {
        case .json:
            let all = fields.merging(["time": time, "level": level.rawValue, "msg": message]) { _, own in own }
            return (try? EngineJSON.encode(all)) ?? Array("{\"msg\":\"unprintable\"}\n".utf8)
        case .text:
            let words = fields.sorted { $0.key < $1.key }.map { " \($0.key)=\(Self.quoted($0.value))" }.joined()
            return Array("\(time) \(level.rawValue) \(Self.printable(message))\(words)\n".utf8)
        }
    }

    private static func quoted(_ text: String) -> String {
        text.contains(" ") || text.contains("\"") || text.isEmpty ? printable(text.debugDescription) : printable(text)
    }

    /// A client's words must not begin a line of their own.
    private static func printable(_ text: String) -> String {
        text.contains { $0.isNewline } ? text.debugDescription : text
    }
}
