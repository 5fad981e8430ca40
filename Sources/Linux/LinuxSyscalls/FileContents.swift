internal import CLinux
internal import Glibc

/// Turns CLinux's 64-bit "value or -errno" into a value or a thrown error, running the call again on EINTR.
@discardableResult
package func checked64(
    _ call: String, _ subject: @autoclosure () -> String = "", _ body: () -> Int64
) throws(SyscallError) -> Int64 {
    while true {
        let result = body()
        if result >= 0 { return result }
        if result != -Int64(EINTR) { throw SyscallError(call, subject(), errno: Int32(-result)) }
    }
}

/// Reads at most `limitBytes`; an empty array is the end of the file. - Source: read(2).
package func readChunk(_ descriptor: Int32, limitBytes: Int, subject: String = "") throws(SyscallError) -> [UInt8] {
    var failure: SyscallError?
    let chunk = unsafe [UInt8](unsafeUninitializedCapacity: limitBytes) { buffer, count in
        do throws(SyscallError) {
            count = try retryingInterrupted("read", subject) { unsafe read(descriptor, buffer.baseAddress, buffer.count) }
        } catch { failure = error }
    }
    if let failure { throw failure }
    return chunk
}

/// Writes all of `bytes` at `offset`, leaving a hole before it where the file was shorter. - Source: pwrite(2).
package func writeAll(_ bytes: Span<UInt8>, at offset: Int64, to descriptor: Int32, subject: String = "") throws(SyscallError) {
    var written = 0
    while written < bytes.count {
        let start = written
        written += Int(
            try checked64("write", subject) {
                unsafe bytes.withUnsafeBufferPointer { buffer in
                    let rest = unsafe UnsafeBufferPointer(rebasing: buffer[start...])
                    return unsafe clinux_pwrite(descriptor, rest.baseAddress, UInt64(rest.count), offset + Int64(start))
                }
            })
    }
}

/// Copies as many bytes as both sides have, and says how many.
package func copyBytes(_ source: Span<UInt8>, to target: inout MutableSpan<UInt8>) -> Int {
    let count = min(source.count, target.count)
    unsafe source.withUnsafeBufferPointer { from in
        unsafe target.withUnsafeMutableBufferPointer { onto in
            guard count > 0, let start = from.baseAddress, let end = onto.baseAddress else { return }
            unsafe end.update(from: start, count: count)
        }
    }
    return count
}

/// Makes a file exactly this long; what is added reads as zeros and takes no space. - Source: ftruncate(2).
package func setSize(of descriptor: Int32, bytes: Int64, subject: String = "") throws(SyscallError) {
    try checked("truncate", subject) { clinux_ftruncate(descriptor, bytes) }
}

/// Gives a file room on its file system, so that writing there needs no more. - Source: posix_fallocate(3).
package func allocate(_ bytes: Int64, for descriptor: Int32, subject: String = "") throws(SyscallError) {
    let refusal = posix_fallocate(descriptor, 0, Int(bytes))
    if refusal != 0 { throw SyscallError("fallocate", subject, errno: refusal) }
}

/// Sets both the access and the modification time of an open file; not through an O_PATH descriptor. - Source: futimens(3).
package func setTimes(of descriptor: Int32, to time: FileTime, subject: String = "") throws(SyscallError) {
    try checked("utimensat", subject) { clinux_futimens(descriptor, time.seconds, time.nanoseconds) }
}

/// Moves the offset of an open file. - Source: lseek(2).
package func seek(_ descriptor: Int32, to offset: Int64, subject: String = "") throws(SyscallError) {
    try checked64("lseek", subject) { clinux_lseek(descriptor, offset, SEEK_SET) }
}

/// Where an open file is read and written next. - Source: lseek(2), SEEK_CUR.
package func position(of descriptor: Int32, subject: String = "") throws(SyscallError) -> UInt64 {
    UInt64(try checked64("lseek", subject) { clinux_lseek(descriptor, 0, SEEK_CUR) })
}

/// Where a file's next bytes begin that are no hole, from a place on; nil where only a hole is left. - Source: lseek(2), SEEK_DATA.
package func nextData(in file: Int32, from place: UInt64) throws(SyscallError) -> UInt64? {
    do throws(SyscallError) {
        return UInt64(try checked64("lseek SEEK_DATA") { clinux_lseek(file, Int64(clamping: place), 3) })
    } catch  where error.errno == ENXIO { return nil }
}

/// Where a file's next hole begins, from a place within it on; its end at the latest. nil where the file is shorter. - Source: lseek(2), SEEK_HOLE.
package func nextHole(in file: Int32, from place: UInt64) throws(SyscallError) -> UInt64? {
    do throws(SyscallError) {
        return UInt64(try checked64("lseek SEEK_HOLE") { clinux_lseek(file, Int64(clamping: place), 4) })
    } catch  where error.errno == ENXIO { return nil }
}

/// Copies the contents of a regular file into an empty one: holes stay holes, and a file system that can share
/// blocks shares them. Both descriptors' offsets are moved.
/// - Source: copy_file_range(2), Linux 5.3; lseek(2) SEEK_DATA. Falls back to read and write where the kernel refuses.
package func copyContents(from source: Int32, to target: Int32, sizeBytes: Int64, subject: String = "") throws(SyscallError) {
    var offset: Int64 = 0
    while offset < sizeBytes {
        let start: Int64
        do throws(SyscallError) {
            start = try checked64("lseek SEEK_DATA", subject) { clinux_lseek(source, offset, 3) }
        } catch  where error.errno == ENXIO { break }  // only a hole is left
        let hole: Int64
        do throws(SyscallError) {
            hole = try checked64("lseek SEEK_HOLE", subject) { clinux_lseek(source, start, 4) }
        } catch  where error.errno == ENXIO { break }  // the file is shorter now
        let end = min(sizeBytes, hole)
        try seek(source, to: start, subject: subject)
        try seek(target, to: start, subject: subject)
        try copyRange(from: source, to: target, count: end - start, subject: subject)
        offset = max(end, start + 1)
    }
    try setSize(of: target, bytes: sizeBytes, subject: subject)
}

/// Copies `count` bytes between the descriptors' own offsets; stops early where the source ends.
private func copyRange(from source: Int32, to target: Int32, count: Int64, subject: String) throws(SyscallError) {
    var left = count
    var insideKernel = true
    while left > 0 {
        let copied: Int64
        if insideKernel {
            let result = clinux_copy_file_range(source, target, UInt64(min(left, 1 << 30)))
            switch Int32(clamping: -result) {
            case EINTR: continue
            case EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, EBADF, EPERM:
                insideKernel = false
                continue
            case let number where number > 0: throw SyscallError("copy_file_range", subject, errno: number)
            default: copied = result
            }
        } else {
            let chunk = try readChunk(source, limitBytes: Int(min(left, 262_144)), subject: subject)
            try writeAll(chunk, to: target, subject: subject)
            copied = Int64(chunk.count)
        }
        if copied == 0 { return }
        left -= copied
    }
}

/// Locks an open file for this open file description alone, without waiting; false where another holds it.
/// The kernel lets go when the description is closed, also by a crash. - Source: flock(2).
package func lockExclusively(_ descriptor: Int32, subject: String = "") throws(SyscallError) -> Bool {
    do throws(SyscallError) {
        try checked("flock", subject) { clinux_flock(descriptor, LOCK_EX | LOCK_NB) }
        return true
    } catch  where error.errno == EWOULDBLOCK { return false }
}

/// What is left on a file system for processes without privilege.
package struct FreeSpace: Equatable, Sendable {
    package let bytes: UInt64
    /// nil where the file system makes inodes as it needs them.
    package let inodes: UInt64?
}

/// What is left on the file system that a descriptor lies on. - Source: statvfs(3).
package func freeSpace(at descriptor: Int32, subject: String = "") throws(SyscallError) -> FreeSpace {
    var bytes: UInt64 = 0
    var inodes: UInt64 = 0
    var allInodes: UInt64 = 0
    try checked("statvfs", subject) { unsafe clinux_free_space(descriptor, &bytes, &inodes, &allInodes) }
    return FreeSpace(bytes: bytes, inodes: allInodes == 0 ? nil : inodes)
}
