internal import JSON
package import Protobuf

/// How a container's first process ended, as the shim writes it durably before it tells anyone.
package struct ExitRecord: Equatable, Sendable {
    /// The format's version, its member `version`.
    package static let version = 1
    /// The longest record that is read.
    package static let maximumByteCount = 4096

    package var id: String
    package var pid: UInt32
    /// 0 to 255; 128 + signal for one that a signal ended.
    package var exitCode: UInt32
    /// The signal that ended it, or 0.
    package var signal: UInt32
    package var startedAtUnixNanoseconds: Int64
    package var exitedAtUnixNanoseconds: Int64
    /// The kernel's OOM killer ended a process of the container before.
    package var oomKilled: Bool
    /// Nobody could see how it ended: exit code and signal stand for nothing.
    package var isUnknown: Bool

    package init(
        id: String, pid: UInt32, exitCode: UInt32, signal: UInt32, startedAtUnixNanoseconds: Int64,
        exitedAtUnixNanoseconds: Int64, oomKilled: Bool, isUnknown: Bool = false
    ) {
        self.id = id
        self.pid = pid
        self.exitCode = exitCode
        self.signal = signal
        self.startedAtUnixNanoseconds = startedAtUnixNanoseconds
        self.exitedAtUnixNanoseconds = exitedAtUnixNanoseconds
        self.oomKilled = oomKilled
        self.isUnknown = isUnknown
    }

    /// - Throws: `WireError`: malformed for anything but such a record, unsupported for another version.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        var version = 0
        self.init(
            id: "", pid: 0, exitCode: 0, signal: 0, startedAtUnixNanoseconds: 0, exitedAtUnixNanoseconds: 0,
            oomKilled: false)
        do throws(JSONError) {
            var reader = try JSONReader(bytes, limits: JSONLimits(maximumBytes: Self.maximumByteCount, maximumDepth: 4))
            var record = self
            try reader.readObject { (reader, name) throws(JSONError) in
                switch name {
                case "version": version = try reader.readInteger()
                case "id": record.id = try reader.readString()
                case "pid": record.pid = try reader.readInteger()
                case "exitCode": record.exitCode = try reader.readInteger()
                case "signal": record.signal = try reader.readInteger()
                case "startedAtUnixNanoseconds": record.startedAtUnixNanoseconds = try reader.readInteger()
                case "exitedAtUnixNanoseconds": record.exitedAtUnixNanoseconds = try reader.readInteger()
                case "oomKilled": record.oomKilled = try reader.readBool()
                case "statusUnknown": record.isUnknown = try reader.readBool()
                default: try reader.skipValue()
                }
            }
            try reader.finish()
            self = record
        } catch { throw WireError(.malformed, "exit record: \(error)") }
        guard version == Self.version else { throw WireError(.unsupported, "exit record version \(version)") }
        guard !id.isEmpty else { throw WireError(.malformed, "exit record without id") }
    }

    /// The record as the JSON object that its file holds.
    package func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("version", Self.version)
            writer.member("id", id)
            writer.member("pid", pid)
            writer.member("exitCode", exitCode)
            writer.member("signal", signal)
            writer.member("startedAtUnixNanoseconds", startedAtUnixNanoseconds)
            writer.member("exitedAtUnixNanoseconds", exitedAtUnixNanoseconds)
            writer.member("oomKilled", oomKilled)
            if isUnknown { writer.member("statusUnknown", true) }
        }
        return writer.bytes + [0x0a]
    }
}
