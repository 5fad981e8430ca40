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

    package init(
        id: String, pid: UInt32, exitCode: UInt32, signal: UInt32, startedAtUnixNanoseconds: Int64,
        exitedAtUnixNanoseconds: Int64, oomKilled: Bool
    ) {
        self.id = id
        self.pid = pid
        self.exitCode = exitCode
        self.signal = signal
        self.startedAtUnixNanoseconds = startedAtUnixNanoseconds
        self.exitedAtUnixNanoseconds = exitedAtUnixNanoseconds
        self.oomKilled = oomKilled
    }
}
