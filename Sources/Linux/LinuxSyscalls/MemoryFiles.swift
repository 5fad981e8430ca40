internal import CLinux
internal import Glibc

/// A new file that lies in memory and has no name in any directory. - Source: memfd_create(2), Linux 3.17.
package func makeMemoryFile(named name: String, executable: Bool = false) throws(SyscallError) -> OwnedFD {
    OwnedFD(owning: try checked("memfd_create", name) { unsafe clinux_memory_file(name, executable ? 1 : 0) })
}

/// Makes a memory file unchangeable for everyone, for good. - Source: fcntl(2), F_ADD_SEALS.
package func sealMemoryFile(_ file: borrowing OwnedFD) throws(SyscallError) {
    let number = file.number
    try checked("fcntl F_ADD_SEALS") { clinux_seal(number) }
}

/// Whether a descriptor is a memory file sealed by `sealMemoryFile`. - Source: fcntl(2), F_GET_SEALS.
package func isSealed(_ descriptor: Int32) -> Bool { clinux_is_sealed(descriptor) == 1 }

/// Copies from one open file to another, from their positions to the end of the input. - Source: sendfile(2).
package func copyContents(of input: borrowing OwnedFD, to output: borrowing OwnedFD, subject: String) throws(SyscallError) {
    let (from, to) = (input.number, output.number)
    var copied: Int32 = 1
    while copied > 0 { copied = try checked("sendfile", subject) { clinux_copy(to, from, 1 << 30) } }
}

/// Copies from a file's position on to what takes it without waiting; the position moves by exactly what was taken, also when the program is
/// killed meanwhile. - Source: sendfile(2).
package func copyAvailable(from file: Int32, to target: Int32, limitBytes: Int) throws(SyscallError) -> ReadOutcome {
    do throws(SyscallError) {
        let copied = try checked("sendfile", "descriptor \(target)") { clinux_copy(target, file, UInt32(clamping: limitBytes)) }
        return copied == 0 ? .end : .bytes(Int(copied))
    } catch  where error.isWouldBlock { return .wouldBlock }
}

/// Whether the mount that a descriptor lies on refuses writing. - Source: fstatvfs(3), ST_RDONLY.
package func isOnReadOnlyMount(_ descriptor: Int32) throws(SyscallError) -> Bool {
    var status = statvfs()
    try retryingInterrupted("fstatvfs", "descriptor \(descriptor)") { unsafe fstatvfs(descriptor, &status) }
    return status.f_flag & UInt(ST_RDONLY) != 0
}

/// Moves the position of an open file to its start. - Source: lseek(2).
package func rewindFile(_ descriptor: Int32) throws(SyscallError) {
    try retryingInterrupted("lseek", "descriptor \(descriptor)") { lseek(descriptor, 0, SEEK_SET) }
}
