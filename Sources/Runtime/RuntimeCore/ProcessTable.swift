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
    /// Its end has begun.
    private let isExiting: Bool
    /// It has ended, and the kernel keeps it for others of its pid namespace that nobody has reaped.
    package private(set) var isKept = false

    /// Neither a zombie nor dead.
    package var isAlive: Bool { state != UInt8(ascii: "Z") && state != UInt8(ascii: "X") && !isKept }

    /// nil where there is no such process.
    package static func look(at process: Int32) throws(SyscallError) -> ProcessSnapshot? {
        do {
            guard var found = ProcessSnapshot(try readFile(FilePath("/proc/\(process)/stat"), limitBytes: 4096)) else { return nil }
            if found.isExiting && found.isAlive { found.isKept = try exitKeptByUnreaped(of: process) != nil }
            return found
        } catch  where error.errno == ENOENT || error.errno == ESRCH { return nil }
    }

    /// Parses `PID (NAME) STATE …`; the name may hold anything, parentheses too.
    init?(_ bytes: [UInt8]) {
        guard let open = bytes.firstIndex(of: UInt8(ascii: "(")), let close = bytes.lastIndex(of: UInt8(ascii: ")")), open < close
        else { return nil }
        // Field 3 is the first after the name, field 9 has flags, field 22 is the start time.
        var (position, field, flags, ticks): (Int, Int, UInt64, UInt64) = (close + 2, 3, 0, 0)
        guard position < bytes.count, case let state = bytes[position] else { return nil }
        while field < 22, position < bytes.count {
            if bytes[position] == UInt8(ascii: " ") {
                field += 1
            } else if field == 9 {
                flags = flags &* 10 &+ UInt64(bytes[position] &- UInt8(ascii: "0"))
            }
            position += 1
        }
        let start = position
        while position < bytes.count, case let digit = bytes[position] &- UInt8(ascii: "0"), digit <= 9, ticks < UInt64.max / 16 {
            ticks = ticks * 10 + UInt64(digit)
            position += 1
        }
        guard field == 22, position > start, position == bytes.count || bytes[position] <= UInt8(ascii: " ") else { return nil }
        self.name = String(decoding: bytes[(open + 1)..<close], as: UTF8.self)
        self.state = state
        isExiting = flags & exitingFlag != 0
        self.startTicks = ticks
    }
}
