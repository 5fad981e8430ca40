internal import Glibc
internal import SystemPackage

/// Nanoseconds since 1970, UTC. - Source: clock_gettime(2), CLOCK_REALTIME.
package func unixNanoseconds() -> Int64 { readClock(CLOCK_REALTIME) }

/// Nanoseconds of a clock that is never set, for deadlines. - Source: clock_gettime(2), CLOCK_MONOTONIC.
package func monotonicNanoseconds() -> Int64 { readClock(CLOCK_MONOTONIC) }

private func readClock(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    _ = unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// A moment of `monotonicNanoseconds()`, that long after another: the last there is where it would lie beyond.
package func moment(nanoseconds: Int64, after start: Int64 = monotonicNanoseconds()) -> Int64 {
    let (moment, isBeyond) = start.addingReportingOverflow(nanoseconds)
    return isBeyond ? .max : moment
}

/// How long it is until a moment of `monotonicNanoseconds()`, rounded up: 0 once it is there, and for one that is far away as much as
/// poll(2) takes.
package func millisecondsUntil(_ moment: Int64) -> Int32 {
    let left = moment - monotonicNanoseconds()
    return left <= 0 ? 0 : Int32(clamping: (left - 1) / 1_000_000 + 1)
}

/// Rests the calling thread for this long, or a little less where a signal arrives. - Source: nanosleep(2).
package func rest(nanoseconds: Int64) {
    var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    _ = unsafe nanosleep(&time, nil)
}

/// When a process began, in clock ticks after boot: with its number, this names it for good.
/// - Throws: EINVAL for a line that is not as documented. - Source: proc_pid_stat(5), field 22.
package func startTimeTicks(of process: Int32) throws(SyscallError) -> UInt64 {
    let path = "/proc/\(process)/stat"
    let fields = try statusFields(of: path)
    guard fields.count > 19, let ticks = UInt64(fields[19]) else { throw SyscallError("read", path, errno: EINVAL) }
    return ticks
}

/// How long ago a process began, by a clock that nobody sets. - Source: proc_pid_stat(5), field 22; clock_gettime(2), CLOCK_BOOTTIME.
package func nanosecondsSinceStart(of process: Int32) throws(SyscallError) -> Int64 {
    let ticks = try startTimeTicks(of: process)
    return readClock(CLOCK_BOOTTIME) - Int64(clamping: ticks) * (1_000_000_000 / Int64(sysconf(Int32(_SC_CLK_TCK))))
}

/// What a process is about.
package struct ProcessGlance: Equatable, Sendable {
    /// It runs, or would if it were given a processor.
    package let isRunnable: Bool
    package let session: Int32
    /// What it and the children that it waited for have had of processors.
    package let processorNanoseconds: Int64
}

/// - Throws: EINVAL for a line that is not as documented. - Source: proc_pid_stat(5), fields 3, 6 and 14 to 17.
package func glance(at process: Int32) throws(SyscallError) -> ProcessGlance {
    let path = "/proc/\(process)/stat"
    let fields = try statusFields(of: path)
    let ticks = fields.dropFirst(11).prefix(4).compactMap { Int64($0) }
    guard ticks.count == 4, let session = Int32(fields[3]) else { throw SyscallError("read", path, errno: EINVAL) }
    return ProcessGlance(
        isRunnable: fields[0] == "R", session: session,
        processorNanoseconds: ticks.reduce(0, &+) &* (1_000_000_000 / Int64(sysconf(Int32(_SC_CLK_TCK)))))
}

/// How a process ended that nobody has reaped; nil for one that has not ended, or when that may not be known.
/// - Source: proc_pid_stat(5), fields 3 and 52.
package func unreapedExit(of process: Int32) throws(SyscallError) -> ProcessExit? {
    let fields = try statusFields(of: "/proc/\(process)/stat")
    guard fields.count > 49, fields[0] == "Z", let status = Int32(fields[49]) else { return nil }
    return ProcessExit(waitStatus: status)
}

/// The fields of a stat file from the third on.
func statusFields(of path: String) throws(SyscallError) -> [Substring] {
    let line = String(decoding: try readFile(FilePath(path), limitBytes: 4096), as: UTF8.self)
    // The name, field 2, may hold anything, brackets and spaces included.
    guard let nameEnd = line.lastIndex(of: ")") else { throw SyscallError("read", path, errno: EINVAL) }
    return line[line.index(after: nameEnd)...].split { $0 == " " || $0 == "\n" }
}
