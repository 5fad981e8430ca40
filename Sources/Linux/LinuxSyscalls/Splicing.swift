internal import CLinux
internal import Glibc

/// Moves what a pipe has into a file, at a place of its own, without waiting. What was taken from the pipe is in the file, and the file
/// has grown by it, also when the program is killed meanwhile. - Source: splice(2), Linux 2.6.17.
package func splice(from pipe: Int32, toFile file: Int32, at offset: UInt64, limitBytes: Int) throws(SyscallError) -> ReadOutcome {
    try splice(pipe, file, Int64(clamping: offset), limitBytes)
}

/// The same into a pipe, from a terminal for example.
package func splice(from source: Int32, toPipe pipe: Int32, limitBytes: Int) throws(SyscallError) -> ReadOutcome {
    try splice(source, pipe, -1, limitBytes)
}

private func splice(_ source: Int32, _ target: Int32, _ offset: Int64, _ limitBytes: Int) throws(SyscallError) -> ReadOutcome {
    while true {
        let moved = clinux_splice(source, target, offset, UInt64(limitBytes))
        switch moved {
        case 1...: return .bytes(Int(moved))
        case 0: return .end
        case -Int64(EINTR): continue
        case -Int64(EAGAIN): return .wouldBlock
        // A terminal's master whose other end is closed.
        case -Int64(EIO): return .end
        default: throw SyscallError("splice", "descriptor \(source)", errno: Int32(-moved))
        }
    }
}

/// Reads at a place of a file, at most `limitBytes`; an empty array is the end of the file. - Source: pread(2).
package func readChunk(_ descriptor: Int32, at offset: UInt64, limitBytes: Int, subject: String = "") throws(SyscallError) -> [UInt8] {
    var failure: SyscallError?
    let chunk = unsafe [UInt8](unsafeUninitializedCapacity: limitBytes) { buffer, count in
        do throws(SyscallError) {
            count = Int(
                try checked64("pread", subject) {
                    unsafe clinux_pread(descriptor, buffer.baseAddress, UInt64(buffer.count), Int64(clamping: offset))
                })
        } catch { failure = error }
    }
    if let failure { throw failure }
    return chunk
}

/// Gives a part of a file back to its file system; it reads as zeros, and the file stays as long. - Source: fallocate(2).
package func punchHole(in file: Int32, at offset: UInt64, byteCount: UInt64) throws(SyscallError) {
    try checked("fallocate", "descriptor \(file)") { clinux_punch_hole(file, Int64(clamping: offset), Int64(clamping: byteCount)) }
}

/// How a process ended that need not be a child, once its parent has reaped it; nil before.
/// - Throws: ENOTTY or EINVAL on kernels that do not tell. - Source: ioctl_pidfd(2), PIDFD_GET_INFO, Linux 6.15.
package func exit(ofProcess pidfd: borrowing OwnedFD) throws(SyscallError) -> ProcessExit? {
    let number = pidfd.number
    var status: Int32 = 0
    let isKnown = try checked("ioctl PIDFD_GET_INFO") { unsafe clinux_pidfd_exit(number, &status) } == 1
    guard isKnown else { return nil }
    return ProcessExit(waitStatus: status)
}

extension ProcessExit {
    /// A status as wait(2) and proc(5) have it.
    package init(waitStatus: Int32) {
        let signal = waitStatus & 0x7f
        self = signal == 0 ? .exited(waitStatus >> 8 & 0xff) : .signalled(signal)
    }
}
