internal import CLinux
internal import Glibc

/// The environment of the process, `KEY=value` each. Only `main` reads it.
package func processEnvironment() -> [String] {
    var entries: [String] = []
    var cursor = unsafe environ
    while let entry = unsafe cursor.pointee {
        entries.append(unsafe String(cString: entry))
        unsafe cursor += 1
    }
    return entries
}

/// For a program that ends soon: takes memory from the kernel in large steps and gives none back. - Source: mallopt(3).
package func hoardMemory() { clinux_hoard_memory() }

/// The effective user of the process. - Source: geteuid(2).
package func effectiveUserID() -> UInt32 { geteuid() }

/// The effective group of the process. - Source: getegid(2).
package func effectiveGroupID() -> UInt32 { getegid() }

/// The pid of the calling process, in its own pid namespace. - Source: getpid(2).
package func processID() -> Int32 { getpid() }

/// Starts a new session without a controlling terminal. - Source: setsid(2).
package func startSession() throws(SyscallError) { try retryingInterrupted("setsid") { setsid() } }

/// Sets the mask of permission bits that new files lack, and returns the one before. - Source: umask(2).
@discardableResult
package func setFileCreationMask(_ mask: UInt32) -> UInt32 { umask(mask) }

/// Whether the effective user may do `mode` (R_OK, X_OK) with a file. - Source: faccessat(2), AT_EACCESS, for which the C library has
/// faccessat2 of Linux 5.8, or does without it; a filter that denies that leaves the question for the real user, who is the same.
package func checkAccess(_ path: String, mode: Int32) throws(SyscallError) {
    do throws(SyscallError) { try retryingInterrupted("access", path) { unsafe faccessat(AT_FDCWD, path, mode, AT_EACCESS) } } catch {
        guard error.errno == EPERM else { throw error }
        try retryingInterrupted("access", path) { unsafe access(path, mode) }
    }
}

/// Ends the process at once: no handler of atexit(3) runs, nothing is flushed. - Source: _exit(2).
package func exitAtOnce(_ status: Int32) -> Never { _exit(status) }
