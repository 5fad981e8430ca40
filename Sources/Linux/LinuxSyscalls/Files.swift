internal import CLinux
internal import Glibc
internal import Synchronization
package import SystemPackage

/// The directory that relative paths start from where a call is given no directory: AT_FDCWD.
package let currentDirectory: Int32 = AT_FDCWD

/// Flags of open(2). Every open here adds O_CLOEXEC.
package struct OpenFlags: OptionSet, Sendable {
    package let rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }
    /// Spelled out: the generic default looks up conformances at run time.
    package init(arrayLiteral elements: OpenFlags...) { rawValue = elements.reduce(0) { $0 | $1.rawValue } }

    package static let readOnly = OpenFlags([])
    package static let writeOnly = OpenFlags(rawValue: O_WRONLY)
    package static let readWrite = OpenFlags(rawValue: O_RDWR)
    package static let append = OpenFlags(rawValue: O_APPEND)
    package static let create = OpenFlags(rawValue: O_CREAT)
    package static let exclusive = OpenFlags(rawValue: O_EXCL)
    package static let truncate = OpenFlags(rawValue: O_TRUNC)
    package static let directory = OpenFlags(rawValue: O_DIRECTORY)
    package static let noFollow = OpenFlags(rawValue: O_NOFOLLOW)
    package static let nonBlocking = OpenFlags(rawValue: O_NONBLOCK)
    package static let noControllingTerminal = OpenFlags(rawValue: O_NOCTTY)
    /// O_PATH: a place in the tree, not the file's contents. Glibc's module lacks the constant.
    package static let path = OpenFlags(rawValue: 0o10_000_000)
}

/// Opens `path`, relative to `directory` unless absolute. - Source: openat(2).
package func openFile(
    _ path: FilePath, _ flags: OpenFlags, mode: UInt32 = 0o600, at directory: Int32 = currentDirectory
) throws(SyscallError) -> OwnedFD {
    OwnedFD(
        owning: try retryingInterrupted("open", path.string) {
            unsafe path.withPlatformString { unsafe openat(directory, $0, flags.rawValue | O_CLOEXEC, mode) }
        })
}

/// The same for a path that is only text: `FilePath` would take it apart and put it together first.
package func openFile(named path: String, _ flags: OpenFlags) throws(SyscallError) -> OwnedFD {
    OwnedFD(
        owning: try retryingInterrupted("open", path) {
            unsafe path.withCString { unsafe openat(currentDirectory, $0, flags.rawValue | O_CLOEXEC) }
        })
}

/// How openat2(2) treats the components of a path.
package struct ResolveFlags: OptionSet, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Spelled out: the generic default looks up conformances at run time.
    package init(arrayLiteral elements: ResolveFlags...) { rawValue = elements.reduce(0) { $0 | $1.rawValue } }

    package static let noCrossDevice = ResolveFlags(rawValue: 0x01)
    package static let noMagicLinks = ResolveFlags(rawValue: 0x02)
    package static let noSymlinks = ResolveFlags(rawValue: 0x04)
    package static let beneath = ResolveFlags(rawValue: 0x08)
    package static let inRoot = ResolveFlags(rawValue: 0x10)
}

/// Opens `path` as if `root` were `/`: symbolic links and `..` stay inside it, and no magic link of
/// procfs is followed. Retries the EAGAIN of a concurrent rename up to 128 times.
/// - Source: openat2(2), Linux 5.6.
package func openInRoot(
    _ path: FilePath, _ flags: OpenFlags, root: borrowing OwnedFD, mode: UInt32 = 0,
    resolve: ResolveFlags = [.inRoot, .noMagicLinks]
) throws(SyscallError) -> OwnedFD {
    let directory = root.number
    var attempts = 0
    while true {
        let result = unsafe path.withPlatformString {
            unsafe clinux_openat2(
                directory, $0, UInt64(UInt32(bitPattern: flags.rawValue | O_CLOEXEC)), UInt64(mode),
                resolve.rawValue)
        }
        if result >= 0 { return OwnedFD(owning: result) }
        attempts += 1
        let interrupted = result == -EINTR || (result == -EAGAIN && attempts < 128)
        if !interrupted { throw SyscallError("openat2", path.string, errno: -result) }
    }
}

/// Reads at most `buffer.count` bytes; 0 is the end of the file. - Source: read(2).
package func readBytes(_ descriptor: Int32, into buffer: inout [UInt8]) throws(SyscallError) -> Int {
    try retryingInterrupted("read", "descriptor \(descriptor)") {
        unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    }
}

/// Reads a descriptor to its end.
/// - Throws: EFBIG when there are more than `limitBytes`.
package func readAll(_ descriptor: Int32, limitBytes: Int, subject: String) throws(SyscallError) -> [UInt8] {
    var contents: [UInt8] = []
    var roomBytes = 4096
    while true {
        let chunk = try readChunk(descriptor, roomBytes: min(roomBytes, limitBytes + 1), subject: subject)
        if chunk.isEmpty { return contents }
        if contents.isEmpty { contents = chunk } else { contents += chunk }
        if contents.count > limitBytes { throw SyscallError("read", subject, errno: EFBIG) }
        // Most files fit the first time; a large one deserves few calls.
        roomBytes = min(roomBytes * 4, 262_144)
    }
}

/// One read(2) of at most `roomBytes`, into memory that nobody cleared first.
private func readChunk(_ descriptor: Int32, roomBytes: Int, subject: String) throws(SyscallError) -> [UInt8] {
    var failure: SyscallError?
    let chunk = unsafe [UInt8](unsafeUninitializedCapacity: roomBytes) { buffer, count in
        do throws(SyscallError) {
            count = try retryingInterrupted("read", subject) { unsafe read(descriptor, buffer.baseAddress, roomBytes) }
        } catch { failure = error }
    }
    if let failure { throw failure }
    return chunk
}

/// Reads a whole file of at most `limitBytes`.
package func readFile(
    _ path: FilePath, limitBytes: Int, at directory: Int32 = currentDirectory
) throws(SyscallError) -> [UInt8] {
    let file = try openFile(path, .readOnly, at: directory)
    return try readAll(file.number, limitBytes: limitBytes, subject: path.string)
}

/// Reads a whole file that somebody names who may mean a pipe: what is no ordinary file is waited for, but not for ever.
/// - Throws: ETIMEDOUT where its end has not come by then; EFBIG when there are more than `limitBytes`.
package func readFile(_ path: FilePath, limitBytes: Int, timeoutNanoseconds: Int64) throws(SyscallError) -> [UInt8] {
    let file = try openFile(path, [.readOnly, .nonBlocking, .noControllingTerminal])
    if try fileStatus(of: file.number).type == .regular { return try readAll(file.number, limitBytes: limitBytes, subject: path.string) }
    let deadline = monotonicNanoseconds() + timeoutNanoseconds
    var contents: [UInt8] = []
    while true {
        let leftNanoseconds = deadline - monotonicNanoseconds()
        if leftNanoseconds <= 0 { throw SyscallError("read", path.string, errno: ETIMEDOUT) }
        if try waitUntilReadable([file.number], timeoutMilliseconds: Int32(clamping: leftNanoseconds / 1_000_000 + 1)).isEmpty { continue }
        let chunk: [UInt8]
        do throws(SyscallError) {
            chunk = try readChunk(file.number, roomBytes: min(65_536, limitBytes + 1), subject: path.string)
        } catch  where error.errno == EAGAIN { continue }
        if chunk.isEmpty { return contents }
        contents += chunk
        if contents.count > limitBytes { throw SyscallError("read", path.string, errno: EFBIG) }
    }
}

/// Writes all of `bytes`, however many calls that takes. - Source: write(2).
package func writeAll(_ bytes: [UInt8], to descriptor: Int32, subject: String = "") throws(SyscallError) {
    var offset = 0
    while offset < bytes.count {
        offset += try retryingInterrupted("write", subject) {
            unsafe bytes.withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress.map { unsafe $0 + offset }, $0.count - offset)
            }
        }
    }
}

/// The same of any bytes.
package func writeAll(_ bytes: some Collection<UInt8>, to descriptor: Int32, subject: String = "") throws(SyscallError) {
    try writeAll(Array(bytes), to: descriptor, subject: subject)
}

/// Writes a file anew, without any promise for a crash. - Source: open(2), O_TRUNC.
package func writeAll(_ bytes: some Collection<UInt8>, toFile path: FilePath, mode: UInt32 = 0o600) throws(SyscallError) {
    let file = try openFile(path, [.writeOnly, .create, .truncate, .noFollow], mode: mode)
    try writeAll(bytes, to: file.number, subject: path.string)
}

/// Flushes a file's data and metadata to its device. - Source: fsync(2).
package func synchronize(_ descriptor: Int32, subject: String = "") throws(SyscallError) {
    try retryingInterrupted("fsync", subject) { fsync(descriptor) }
}

/// Writes a directory's own entries to the disk: what was made, renamed or removed in it. - Source: fsync(2).
package func synchronizeDirectory(_ path: FilePath) throws(SyscallError) {
    let directory = try openFile(path, [.readOnly, .directory])
    try synchronize(directory.number, subject: path.string)
}

/// Flushes the whole file system that a descriptor lies on. - Source: syncfs(2).
package func synchronizeFileSystem(_ descriptor: Int32, subject: String = "") throws(SyscallError) {
    try checked("syncfs", subject) { clinux_syncfs(descriptor) }
}

/// Tells apart the temporary files of one process's threads.
private let nextTemporaryFile = Atomic<UInt64>(0)

/// Puts `bytes` at `path` so that a crash leaves the old file or the new one, whole: temporary file,
/// fsync, rename, fsync of the directory.
package func writeFileDurably(_ bytes: some Collection<UInt8>, to path: FilePath, mode: UInt32 = 0o600) throws(SyscallError) {
    let directoryPath = path.removingLastComponent()
    let directory = try openFile(directoryPath.isEmpty ? "." : directoryPath, [.readOnly, .directory])
    let name = path.lastComponent?.string ?? ""
    let number = nextTemporaryFile.wrappingAdd(1, ordering: .relaxed).newValue
    let temporary = FilePath(".\(name).\(getpid()).\(number).tmp")
    do throws(SyscallError) {
        let file: OwnedFD
        do throws(SyscallError) {
            file = try openFile(temporary, [.writeOnly, .create, .truncate, .noFollow], mode: mode, at: directory.number)
        } catch { throw SyscallError(error.call, path.string, errno: error.errno) }
        try writeAll(bytes, to: file.number, subject: path.string)
        try synchronize(file.number, subject: path.string)
        try renameFile(temporary, to: FilePath(name), fromDirectory: directory.number, toDirectory: directory.number)
        try synchronize(directory.number, subject: directoryPath.string)
    } catch {
        try? removeFile(temporary, at: directory.number)
        throw error
    }
}

/// Renames within one file system. - Source: renameat(2).
package func renameFile(
    _ old: FilePath, to new: FilePath, fromDirectory: Int32 = currentDirectory, toDirectory: Int32 = currentDirectory
) throws(SyscallError) {
    try retryingInterrupted("rename", "\(old) to \(new)") {
        unsafe old.withPlatformString { from in
            unsafe new.withPlatformString { to in unsafe renameat(fromDirectory, from, toDirectory, to) }
        }
    }
}

/// Renames within one file system where nothing has the new name. - Source: renameat2(2), RENAME_NOREPLACE.
/// - Throws: EEXIST where something has it. A file system that cannot be told so is looked at first: who makes the name in between loses it.
package func renameFileReplacingNothing(
    _ old: FilePath, to new: FilePath, fromDirectory: Int32, toDirectory: Int32
) throws(SyscallError) {
    let (noReplace, subject): (UInt32, String) = (1, "\(old) to \(new)")
    do throws(SyscallError) {
        try checked("rename", subject) {
            unsafe old.withPlatformString { from in
                unsafe new.withPlatformString { to in unsafe clinux_renameat2(fromDirectory, from, toDirectory, to, noReplace) }
            }
        }
    } catch  where error.errno == EINVAL {
        do throws(SyscallError) { _ = try fileStatus(new, at: toDirectory) } catch  where error.errno == ENOENT {
            return try renameFile(old, to: new, fromDirectory: fromDirectory, toDirectory: toDirectory)
        }
        throw SyscallError("rename", subject, errno: EEXIST)
    }
}

/// Removes a name that is not a directory. - Source: unlinkat(2).
package func removeFile(_ path: FilePath, at directory: Int32 = currentDirectory) throws(SyscallError) {
    try retryingInterrupted("unlink", path.string) {
        unsafe path.withPlatformString { unsafe unlinkat(directory, $0, 0) }
    }
}

/// Removes an empty directory. - Source: unlinkat(2), AT_REMOVEDIR.
package func removeDirectory(_ path: FilePath, at directory: Int32 = currentDirectory) throws(SyscallError) {
    try retryingInterrupted("rmdir", path.string) {
        unsafe path.withPlatformString { unsafe unlinkat(directory, $0, AT_REMOVEDIR) }
    }
}

/// Makes one directory. - Source: mkdirat(2).
package func makeDirectory(_ path: FilePath, mode: UInt32 = 0o755, at directory: Int32 = currentDirectory) throws(SyscallError) {
    try retryingInterrupted("mkdir", path.string) {
        unsafe path.withPlatformString { unsafe mkdirat(directory, $0, mode) }
    }
}

/// Makes a directory and those above it that are missing. For trusted host paths only: inside a
/// container's root each component must be opened with `openInRoot`.
/// - Parameter parentMode: of those above it; nil is `mode`.
package func makeDirectories(_ path: FilePath, mode: UInt32 = 0o755, parentMode: UInt32? = nil) throws(SyscallError) {
    do { try makeDirectory(path, mode: mode) } catch {
        switch error.errno {
        case EEXIST: return
        case ENOENT where path.removingLastComponent() != path && !path.removingLastComponent().isEmpty:
            try makeDirectories(path.removingLastComponent(), mode: parentMode ?? mode)
            do { try makeDirectory(path, mode: mode) } catch  where error.errno == EEXIST {}
        default: throw error
        }
    }
}
