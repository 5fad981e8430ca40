internal import Glibc
package import LinuxSyscalls
internal import SystemPackage

/// One look at a process in /proc. - Source: proc_pid_stat(5).
package struct ProcessSnapshot: Equatable, Sendable {
    /// The thread name: the program's base name unless changed, at most 15 bytes.
    package let name: String
    /// `R`, `S`, `D`, `Z`, …
    package let state: UInt8
    /// When it started, in clock ticks since boot: tells it from a later process of the same number.
    package let startTicks: UInt64

    /// Neither a zombie nor dead.
    package var isAlive: Bool { state != UInt8(ascii: "Z") && state != UInt8(ascii: "X") }

    /// nil where there is no such process.
    package static func look(at process: Int32) throws(SyscallError) -> ProcessSnapshot? {
        do {
            return ProcessSnapshot(try readFile(FilePath("/proc/\(process)/stat"), limitBytes: 4096))
        } catch  where error.errno == ENOENT || error.errno == ESRCH { return nil }
    }

    /// Parses `PID (NAME) STATE …`; the name may hold anything, parentheses too.
    init?(_ bytes: [UInt8]) {
        guard let open = bytes.firstIndex(of: UInt8(ascii: "(")), let close = bytes.lastIndex(of: UInt8(ascii: ")")), open < close
        else { return nil }
        let fields = bytes[(close + 1)...].split(separator: UInt8(ascii: " "))
        // Field 3 is the first after the name, field 22 the start time.
        guard fields.count > 19, let state = fields[0].first, let ticks = UInt64(String(decoding: fields[19], as: UTF8.self))
        else { return nil }
        self.name = String(decoding: bytes[(open + 1)..<close], as: UTF8.self)
        self.state = state
        self.startTicks = ticks
    }
}
