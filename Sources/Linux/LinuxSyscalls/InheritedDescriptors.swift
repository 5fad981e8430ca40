internal import CLinux
internal import Glibc
internal import SystemPackage

// What a process inherits and passes on. Where close_range(2) is missing, before Linux 5.9 or under a filter, the table of descriptors is read
// from procfs; the caller has one thread, so that nothing is opened meanwhile.

/// Opens the null device in the place of each standard descriptor that the caller closed: else the next file or socket that is opened stands there, is
/// taken for our input, and what is meant for people is written into it. To be called before anything is opened.
package func fillStandardDescriptors() {
    for number: Int32 in 0...2 where !isOpen(number) {
        // The lowest free number is the one that is given. Inherited, as the others are.
        if unsafe Glibc.open("/dev/null", O_RDWR) < 0 { return }
    }
}

/// Marks every descriptor from `first` up as close-on-exec. - Source: close_range(2), CLOSE_RANGE_CLOEXEC, Linux 5.11.
package func closeOnExec(from first: UInt32) throws(SyscallError) {
    do throws(SyscallError) { try checked("close_range", "from \(first)") { clinux_close_range(first, UInt32.max, 4) } } catch {
        // EINVAL: the call is there, and does not know the flag.
        guard error.mayLackCall || error.errno == EINVAL else { throw error }
        for number in try openDescriptors(unless: error) where number >= first { try setCloseOnExec(true, of: number) }
    }
}

/// Closes every descriptor from `first` up that is not in `kept`. - Source: close_range(2), Linux 5.9.
package func closeDescriptors(from first: Int32, except kept: [Int32]) throws(SyscallError) {
    do throws(SyscallError) {
        var next = first
        for descriptor in kept.sorted() where descriptor >= next {
            if descriptor > next { try closeRange(next, through: descriptor - 1) }
            next = descriptor + 1
        }
        try closeRange(next, through: Int32.max)
    } catch {
        guard error.mayLackCall else { throw error }
        for number in try openDescriptors(unless: error) where number >= first && !kept.contains(number) { _ = Glibc.close(number) }
    }
}

private func closeRange(_ first: Int32, through last: Int32) throws(SyscallError) {
    try checked("close_range", "\(first) to \(last)") {
        clinux_close_range(UInt32(bitPattern: first), last == Int32.max ? UInt32.max : UInt32(bitPattern: last), 0)
    }
}

/// The numbers of the open descriptors, but for the one that they were read by. - Throws: the refusal, where there is no procfs either.
private func openDescriptors(unless refusal: SyscallError) throws(SyscallError) -> [Int32] {
    guard let directory = try? openFile("/proc/self/fd", [.readOnly, .directory]) else { throw refusal }
    let numbers = try directoryEntries(of: directory, subject: "/proc/self/fd").compactMap { Int32($0.name.string) }
    return numbers.filter { $0 != directory.number }
}
