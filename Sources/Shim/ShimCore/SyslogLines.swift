internal import CoreTypes
package import ShimProtocol

/// Words log records as syslog messages, as docker's driver does.
/// - Source: RFC 3164, RFC 5424; moby daemon/logger/syslog, RackSec/srslog formatter.go.
package struct SyslogLines: Sendable {
    private static let monthNames = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    private static let (errorSeverity, informationSeverity): (UInt32, UInt32) = (3, 6)

    private let target: SyslogTarget
    private let process: Int32

    /// - Parameter process: the number of whoever logs.
    package init(_ target: SyslogTarget, process: Int32) {
        self.target = target
        self.process = process
    }

    /// One message, ended by a newline. Times are in UTC.
    package func message(of record: LogRecord) -> [UInt8] {
        let priority = target.facility << 3 | (record.stream == .stderr ? Self.errorSeverity : Self.informationSeverity)
        let (seconds, rest) = record.unixNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        // 2026-11-28T10:00:00.123456789Z
        let time = Timestamp(seconds: seconds, nanoseconds: Int32(rest)).fixedWidth
        let head: String
        switch target.format {
        case .local: head = "<\(priority)>\(Self.shortTime(time)) \(target.tag)[\(process)]: "
        case .rfc3164: head = "<\(priority)>\(Self.shortTime(time)) \(target.hostName) \(target.tag)[\(process)]: "
        case .rfc5424: head = modernHead(priority, "\(time.prefix(19))Z")
        case .rfc5424Micro: head = modernHead(priority, "\(time.prefix(26))Z")
        }
        return Array(head.utf8) + record.text + [UInt8(ascii: "\n")]
    }

    private func modernHead(_ priority: UInt32, _ time: String) -> String {
        "<\(priority)>1 \(time) \(target.hostName) \(target.tag) \(process) \(target.tag) - "
    }

    /// `Nov  8 10:00:00`.
    private static func shortTime(_ time: String) -> String {
        let digits = Array(time.utf8)
        let month = Int(digits[5] - 0x30) * 10 + Int(digits[6] - 0x30)
        let day = Int(digits[8] - 0x30) * 10 + Int(digits[9] - 0x30)
        return "\(monthNames[max(1, min(12, month)) - 1]) \(day < 10 ? " " : "")\(day) \(time.dropFirst(11).prefix(8))"
    }
}
